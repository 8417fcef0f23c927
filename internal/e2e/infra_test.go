//go:build integration

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

const infraSections = `
firewalls:
  web:
    rules:
      - {direction: in, protocol: tcp, port: 22, source_ips: [0.0.0.0/0, "::/0"]}
      - {direction: in, protocol: tcp, port: 80, source_ips: [0.0.0.0/0, "::/0"]}
placement_groups: {apart: {type: spread}}
primary_ips: {front: {type: ipv4, location: nbg1, dns_ptr: www.example.com}}
volumes: {data: {size: 10, server: app, format: ext4, delete_protection: false}}
load_balancers:
  public:
    load_balancer_type: lb11
    location: nbg1
    networks: {private: {ip: 10.0.1.9}}
    services: [{protocol: http}]
    targets: [{server: web, use_private_ip: true}]
`

// The way of a fleet's infrastructure on real hosts: made with all its kinds, a
// server changed in place, all of it destroyed, and made again from nothing but
// a clone of the repo.
func TestInfrastructure(t *testing.T) {
	t.Parallel()
	r := newRig(t, "e2e-infra", func(r *rig) {
		r.replace(t, "flotilla.yaml", "\nservers:\n", infraSections+"\nservers:\n")
		r.replace(t, "flotilla.yaml", "  app:\n    server_type: cx22\n",
			"  app:\n    server_type: cx22\n    delete_protection: false # the volume data would protect it\n    placement_group: apart\n    dns_ptr: app.example.com\n")
		r.replace(t, "flotilla.yaml", "  web:\n    server_type: cx22\n",
			"  web:\n    server_type: cx22\n    firewalls: [web]\n    placement_group: apart\n    public_net: {ipv4: front}\n")
	})
	healthy := func(result plans.Result, want fleet.Outcome) {
		t.Helper()
		for _, host := range []string{"app", "web"} {
			if h := hostResult(t, result, host); h.Outcome != want || h.Runs.String() != r.runs(t, host) {
				t.Errorf("%s: %s (%s), says it runs %s, runs %s", host, h.Outcome, h.Reason, h.Runs, r.runs(t, host))
			}
		}
		if page := r.page(t); !strings.Contains(page, "The app server is at 10.0.1.3.") {
			t.Errorf("the page says %q", page)
		}
		if plan := r.plan(t, "--only", "infra", "--base", "HEAD"); !plan.Complete || !plan.This.Empty() || !plan.Pending.Empty() {
			t.Errorf("the plan is not empty: missing %v, this change %+v, pending %+v", plan.Missing, plan.This, plan.Pending)
		}
	}

	healthy(r.deploy(t, 0), fleet.Deployed)
	web := r.server(t, "web")
	if name := web.PublicNet.IPv4.DNSPtr; name != "www.example.com" || len(web.PublicNet.Firewalls) != 1 || web.PlacementGroup == nil {
		t.Errorf("web: reverse DNS %q, firewalls %v, placement group %v", name, web.PublicNet.Firewalls, web.PlacementGroup)
	}
	if app := r.server(t, "app"); len(app.Volumes) != 1 || app.PublicNet.IPv4.DNSPtr != "app.example.com" {
		t.Errorf("app: volumes %v, reverse DNS %q", app.Volumes, app.PublicNet.IPv4.DNSPtr)
	}

	before := r.server(t, "app")
	started := docker(t, "inspect", "-f", "{{.State.StartedAt}}", r.container(t, "app"))
	r.replace(t, "flotilla.yaml", "  app:\n    server_type: cx22", "  app:\n    server_type: cx32")
	r.commit(t, "Give app more memory")
	plan := r.plan(t, "--only", "infra")
	if len(plan.This.Resources) != 1 || plan.This.Resources[0].Action != plans.Update || !plan.This.Resources[0].Attributes[0].Powers {
		t.Errorf("plan of another type: %+v", plan.This.Resources)
	}
	healthy(r.deploy(t, 0), fleet.Unchanged)
	after := r.server(t, "app")
	if after.ID != before.ID || after.ServerType.Name != "cx32" || after.Status != "running" || !after.PublicNet.IPv4.IP.Equal(before.PublicNet.IPv4.IP) {
		t.Errorf("app was server %d at %s, and is server %d at %s, %s, %s", before.ID, before.PublicNet.IPv4.IP, after.ID, after.PublicNet.IPv4.IP, after.ServerType.Name, after.Status)
	}
	if docker(t, "inspect", "-f", "{{.State.StartedAt}}", r.container(t, "app")) == started {
		t.Error("app was not powered off")
	}

	r.destroy(t)
	clone := filepath.Join(t.TempDir(), "clone")
	if out, err := exec.Command("git", "clone", "-q", r.repo, clone).CombinedOutput(); err != nil {
		t.Fatalf("git clone: %v\n%s", err, out)
	}
	r.repo = clone
	healthy(r.deploy(t, 0), fleet.Deployed)
	if again := r.server(t, "app"); again.ID == before.ID || again.ServerType.Name != "cx32" {
		t.Errorf("app is server %d again, %s", again.ID, again.ServerType.Name)
	}
}

// destroy takes all away by name, after being refused without the names.
func (r *rig) destroy(t *testing.T) {
	t.Helper()
	if ended := r.flotilla(t, "destroy", "--yes"); ended.code != 5 || !strings.Contains(ended.stdout, "--allow-destroy data") {
		t.Fatalf("destroy without leave ended with exit code %d\n%s%s", ended.code, ended.stdout, ended.stderr)
	}
	args := []string{"destroy", "--yes"}
	for _, name := range []string{"app", "web", "data", "front", "public", "private"} {
		args = append(args, "--allow-destroy", name)
	}
	if ended := r.flotilla(t, args...); ended.code != 0 {
		t.Fatalf("destroy ended with exit code %d\n%s%s", ended.code, ended.stdout, ended.stderr)
	}
	if left := r.left(t); len(left) > 0 {
		t.Errorf("left at the provider: %v", left)
	}
	if out, err := exec.Command("docker", "ps", "-aq", "--filter", "name=^flotilla-lab-"+r.lab+"-").Output(); err != nil || len(out) > 0 {
		t.Errorf("containers left: %s (%v)", out, err)
	}
}

// left names what the project holds.
func (r *rig) left(t *testing.T) []string {
	t.Helper()
	client, ctx := r.client(t), t.Context()
	var left []string
	add := func(kind string, count int, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if count > 0 {
			left = append(left, kind)
		}
	}
	servers, err := client.Server.All(ctx)
	add("servers", len(servers), err)
	networks, err := client.Network.All(ctx)
	add("networks", len(networks), err)
	keys, err := client.SSHKey.All(ctx)
	add("SSH keys", len(keys), err)
	firewalls, err := client.Firewall.All(ctx)
	add("firewalls", len(firewalls), err)
	groups, err := client.PlacementGroup.All(ctx)
	add("placement groups, or the lock", len(groups), err)
	volumes, err := client.Volume.All(ctx)
	add("volumes", len(volumes), err)
	addresses, err := client.PrimaryIP.All(ctx)
	add("primary IPs", len(addresses), err)
	balancers, err := client.LoadBalancer.All(ctx)
	add("load balancers", len(balancers), err)
	return left
}
