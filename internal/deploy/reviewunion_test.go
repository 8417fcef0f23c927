package deploy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/planner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/provision"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// What several pull requests have shown one after the other covers the deploy
// that carries them out at once, also where later ones take earlier ones back.
// Systems are arbitrary, within what people write.
func TestManyChangesTogetherAreCovered(t *testing.T) {
	const histories = 2000
	started := 0
	for seed := range uint64(histories) {
		r := random{rand.New(rand.NewPCG(seed, 1))} //nolint:gosec // a test wants the same numbers each time
		history := []plans.System{r.system()}
		for range 1 + r.IntN(4) {
			history = append(history, r.edit(history[len(history)-1]))
		}
		var seen []plans.Digest
		for i := range history[1:] {
			seen = append(seen, between(history[i], history[i+1])...)
		}
		would := between(history[0], history[len(history)-1])
		for _, d := range plans.Unreviewed(would, seen) {
			// A unit that came unwanted, and was wanted by a change that does not
			// restart it: at once it is a new one that starts.
			if !slices.ContainsFunc(d.What, func(w string) bool { return !strings.HasPrefix(w, "start ") }) && len(d.Risks) == 0 {
				started++
				continue
			}
			t.Fatalf("seed %d: %s\nseen: %s", seed, d, texts(seen))
		}
		// Somebody who was never seen is never covered.
		last := r.edit(history[len(history)-1])
		last.Users["mallory"] = plans.UserFacts{Normal: true, Groups: []string{"wheel"}}
		if left := texts(plans.Unreviewed(between(history[0], last), seen)); !strings.Contains(left, "user mallory group wheel added") {
			t.Fatalf("seed %d: mallory is covered: %s", seed, left)
		}
	}
	if started > histories/200 {
		t.Errorf("%d of %d histories stop at the start of a unit", started, histories)
	}
}

func between(old, new plans.System) []plans.Digest {
	hosts, _, _ := planner.Hosts(map[string]plans.Evaluation{"web": {System: old}}, map[string]plans.Evaluation{"web": {System: new}}, nil)
	return plans.Digests(plans.Part{Hosts: hosts})
}

type random struct{ *rand.Rand }

func (r random) pick(of ...string) string { return of[r.IntN(len(of))] }

func (r random) some(of ...string) []string {
	return slices.DeleteFunc(slices.Clone(of), func(string) bool { return r.IntN(2) == 0 })
}

func (r random) unit() plans.UnitText {
	text := fmt.Sprintf("[Unit]\nDescription=%s\n[Service]\nExecStart=/bin/%s\n", r.pick("a", "b"), r.pick("a", "b", "c"))
	text += r.pick("", "", "X-StopIfChanged=false\n", "X-RestartIfChanged=false\n", "X-ReloadIfChanged=true\n", "X-Reload-Triggers=a\n", "X-Reload-Triggers=b\n")
	return plans.UnitText{Text: text, Enabled: r.IntN(6) > 0, WantedBy: r.some("multi-user.target")}
}

func (r random) user() plans.UserFacts {
	id := 1000 + r.IntN(3)
	return plans.UserFacts{UID: &id, Normal: r.IntN(2) == 0, Group: r.pick("users", "staff"), Groups: r.some("wheel", "video"), Shell: r.pick("/bin/sh", "/bin/zsh"), Keys: r.some("key one", "key two")}
}

func (r random) system() plans.System {
	s := plans.System{
		Host: "web", Units: map[string]plans.UnitText{}, Users: map[string]plans.UserFacts{}, Etc: map[string]plans.EtcEntry{},
		Firewall: plans.Firewall{Enabled: true, Ports: plans.FirewallPorts{TCP: []string{"22"}}}, SSHD: plans.SSHD{Enabled: true, Ports: []int{22}, Settings: map[string]string{}},
	}
	for range 6 {
		s = r.edit(s)
	}
	return s
}

// edit gives a system that differs in one or several things.
func (r random) edit(old plans.System) plans.System {
	s := old
	s.Units, s.Users, s.Etc, s.Images = cloned(s.Units), cloned(s.Users), cloned(s.Etc), cloned(s.Images)
	s.SSHD.Settings = cloned(s.SSHD.Settings)
	for range 1 + r.IntN(4) {
		switch name := r.pick("a", "b", "c"); r.IntN(12) {
		case 0:
			s.Units[name+".service"] = r.unit()
		case 1:
			delete(s.Units, name+".service")
		case 2:
			s.Users[name] = r.user()
		case 3:
			delete(s.Users, name)
		case 4:
			s.Firewall.Ports.TCP = append([]string{"22"}, r.some("80", "443", "8000-8010")...)
		case 5:
			s.SSHD.Settings["PermitRootLogin"] = r.pick("no", "yes", "prohibit-password")
		case 6:
			text := r.pick("one", "two", "three")
			s.Etc[r.pick("motd", "sudoers", "pam.d/sshd", "ssh/ssh_config")] = plans.EtcEntry{Text: &text, Mode: "symlink"}
		case 7:
			s.Boot.KernelVersion = r.pick("6.1", "6.6", "6.12")
			s.Boot.Kernel = "/nix/store/00000000000000000000000000000000-linux-" + s.Boot.KernelVersion
		case 8:
			s.StateVersion = r.pick("24.11", "25.05", "25.11")
		case 9:
			s.Services.PostgreSQL = plans.PostgreSQL{Version: r.pick("15", "16", "17"), DataDir: r.pick("/a", "/b")}
			s.Services.PostgreSQL.Major = s.Services.PostgreSQL.Version
		case 10:
			if s.Images == nil {
				s.Images = map[string]string{}
			}
			s.Images[name] = r.pick("app:1", "app:2", "app:3")
		case 11:
			delete(s.Images, name)
		}
	}
	system, err := storepath.Parse(fmt.Sprintf("/nix/store/%032d-nixos", r.Uint64()%1e15))
	if err == nil {
		s.OutPath = system
	}
	return s
}

func cloned[V any](m map[string]V) map[string]V {
	c := map[string]V{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

// The same for what is at the provider. What counts at creation only is left out:
// no plan of a server that is declared already shows the value that it will get.
func TestManyChangesOfResourcesAreCovered(t *testing.T) {
	changes := func(old, new fleet.Fleet) []plans.Digest {
		return plans.Digests(plans.Part{Resources: provision.Diff(new, provision.Applied(old), provision.Options{})})
	}
	for seed := range uint64(1000) {
		r := random{rand.New(rand.NewPCG(seed, 2))} //nolint:gosec // a test wants the same numbers each time
		history := []fleet.Fleet{r.fleet(fleet.Fleet{Name: "acme"})}
		for range 1 + r.IntN(4) {
			history = append(history, r.fleet(history[len(history)-1]))
		}
		var seen []plans.Digest
		for i := range history[1:] {
			seen = append(seen, changes(history[i], history[i+1])...)
		}
		if left := plans.Unreviewed(changes(history[0], history[len(history)-1]), seen); len(left) > 0 {
			t.Fatalf("seed %d: %s\nseen: %s", seed, texts(left), texts(seen))
		}
	}
}

// fleet gives one that differs in some things.
func (r random) fleet(f fleet.Fleet) fleet.Fleet {
	f.Servers, f.Firewalls, f.Volumes = cloned(f.Servers), cloned(f.Firewalls), cloned(f.Volumes)
	for range 1 + r.IntN(3) {
		switch name := r.pick("a", "b", "c"); r.IntN(6) {
		case 0:
			delete(f.Servers, name)
		case 1, 2:
			s := f.Servers[name]
			s.ServerType, s.Image, s.Locations = r.pick("cx22", "cx32"), "debian-13", []string{"nbg1"}
			s.Labels, s.Firewalls = map[string]string{"env": r.pick("prod", "test")}, nil
			if _, ok := f.Firewalls["a"]; ok {
				s.Firewalls = r.some("a")
			}
			f.Servers[name] = s
		case 3:
			var rules []fleet.FirewallRule
			for _, port := range r.some("80", "443", "22") {
				rules = append(rules, fleet.FirewallRule{Direction: "in", Protocol: "tcp", Port: port, SourceIPs: []string{r.pick("0.0.0.0/0", "10.0.0.0/8")}})
			}
			f.Firewalls["a"] = fleet.Firewall{Rules: rules}
		case 4:
			f.Volumes[name] = fleet.Volume{Size: 10 + 10*r.IntN(3), Location: "nbg1"}
		case 5:
			delete(f.Volumes, name)
		}
	}
	return f
}
