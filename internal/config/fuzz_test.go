package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Whatever the text: no panic, every problem points into the file and says what
// to do, and what is accepted hangs together.
func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*/flotilla.yaml")
	if err != nil || len(seeds) < 40 {
		f.Fatalf("found %d seeds (%v)", len(seeds), err)
	}
	for _, file := range append(seeds, "testdata/full.yaml", "testdata/full.formatted.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fl, err := Parse("f.yaml", data)
		if err != nil {
			lines := 1 + strings.Count(string(data), "\n") + strings.Count(string(data), "\r")
			for _, p := range problem.All(err) {
				if p.At.File != "f.yaml" || p.Summary == "" || strings.Contains(p.Summary, "\n") || len(p.Hints) == 0 {
					t.Errorf("not fit for people: %+v", p)
				}
				if strings.ContainsFunc(problem.Text(p), func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }) {
					t.Errorf("control characters: %q", problem.Text(p))
				}
				if p.At.Line < 0 || p.At.Line > lines {
					t.Errorf("line %d of %d", p.At.Line, lines)
				}
			}
			return
		}
		if !fleetNamePattern.MatchString(fl.Name) {
			t.Errorf("accepted the name %q", fl.Name)
		}
		for name, s := range fl.Servers {
			if len(s.Locations) == 0 || s.Image == "" || s.ServerType == "" || fl.Hetzner == nil {
				t.Errorf("accepted server %q: %+v", name, s)
			}
			for _, key := range s.SSHKeys {
				if k, ok := fl.SSHKeys[key]; !ok || k.Existing == (k.PublicKey != "") {
					t.Errorf("server %q: ssh key %q is %+v", name, key, k)
				}
			}
			for network := range s.Networks {
				if n := fl.Networks[network]; len(n.Subnets) == 0 && !n.Existing {
					t.Errorf("server %q is in network %q, which has no subnet", name, network)
				}
			}
			for _, w := range s.Firewalls {
				if _, ok := fl.Firewalls[w]; !ok {
					t.Errorf("server %q wants firewall %q", name, w)
				}
			}
			if !s.PublicNet.EnableIPv4 && !s.PublicNet.EnableIPv6 && len(s.Networks) == 0 {
				t.Errorf("server %q cannot be reached", name)
			}
		}
		hangsTogether(t, fl)
		for _, h := range fl.Hosts {
			for _, c := range h.Health {
				if c.Within <= 0 || c.HTTP == nil && c.TCP == nil && c.Command == nil && c.Units == nil {
					t.Errorf("accepted the check %+v", c)
				}
			}
		}
		if r := fl.Rollout; r.MaxParallel < 1 || r.MaxUnavailable < 1 || r.ActivationTimeout <= 0 || r.KeepGenerations < 0 || fl.SSH.Port < 1 || fl.SSH.Port > 65535 {
			t.Errorf("accepted %+v, port %d", r, fl.SSH.Port)
		}
	})
}

// hangsTogether looks at the other resources of an accepted fleet, and that
// Format writes the same one.
func hangsTogether(t *testing.T, f fleet.Fleet) {
	t.Helper()
	for name, v := range f.Volumes {
		if _, ok := f.Servers[v.Server]; v.Server != "" && !ok || !v.Existing && (v.Size < 10 || v.Server == "" && v.Location == "") {
			t.Errorf("accepted volume %q: %+v", name, v)
		}
	}
	for name, l := range f.LoadBalancers {
		if l.Type == "" || (l.Location == "") == (l.NetworkZone == "") || len(l.Networks) > 1 {
			t.Errorf("accepted load balancer %q: %+v", name, l)
		}
		for _, s := range l.Services {
			if s.ListenPort < 1 || s.DestinationPort < 1 || s.HealthCheck.Port < 1 || s.HealthCheck.Timeout < 1 || s.HealthCheck.Protocol == "" {
				t.Errorf("load balancer %q: accepted service %+v", name, s)
			}
		}
	}
	for name, w := range f.Firewalls {
		for _, r := range w.Rules {
			if len(r.SourceIPs)+len(r.DestinationIPs) == 0 || (r.Port == "") != (r.Protocol != "tcp" && r.Protocol != "udp") {
				t.Errorf("firewall %q: accepted rule %+v", name, r)
			}
		}
	}
	for _, m := range f.Moved {
		if m.Section == "" || m.From == "" || m.To == "" || m.From == m.To {
			t.Errorf("accepted move %+v", m)
		}
	}
	text, err := Format(f)
	if err != nil {
		t.Fatalf("accepted, but cannot be written: %v", err)
	}
	back, err := Parse("again.yaml", text)
	if err != nil {
		t.Fatalf("%s\n%s", problem.Text(err), text)
	}
	if d := diff(f, back); d != "" {
		t.Errorf("(-read +written and read)\n%s\n%s", d, text)
	}
}
