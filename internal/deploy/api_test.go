package deploy

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

const raceFleet = `fleet: acme
provider: {hetzner: {token: {env: HCLOUD_TOKEN}, poll_interval: 10ms}}
ssh_keys:
  deploy: {public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHmdrBZ3DCQ1qv6xmYPs1ZXvBfk0BQMnQtzqTHIlyWmc deploy}
servers:
  web: {server_type: cx22, image: debian-13, location: nbg1, ssh_keys: [deploy]}
  db: {server_type: cx22, image: debian-13, location: nbg1, ssh_keys: [deploy]}
`

// fleetRepo makes a fleet repo without hosts.
func fleetRepo(t *testing.T, flotillaYAML string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"flotilla.yaml": flotillaYAML, "hive.nix": "{ }"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "-m", "Begin"}} {
		git := exec.CommandContext(t.Context(), "git", args...) //nolint:gosec // words of the test
		git.Dir = dir
		if out, err := git.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return dir
}

// Two deploys of one fleet at the same time, with all that a deploy does:
// exactly one goes on, and makes everything once.
func TestTwoDeploysRacing(t *testing.T) {
	server, dir := labAPI(t), fleetRepo(t, raceFleet)
	env := map[string]string{"HCLOUD_TOKEN": labToken, "HCLOUD_ENDPOINT": server.URL + "/v1"}
	results, codes := make([]plans.Result, 2), map[problem.Code]int{}
	other := []chan struct{}{make(chan struct{}), make(chan struct{})} // closed at the end of each
	var racing sync.WaitGroup
	for i := range results {
		racing.Go(func() {
			defer close(other[i])
			f := &Flow{Dir: dir, Getenv: func(k string) string { return env[k] }, Sink: progress.Discard, By: "run"}
			results[i], _ = f.Deploy(t.Context(), Options{Only: OnlyInfra, Approve: func(Intent) error {
				<-other[1-i] // who gets here lets the other one try
				return nil
			}})
		})
	}
	racing.Wait()
	for _, r := range results {
		codes[r.ExitCode]++
	}
	if codes[problem.OK] != 1 || codes[problem.Refused] != 1 {
		t.Fatalf("exit codes %v: %+v", codes, results)
	}
	again, err := (&Flow{Dir: dir, Getenv: func(k string) string { return env[k] }, Sink: progress.Discard, By: "run"}).Deploy(t.Context(), Options{Only: OnlyInfra})
	if err != nil || len(again.Resources) != 0 {
		t.Errorf("a third run: %+v, %v", again.Resources, err)
	}
}

// A server that was made anew on request has its new addresses afterwards: what
// reads them is evaluated and built with these.
func TestReplacedServerIsKnownAfterwards(t *testing.T) {
	server, dir := labAPI(t), fleetRepo(t, raceFleet)
	env := map[string]string{"HCLOUD_TOKEN": labToken, "HCLOUD_ENDPOINT": server.URL + "/v1"}
	f := &Flow{Dir: dir, Getenv: func(k string) string { return env[k] }, Sink: progress.Discard, By: "run"}
	if _, err := f.Deploy(t.Context(), Options{Only: OnlyInfra}); err != nil {
		t.Fatal(err)
	}
	d := &deployment{flow: f, opts: Options{Only: OnlyInfra, Replace: []string{"web"}, Rebuild: []string{"db"}}}
	d.opts.Approve = func(Intent) error {
		if facts := d.facts(); facts["web"].Known || !facts["db"].Known {
			t.Errorf("before: %+v", facts)
		}
		return nil
	}
	if err := d.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if facts := d.facts(); !facts["web"].Known || facts["web"].IPv4 != d.account.Servers["web"].IPv4 {
		t.Errorf("after: %+v", facts)
	}
	if got := strings.Join(d.restarted, " "); got != "db web" {
		t.Errorf("waits for %q", got)
	}
	for name, server := range d.account.Servers {
		if !isFresh(server) {
			t.Errorf("%s counts as one that was deployed to: %+v", name, server.Published)
		}
	}
}

// Prices that cannot be read are a warning: the plan is whole without them, and
// a deploy goes on.
func TestWithoutPrices(t *testing.T) {
	inner := labAPI(t)
	api := inner.Config.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/pricing" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error":{"code":"forbidden","message":"not for you"}}`))
			return
		}
		api.ServeHTTP(w, r)
	}))
	defer server.Close()
	dir := fleetRepo(t, raceFleet)
	env := map[string]string{"HCLOUD_TOKEN": labToken, "HCLOUD_ENDPOINT": server.URL + "/v1"}
	f := &Flow{Dir: dir, Getenv: func(k string) string { return env[k] }, Sink: progress.Discard, By: "run"}
	plan, err := f.Plan(t.Context(), PlanOptions{Base: "HEAD", Only: OnlyInfra})
	if err != nil || !plan.Complete || plan.Pending.Cost != nil || len(plan.Pending.Resources) != 3 {
		t.Fatalf("%+v, %v", plan, err)
	}
	if len(plan.Warnings) != 1 || plan.Warnings[0].Subject != "prices" || !strings.Contains(plan.Warnings[0].Text, "not for you") {
		t.Errorf("warnings: %+v", plan.Warnings)
	}
	if result, err := f.Deploy(t.Context(), Options{Only: OnlyInfra}); err != nil || len(result.Resources) != 3 {
		t.Errorf("deploy: %+v, %v", result, err)
	}
}

// The first interrupt ends the work at the provider, too: what is in hand is
// brought to its end, nothing more is made or destroyed.
func TestInterruptAtTheProvider(t *testing.T) {
	// The servers come after the network, and go before it.
	server, dir := labAPI(t), fleetRepo(t, strings.ReplaceAll(raceFleet, "location: nbg1", "location: nbg1, networks: {private: {}}")+
		"networks: {private: {ip_range: 10.0.0.0/16, subnets: [{network_zone: eu-central, ip_range: 10.0.1.0/24}]}}\n")
	env := map[string]string{"HCLOUD_TOKEN": labToken, "HCLOUD_ENDPOINT": server.URL + "/v1"}
	getenv := func(k string) string { return env[k] }
	interrupt := func(do func(progress.Sink, <-chan struct{}) (plans.Result, error)) plans.Result {
		t.Helper()
		sink := &interrupter{draining: make(chan struct{})}
		result, err := do(sink, sink.draining)
		if problem.CodeOf(err) != problem.Cancelled || result.ExitCode != problem.Cancelled {
			t.Errorf("exit code %d: %v", result.ExitCode, err)
		}
		done := 0
		for _, r := range result.Resources {
			if r.Done {
				done++
			}
		}
		if done == 0 || done == len(result.Resources) {
			t.Errorf("%d of %d changes made", done, len(result.Resources))
		}
		return result
	}
	deploy := func(sink progress.Sink, draining <-chan struct{}) (plans.Result, error) {
		return (&Flow{Dir: dir, Getenv: getenv, Sink: sink, By: "run"}).Deploy(t.Context(), Options{Only: OnlyInfra, Draining: draining})
	}
	interrupt(deploy)
	if result, err := deploy(progress.Discard, nil); err != nil || len(result.Resources) == 0 {
		t.Fatalf("again: %+v, %v", result, err)
	}
	interrupt(func(sink progress.Sink, draining <-chan struct{}) (plans.Result, error) {
		return (&Flow{Dir: dir, Getenv: getenv, Sink: sink, By: "run"}).Destroy(t.Context(), DestroyOptions{AllowDestroy: []string{"web", "db", "private"}, Draining: draining})
	})
}

// interrupter interrupts a run when its first change is made.
type interrupter struct {
	once     sync.Once
	draining chan struct{}
}

func (i *interrupter) Event(e progress.Event) {
	if e.Step == progress.Provision && e.Kind == progress.End {
		i.once.Do(func() {
			close(i.draining)
			time.Sleep(50 * time.Millisecond) // the run is told by another goroutine
		})
	}
}

// A plan shows what would really happen: not the end of what was never made,
// and the replacement behind an edit that looks harmless in flotilla.yaml.
func TestPlanOfWhatExists(t *testing.T) {
	const volume = "volumes: {data: {size: 20, server: db}}\n"
	server, dir := labAPI(t), fleetRepo(t, strings.Replace(raceFleet, "  web: {server_type: cx22", "  web: {server_type: cx32", 1)+volume)
	env := map[string]string{"HCLOUD_TOKEN": labToken, "HCLOUD_ENDPOINT": server.URL + "/v1"}
	f := &Flow{Dir: dir, Getenv: func(k string) string { return env[k] }, Sink: progress.Discard, By: "run"}
	if _, err := f.Deploy(t.Context(), Options{Only: OnlyInfra}); err != nil {
		t.Fatal(err)
	}
	plan := func(flotillaYAML string) (lines []string, warnings string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "flotilla.yaml"), []byte(flotillaYAML), 0o600); err != nil {
			t.Fatal(err)
		}
		git := exec.CommandContext(t.Context(), "git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "-a", "-m", "Edit")
		git.Dir = dir
		if out, err := git.CombinedOutput(); err != nil {
			t.Fatalf("git: %v\n%s", err, out)
		}
		p, err := f.Plan(t.Context(), PlanOptions{Only: OnlyInfra})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.This.Resources {
			lines = append(lines, string(r.Action)+" "+string(r.Kind)+" "+r.Name)
		}
		for _, r := range p.Pending.Resources {
			lines = append(lines, "pending "+string(r.Action)+" "+string(r.Kind)+" "+r.Name)
		}
		for _, w := range p.Warnings {
			warnings += w.Text + "\n"
		}
		return lines, warnings
	}
	// The disk of 80 GB does not become smaller; the volume does not either.
	lines, warnings := plan(raceFleet + strings.Replace(volume, "20", "10", 1))
	if got := strings.Join(lines, ", "); got != "replace server web, update volume data" || !strings.Contains(warnings, "a volume can only grow") {
		t.Errorf("a smaller type and volume: %s\n%s", got, warnings)
	}
	plan(raceFleet + volume + "firewalls: {new: {}}\nplacement_groups: {later: {}}\n")
	if lines, _ = plan(raceFleet + volume + "placement_groups: {later: {labels: {a: b}}}\n"); strings.Join(lines, ", ") != "create placement_group later, pending replace server web" {
		t.Errorf("the firewall was never made, the placement group is not there yet: %s", strings.Join(lines, ", "))
	}
}
