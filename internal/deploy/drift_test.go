package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

const driftFleet = raceFleet + `firewalls:
  web: {rules: [{direction: in, protocol: tcp, port: "443", source_ips: [0.0.0.0/0]}]}
`

// drifting is a fleet whose infrastructure was deployed, and somebody with the
// provider's console.
type drifting struct {
	t      *testing.T
	server *httptest.Server
	dir    string
	flow   *Flow
}

func newDrifting(t *testing.T) *drifting {
	t.Helper()
	server, dir := labAPI(t), fleetRepo(t, driftFleet)
	env := map[string]string{"HCLOUD_TOKEN": labToken, "HCLOUD_ENDPOINT": server.URL + "/v1"}
	d := &drifting{t, server, dir, &Flow{Dir: dir, Getenv: func(k string) string { return env[k] }, Sink: progress.Discard, By: "run"}}
	d.deploy()
	return d
}

func (d *drifting) deploy(allow ...string) {
	d.t.Helper()
	if _, err := d.flow.Deploy(d.t.Context(), Options{Only: OnlyInfra, AllowDestroy: allow}); err != nil {
		d.t.Fatal(err)
	}
}

// commit makes a revision of this flotilla.yaml and gives its hash.
func (d *drifting) commit(flotillaYAML string) string {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, "flotilla.yaml"), []byte(flotillaYAML), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.git("add", ".")
	d.git("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-q", "--allow-empty", "-m", "Edit")
	return d.head()
}

func (d *drifting) head() string { return strings.TrimSpace(d.git("rev-parse", "HEAD")) }

func (d *drifting) git(args ...string) string {
	d.t.Helper()
	git := exec.CommandContext(d.t.Context(), "git", args...) //nolint:gosec // words of the test
	git.Dir = d.dir
	out, err := git.CombinedOutput()
	if err != nil {
		d.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// api does something by hand.
func (d *drifting) api(method, path, body string) map[string]any {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.server.URL+"/v1"+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+labToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= http.StatusBadRequest {
		d.t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, text, err)
	}
	var answer map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			d.t.Fatal(err)
		}
	}
	return answer
}

// named gives the path of a resource, and its labels.
func (d *drifting) named(section, name string) (path string, labels map[string]any) {
	d.t.Helper()
	list, _ := d.api(http.MethodGet, "/"+section+"?name="+name, "")[section].([]any)
	if len(list) != 1 {
		d.t.Fatalf("%d %s named %s", len(list), section, name)
	}
	found, _ := list[0].(map[string]any)
	labels, _ = found["labels"].(map[string]any)
	id, _ := found["id"].(float64)
	return fmt.Sprintf("/%s/%d", section, int64(id)), labels
}

// label writes one label, "" takes it off.
func (d *drifting) label(section, name, key, value string) {
	d.t.Helper()
	path, labels := d.named(section, name)
	labels[key] = value
	if value == "" {
		delete(labels, key)
	}
	body, err := json.Marshal(map[string]any{"labels": labels})
	if err != nil {
		d.t.Fatal(err)
	}
	d.api(http.MethodPut, path, string(body))
}

// published says that the servers were deployed to.
func (d *drifting) published(commit string, servers ...string) {
	for _, s := range servers {
		d.label("servers", s, "flotilla/commit", commit)
	}
}

func (d *drifting) rule(port string) {
	path, _ := d.named("firewalls", "web")
	d.api(http.MethodPost, path+"/actions/set_rules", `{"rules":[{"direction":"in","protocol":"tcp","port":"`+port+`","source_ips":["0.0.0.0/0"]}]}`)
}

// found looks for drift at the provider: "action kind name" of each.
func (d *drifting) found(opts DriftOptions) (string, plans.Drift) {
	d.t.Helper()
	opts.Only = OnlyInfra
	drift, err := d.flow.Drift(d.t.Context(), opts)
	if err != nil {
		d.t.Fatal(err)
	}
	var lines []string
	for _, r := range drift.Resources {
		lines = append(lines, string(r.Action)+" "+string(r.Kind)+" "+r.Name)
	}
	for _, h := range drift.Hosts {
		lines = append(lines, h.Host+": "+strings.Join(h.Findings, " "))
	}
	return strings.Join(lines, ", "), drift
}

func (d *drifting) expect(what, want string) plans.Drift {
	d.t.Helper()
	got, drift := d.found(DriftOptions{})
	if got != want {
		d.t.Errorf("%s: found %q, want %q; notes %+v", what, got, want, drift.Notes)
	}
	if drift.Found() != (want != "") || !drift.Complete {
		d.t.Errorf("%s: found %v, complete %v: %+v", what, drift.Found(), drift.Complete, drift.Missing)
	}
	return drift
}

// What somebody does by hand is drift, and the digest changes with it alone.
func TestDriftByHand(t *testing.T) {
	d := newDrifting(t)
	first := d.head()
	d.published(first, "web", "db")
	clear1, clear2 := d.expect("as deployed", ""), d.expect("again", "")
	if !clear1.Clear() || clear1.Digest == "" || clear1.Digest != clear2.Digest || clear1.Deployed.Commit != first || clear1.ExitCode() != problem.OK {
		t.Errorf("as deployed: %+v", clear1)
	}

	d.rule("22")
	changed := d.expect("a rule by hand", "update firewall web")
	if again := d.expect("again", "update firewall web"); again.Digest != changed.Digest || changed.Digest == clear1.Digest || changed.ExitCode() != problem.Changes {
		t.Errorf("digests %s, %s, %s", clear1.Digest, changed.Digest, again.Digest)
	}
	d.commit(driftFleet) // a merge alone is nothing new
	if after := d.expect("after a merge", "update firewall web"); after.Digest != changed.Digest {
		t.Error("the digest changes with a merge that changes nothing")
	}
	d.deploy()
	d.expect("a deploy mends it", "")

	path, _ := d.named("servers", "db")
	d.api(http.MethodPost, path+"/actions/poweroff", "")
	d.expect("switched off", "db: The server is off: somebody switched it off, and a deploy leaves it so.")
	d.api(http.MethodPost, path+"/actions/poweron", "")
	path, _ = d.named("firewalls", "web")
	d.api(http.MethodDelete, path, "")
	d.expect("deleted", "create firewall web")
	d.deploy()
	d.api(http.MethodPost, "/placement_groups", `{"name":"odd","type":"spread","labels":{"flotilla/fleet":"acme"}}`)
	d.expect("made in the fleet's name", "destroy placement_group odd")
	path, _ = d.named("placement_groups", "odd")
	d.api(http.MethodDelete, path, "")

	d.api(http.MethodPost, "/placement_groups", `{"name":"theirs","type":"spread"}`)
	if drift := d.expect("somebody else's", ""); len(drift.Notes) != 1 || !strings.Contains(drift.Notes[0].Text, "theirs") {
		t.Errorf("notes: %+v", drift.Notes)
	}
	d.label("firewalls", "web", "flotilla/fleet", "")
	drift := d.expect("the label of a fleet is gone", "create firewall web")
	if note := drift.Resources[0].Note; !strings.Contains(note, "flotilla adopt web") {
		t.Errorf("note: %q", note)
	}
}

// What is merged and not deployed is no drift, nor what was deployed in part,
// nor what hosts were rolled back from.
func TestDriftIsNotPending(t *testing.T) {
	d := newDrifting(t)
	first := d.head()
	d.published(first, "web", "db")
	wider := strings.Replace(driftFleet, `"443"`, `"444"`, 1)
	bigger := strings.Replace(wider, "db: {server_type: cx22", "db: {labels: {size: big}, server_type: cx22", 1)
	second := d.commit(wider)
	d.commit(bigger)
	if drift := d.expect("nothing of it is deployed", ""); drift.Deployed.Commit != first {
		t.Errorf("deployed %+v", drift.Deployed)
	}

	// The infrastructure alone, up to the one in the middle: no label tells.
	d.git("checkout", "-q", "--detach", second)
	d.deploy()
	d.git("checkout", "-q", "-")
	d.expect("between deployed and merged", "")
	d.rule("22")
	d.expect("as none of the three", "update firewall web")

	// Everything but db, which was left at the first.
	d.deploy()
	d.published(d.head(), "web")
	d.expect("all is deployed", "")
	d.label("servers", "db", "size", "")
	d.expect("db is as it was deployed last", "")
	d.published(d.head(), "db")
	d.expect("db is not as it was deployed last", "update server db")
}

// What a deploy that did not end well left in place is the next deploy's
// business.
func TestDriftIsNotLeftInPlace(t *testing.T) {
	d := newDrifting(t)
	first := d.head()
	second := d.commit(raceFleet) // no firewall
	d.published(first, "db")
	d.published(second, "web")
	d.expect("db was put back, so the firewall was left", "")
	d.published(second, "db")
	d.expect("nobody needs it any more", "destroy firewall web")
}

// Without labels what is merged is what counts, unless a revision is given.
func TestDriftWithoutLabels(t *testing.T) {
	d := newDrifting(t)
	first := d.head()
	d.commit(strings.Replace(driftFleet, `"443"`, `"444"`, 1))
	drift := d.expect("nobody knows what is deployed", "update firewall web")
	if len(drift.Notes) != 1 || !strings.Contains(drift.Notes[0].Text, "waits for a deploy shows as drift") || drift.Deployed.Commit != "" {
		t.Errorf("%+v", drift)
	}
	if got, drift := d.found(DriftOptions{Deployed: first}); got != "" || drift.Deployed.Commit != first {
		t.Errorf("given: %s, %+v", got, drift)
	}
	got, drift := d.found(DriftOptions{Deployed: strings.Repeat("1", 40)})
	if drift.Complete || drift.ExitCode() != problem.Failed || len(drift.Missing) != 1 || got != "update firewall web" {
		t.Errorf("a revision that is not here: %s, %+v", got, drift)
	}
}

// What was never deployed has not drifted.
func TestDriftBeforeTheFirstDeploy(t *testing.T) {
	server, dir := labAPI(t), fleetRepo(t, driftFleet)
	env := map[string]string{"HCLOUD_TOKEN": labToken, "HCLOUD_ENDPOINT": server.URL + "/v1"}
	f := &Flow{Dir: dir, Getenv: func(k string) string { return env[k] }, Sink: progress.Discard}
	drift, err := f.Drift(t.Context(), DriftOptions{})
	if err != nil || !drift.Clear() || len(drift.Notes) != 1 || !strings.Contains(drift.Notes[0].Text, "not deployed yet") {
		t.Errorf("%+v, %v", drift, err)
	}
}

// While somebody changes the fleet nobody looks for drift.
func TestDriftWaitsForTheLock(t *testing.T) {
	d := newDrifting(t)
	l := client(t, d.server)
	held, err := l.TakeLock(t.Context(), fleet.Lock{Holder: "ada", Run: "20260102T030405Z-abcd"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.flow.Drift(t.Context(), DriftOptions{Only: OnlyInfra}); problem.CodeOf(err) != problem.Refused || !strings.Contains(err.Error(), "locked by ada") {
		t.Errorf("while it is held: %v", err)
	}
	looks := 0
	look := func() error {
		if looks++; looks == 1 { // a run begins meanwhile, and dies
			if held, err = l.TakeLock(t.Context(), fleet.Lock{Holder: "bob", Run: "20260102T030405Z-efgh"}, -time.Hour); err != nil {
				return err
			}
		}
		return nil
	}
	if err := l.ReleaseLock(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	if err := d.flow.undisturbed(t.Context(), l, 0, look); err != nil || looks != 1 {
		t.Errorf("a dead run's lock: %d looks, %v", looks, err)
	}
}

// steps is a lock that is held or not, one answer after the other.
type steps struct{ held []bool }

func (s *steps) Stale(fleet.Lock) bool { return false }

func (s *steps) ReadLock(context.Context) (fleet.Lock, bool, error) {
	held := s.held[0]
	s.held = s.held[1:]
	return fleet.Lock{Holder: "ada", Expires: 1}, held, nil
}

func TestUndisturbed(t *testing.T) {
	for _, c := range []struct {
		held  []bool
		looks int
		code  problem.Code
	}{
		{[]bool{false, false}, 1, problem.OK},
		{[]bool{true}, 0, problem.Refused},
		{[]bool{false, true}, 1, problem.Refused}, // what was seen does not count
	} {
		looks := 0
		err := (&Flow{Sink: progress.Discard}).undisturbed(t.Context(), &steps{c.held}, 0, func() error { looks++; return nil })
		if looks != c.looks || problem.CodeOf(err) != c.code {
			t.Errorf("%v: %d looks, %v", c.held, looks, err)
		}
	}
}

// Where the history is not here, what differs may only wait for a deploy.
func TestDriftInAShallowClone(t *testing.T) {
	d := newDrifting(t)
	first := d.head()
	d.published(first, "web", "db")
	second := d.commit(strings.Replace(driftFleet, `"443"`, `"444"`, 1))
	d.commit(driftFleet + "placement_groups: {later: {}}\n")
	d.git("checkout", "-q", "--detach", second)
	d.deploy()
	d.git("checkout", "-q", "-")
	d.expect("as the one in the middle", "")

	full := "file://" + d.dir
	d.dir = t.TempDir()
	d.flow.Dir = d.dir
	d.git("clone", "-q", "--depth", "1", full, ".")
	d.git("fetch", "-q", "--depth", "1", "origin", first)
	got, drift := d.found(DriftOptions{})
	if got != "update firewall web" || drift.Complete || len(drift.Missing) != 1 || !strings.Contains(drift.Missing[0].Text, "fetch-depth: 0") {
		t.Errorf("found %s, missing %+v", got, drift.Missing)
	}
}
