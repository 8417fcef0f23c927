package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Whatever the text: no panic, every problem points into the file and says what
// to do, and what is accepted hangs together.
func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*/flotilla.yaml")
	if err != nil || len(seeds) < 40 {
		f.Fatalf("found %d seeds (%v)", len(seeds), err)
	}
	for _, file := range append(seeds, "testdata/full.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fleet, err := Parse("f.yaml", data)
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
		if !fleetNamePattern.MatchString(fleet.Name) {
			t.Errorf("accepted the name %q", fleet.Name)
		}
		for name, s := range fleet.Servers {
			if len(s.SSHKeys) == 0 || len(s.Locations) == 0 || s.Image == "" || s.ServerType == "" || fleet.Hetzner == nil {
				t.Errorf("accepted server %q: %+v", name, s)
			}
			for _, key := range s.SSHKeys {
				if k, ok := fleet.SSHKeys[key]; !ok || k.Existing == (k.PublicKey != "") {
					t.Errorf("server %q: ssh key %q is %+v", name, key, k)
				}
			}
			for network := range s.Networks {
				if len(fleet.Networks[network].Subnets) == 0 {
					t.Errorf("server %q is in network %q, which has no subnet", name, network)
				}
			}
		}
		for _, h := range fleet.Hosts {
			for _, c := range h.Health {
				if c.Within <= 0 || c.HTTP == nil && c.TCP == nil && c.Command == nil && c.Units == nil {
					t.Errorf("accepted the check %+v", c)
				}
			}
		}
		if r := fleet.Rollout; r.MaxParallel < 1 || r.MaxUnavailable < 1 || r.ActivationTimeout <= 0 || r.KeepGenerations < 0 || fleet.SSH.Port < 1 || fleet.SSH.Port > 65535 {
			t.Errorf("accepted %+v, port %d", r, fleet.SSH.Port)
		}
	})
}
