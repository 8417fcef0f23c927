package deploy

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// rig is a fleet that exists at the lab's API and was deployed from its first
// commit, as the labels of its servers say.
type rig struct {
	fleets
	flow *Flow
	told *notes

	mu      sync.Mutex
	changed []string // requests that change something, but for the lock
}

const rigFleet = `fleet: acme
provider: {hetzner: {token: {env: HCLOUD_TOKEN}, poll_interval: 10ms}}
ssh: {key: {env: FLOTILLA_SSH_KEY}}
servers:
  web: {server_type: cx22, image: debian-13, location: nbg1, ssh_keys: []}
  db: {server_type: cx22, image: debian-13, location: nbg1, ssh_keys: []}
`

// hive gives a hive in which web and db have something of their own.
func hive(web, db string) string {
	host := func(own string) string {
		return `{ services.openssh.enable = true; services.openssh.settings = { }; networking.firewall.allowedTCPPorts = [ 22 ]; imports = [ { ` + own + ` } ]; }`
	}
	return fmt.Sprintf("{ meta.nixpkgs = <nixpkgs>; web = %s; db = %s; }\n", host(web), host(db))
}

func newRig(t *testing.T, published bool) *rig {
	t.Helper()
	r := &rig{fleets: newFleets(t), told: &notes{}}
	inner := labAPI(t)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && !strings.HasPrefix(req.URL.Path, "/v1/placement_groups") {
			r.mu.Lock()
			r.changed = append(r.changed, req.Method+" "+req.URL.Path)
			r.mu.Unlock()
		}
		inner.Config.Handler.ServeHTTP(w, req)
	}))
	t.Cleanup(api.Close)
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"HCLOUD_TOKEN": labToken, "HCLOUD_ENDPOINT": api.URL + "/v1", "NIX_PATH": nixPath(t),
		"FLOTILLA_SSH_KEY": string(pem.EncodeToMemory(key)),
	}
	r.flow = &Flow{Dir: r.dir, Getenv: func(k string) string { return env[k] }, Sink: r.told, By: "ada"}
	first := r.commit(map[string]string{"flotilla.yaml": rigFleet, "hive.nix": hive("", "")})
	if _, err := r.flow.Deploy(t.Context(), Options{Only: OnlyInfra}); err != nil {
		t.Fatal(problem.Text(err))
	}
	if published {
		r.publish("web", first)
		r.publish("db", first)
	}
	r.changed = nil
	return r
}

// publish labels a server as deployed from a commit, which is checked out.
func (r *rig) publish(host, commit string) {
	r.t.Helper()
	systems, err := r.flow.Evaluate(r.t.Context(), selector(r.t, host), false)
	if err != nil || systems[host].Err != nil {
		r.t.Fatal(err, systems[host].Err)
	}
	d, done := r.begin(Options{})
	defer done()
	if err := r.flow.publish(r.t.Context(), d.client, d.account, host, func(p *fleet.Published) {
		p.Commit, p.SystemHash = commit, systems[host].System.OutPath.Hash()
	}); err != nil {
		r.t.Fatal(err)
	}
}

// plan gives the digests that a pull request with these files would show, and
// merges it as one commit.
func (r *rig) plan(files map[string]string) []plans.Digest {
	r.t.Helper()
	head := r.pullRequest(files)
	plan, err := r.flow.Plan(r.t.Context(), PlanOptions{Head: head, Untrusted: true})
	if err != nil || !plan.Complete {
		r.t.Fatal(err, plan.Missing)
	}
	r.commit(files)
	packed := plans.PackDigests(plans.Digests(plan.This, plan.Pending), 1<<16)
	seen, err := plans.UnpackDigests(packed)
	if err != nil {
		r.t.Fatal(err)
	}
	return seen
}

// begin gives a deployment that has read what it needs for a review.
func (r *rig) begin(opts Options) (*deployment, func()) {
	r.t.Helper()
	w, err := r.flow.open(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	d := &deployment{flow: r.flow, opts: opts, work: w}
	if err := d.read(r.t.Context(), w); err != nil {
		r.t.Fatal(err)
	}
	d.evaluator = r.flow.evaluator(d.tree.Fleet.Evaluation, filepath.Join(w.dir, "roots"))
	if err := d.inspect(r.t.Context()); err != nil {
		r.t.Fatal(problem.Text(err))
	}
	return d, w.close
}

// review is a deploy as far as its review.
func (r *rig) review(opts Options) (plans.Result, error) {
	r.t.Helper()
	d, done := r.begin(opts)
	defer done()
	if _, err := d.evaluate(r.t.Context()); err != nil {
		r.t.Fatal(problem.Text(err))
	}
	err := d.review(r.t.Context())
	if err == nil && d.reviewed != nil { // nothing is asked twice
		d.opts.Reviews = func(context.Context, []string, string) (plans.Reviewed, error) {
			r.t.Error("asked once more")
			return plans.Reviewed{}, nil
		}
		err = d.review(r.t.Context())
	}
	return d.result, err
}

func saw(seen ...plans.Digest) func(context.Context, []string, string) (plans.Reviewed, error) {
	return func(context.Context, []string, string) (plans.Reviewed, error) {
		return plans.Reviewed{Seen: seen}, nil
	}
}

func texts(list []plans.Digest) string {
	var all []string
	for _, d := range list {
		all = append(all, d.String())
	}
	return strings.Join(all, "\n")
}

const (
	openPort = `networking.firewall.allowedTCPPorts = [ 443 ];`
	motd     = `environment.etc.motd.text = "hello";`
	mallory  = `users.users.mallory = { isNormalUser = true; extraGroups = [ "wheel" ]; };`
	unit     = `systemd.units."app.service" = { text = "[Service]\nExecStart=/bin/app\n"; wantedBy = [ "multi-user.target" ]; };`
)
