package config

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

var fleets = flag.Int("fleets", 300, "how many random fleets TestFormatRandom writes")

// again reads what Format writes.
func again(t *testing.T, f fleet.Fleet) ([]byte, fleet.Fleet) {
	t.Helper()
	text, err := Format(f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("again.yaml", text)
	if err != nil {
		t.Fatalf("%s\n%s", problem.Text(err), text)
	}
	return text, got
}

// The text is read by people when it changes.
func TestFormatFull(t *testing.T) {
	_, want := full(t)
	text, got := again(t, want)
	if d := diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s\n%s", d, text)
	}
	const golden = "testdata/full.formatted.yaml"
	if *update {
		if err := os.WriteFile(golden, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wanted, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(wanted), string(text)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// What nobody set is the default, and not written.
func TestFormatSparse(t *testing.T) {
	text, _ := again(t, fleet.Fleet{
		Name:            "a",
		Hetzner:         &fleet.Hetzner{Token: fleet.EnvRef{Env: "T"}},
		PlacementGroups: map[string]fleet.PlacementGroup{"g": {}, "x": {Existing: true}},
		Networks:        map[string]fleet.Network{"lan": {IPRange: "10.0.0.0/16", Subnets: []fleet.Subnet{{NetworkZone: "eu-central", IPRange: "10.0.1.0/24"}}}},
		Firewalls: map[string]fleet.Firewall{"w": {Rules: []fleet.FirewallRule{
			{Direction: "in", Protocol: "icmp", SourceIPs: []string{"10.0.0.5/8", "0::/0"}}, // as people write it in other tools
		}}},
		Servers: map[string]fleet.Server{"s": {ServerType: "cx22", Image: "debian-12", Locations: []string{"nbg1"}, PublicNet: fleet.PublicNet{EnableIPv4: true, EnableIPv6: true}}},
		LoadBalancers: map[string]fleet.LoadBalancer{"l": {
			Type: "lb11", Location: "nbg1", PublicInterface: true,
			Services: []fleet.LoadBalancerService{{Protocol: "tcp", ListenPort: 1, DestinationPort: 2}, {Protocol: "http"}},
		}},
	})
	want := `fleet: a
provider:
  hetzner:
    token: {env: T}
networks:
  lan:
    ip_range: 10.0.0.0/16
    subnets: [{network_zone: eu-central, ip_range: 10.0.1.0/24}]
firewalls:
  w:
    rules:
      - {direction: in, protocol: icmp, source_ips: [10.0.0.0/8, "::/0"]}
placement_groups:
  g: {}
  x: {existing: true}
servers:
  s:
    server_type: cx22
    image: debian-12
    location: nbg1
    ssh_keys: []
load_balancers:
  l:
    load_balancer_type: lb11
    location: nbg1
    services:
      - {protocol: tcp, listen_port: 1, destination_port: 2}
      - {protocol: http}
`
	if d := cmp.Diff(want, string(text)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestFormatErrors(t *testing.T) {
	if _, err := Format(fleet.Fleet{Name: "a", Hosts: []fleet.HostSettings{{Selector: sel(t, "a")}, {Selector: sel(t, "a")}}}); err == nil {
		t.Error("two entries of one selector were written as one")
	}
	if _, err := Format(fleet.Fleet{Name: "\xff"}); err == nil {
		t.Error("wrote what is not UTF-8")
	}
}

// Every text comes back as it was, in every place of a file.
func TestFormatText(t *testing.T) {
	for _, text := range []string{
		"", " ", "a", "a b", " a", "a ", "#a", "a #b", "a: b", "a:", ":a", "- a", "-", "--", "---", "...", "?", "? a", "[a]", "{a}", "a, b", "a]", "*a", "&a", "!a", "|", ">", "%a", "@a", "`a`",
		"'", `"`, `\`, `\n`, "it's", `say "hi"`, "true", "False", "yes", "NO", "on", "null", "~", "Null", ".inf", "-.INF", ".nan", "<<", "=", "1", "1.0", "0x10", "0o7", "010", "1e3", "1_000", "12:30:45", "2026-11-22",
		"1.2.3", "10.0.1.3", "10.0.0.0/16", "::1", "::/0", "2001:db8::1", "1024-5000", "80-443", "2022-11", "1-2", "+1", ".5", "a\nb", "a\nb\n", "a\n\nb", "\na\nb", "a\nb\n\n", "a\n b\n", " a\nb", "a\n\tb", "a \nb", "a\t\nb",
		"a\rb", "a\r\nb", "a\u0085b", "a\u2028b", "\ufeffa", "a\x01b", "a\x7fb", "ü€", "😀\nx", "\t", "a\tb", "#cloud-config\nruncmd:\n  - [echo, \"hi: there\"]\n", "a\n# b\n", "a\n---\nb\n", "a\n...\nb\n", "key: |\n  x\n", strings.Repeat("long ", 60), "\u00a0a", "a\\u0041",
	} {
		f := fleet.Fleet{
			Name: "a", Hetzner: &fleet.Hetzner{Token: fleet.EnvRef{Env: "T"}},
			Firewalls: map[string]fleet.Firewall{"w": {Rules: []fleet.FirewallRule{{Direction: "in", Protocol: "icmp", SourceIPs: []string{"0.0.0.0/0"}, Description: text}}}},
			Servers:   map[string]fleet.Server{"s": {ServerType: "t", Image: "i", Locations: []string{"l"}, UserData: text, PublicNet: fleet.PublicNet{EnableIPv4: true}}},
			Hosts:     []fleet.HostSettings{{Selector: sel(t, "h"), Health: []fleet.Check{{Command: &fleet.CommandCheck{Argv: []string{"x", text}}, Within: time.Second}}}},
		}
		written, err := Format(f)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse("again.yaml", written)
		if err != nil {
			if len(text) > maxDescription {
				continue
			}
			t.Errorf("%q: %s\n%s", text, problem.Text(err), written)
			continue
		}
		for where, back := range map[string]string{"description": got.Firewalls["w"].Rules[0].Description, "user_data": got.Servers["s"].UserData, "argv": got.Hosts[0].Health[0].Command.Argv[1]} {
			if back != text {
				t.Errorf("%s: %q came back as %q from\n%s", where, text, back, written)
			}
		}
	}
}

func TestFormatRandom(t *testing.T) {
	for seed := range uint64(*fleets) {
		g := generator{rand.New(rand.NewPCG(seed, 3))}
		want := g.fleet(t)
		text, got := again(t, want)
		if d := diff(want, got); d != "" {
			t.Fatalf("seed %d: (-want +got)\n%s\n%s", seed, d, text)
		}
		twice, _ := again(t, got)
		if string(twice) != string(text) {
			t.Fatalf("seed %d: written twice it differs: %s", seed, cmp.Diff(string(text), string(twice)))
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if strings.TrimRight(line, " ") != line {
				t.Fatalf("seed %d: %q ends with a blank", seed, line)
			}
		}
	}
}

// generator makes valid fleets.
type generator struct{ *rand.Rand }

func (g generator) yes() bool { return g.IntN(2) == 0 }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func some[T any](g generator, from ...T) []T {
	var out []T
	for _, v := range from {
		if g.yes() {
			out = append(out, v)
		}
	}
	return out
}

// text is anything that people, tools and attackers write.
func (g generator) text(longest int) string {
	parts := []string{"a", "Z", "0", "-", ".", ":", " ", "#", "\n", "\n", "\t", "\"", "'", "\\", "{", "}", "[", "]", ",", "&", "*", "!", "|", ">", "%", "@", "ü", "😀", "\r", "\x01", "true", "null", ": ", "- "}
	var out strings.Builder
	for range g.IntN(longest) {
		out.WriteString(pick(g, parts...))
	}
	return out.String()
}

func (g generator) labels() map[string]string {
	out := map[string]string{}
	for _, key := range some(g, "env", "acme.example/role", "x", "0") {
		out[key] = pick(g, "", "prod", "1", "true", "a.b-c_d", "null")
	}
	return out
}

func (g generator) names(kind string) []string {
	var out []string
	for i := range g.IntN(4) {
		out = append(out, pick(g, kind, "x-", "0.", "on.", "servers.")+fmt.Sprint(i))
	}
	return out
}

func random[V any](g generator, kind string, make func(i int) V) map[string]V {
	out := map[string]V{}
	for i, name := range g.names(kind) {
		out[name] = make(i)
	}
	return out
}
