package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

var update = flag.Bool("update", false, "rewrite testdata/*/want.txt")

// Every folder of testdata is a file with mistakes and the text that a person
// gets to see. The texts are read by people when they change.
func TestErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/*/flotilla.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("found %d cases (%v)", len(files), err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = parse("flotilla.yaml", data, inside(dir, dir))
			if err == nil {
				t.Fatal("no error")
			}
			for _, p := range problem.All(err) {
				if p.At.File != "flotilla.yaml" || len(p.Hints) == 0 {
					t.Errorf("a problem without place or hint: %v", p)
				}
			}
			got := problem.Text(err)
			golden := filepath.Join(dir, "want.txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func sel(t *testing.T, s string) fleet.Selector {
	t.Helper()
	parsed, err := fleet.ParseSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func diff(a, b fleet.Fleet) string {
	return cmp.Diff(a, b, cmp.Comparer(func(a, b fleet.Selector) bool { return a.String() == b.String() }), cmpopts.EquateEmpty())
}

func TestDefaults(t *testing.T) {
	got, err := Parse("f", []byte("fleet: a\nssh:\nrollout:\nhosts:\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := fleet.Fleet{
		Name: "a", SSH: fleet.SSH{User: "root", Port: 22, Address: "ipv4"},
		Networks: map[string]fleet.Network{}, SSHKeys: map[string]fleet.SSHKey{}, Servers: map[string]fleet.Server{},
		Rollout: fleet.Rollout{MaxParallel: 10, MaxUnavailable: 1, OnFailure: fleet.RollbackHost, ActivationTimeout: 10 * time.Minute, ConfirmTimeout: time.Minute, KeepGenerations: 10},
		Review:  fleet.Review{DirectPush: fleet.DirectStopOnRisk},
	}
	if d := diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	got, err = Parse("f", []byte("fleet: a\nprovider: {hetzner: {token: {env: T}}}\n"))
	if err != nil || got.Hetzner == nil || got.Hetzner.PollInterval != 500*time.Millisecond || got.Hetzner.Endpoint != "" {
		t.Errorf("provider defaults: %+v, %v", got.Hetzner, err)
	}
}

// Forms of YAML that must not change what is read.
func TestForms(t *testing.T) {
	for name, text := range map[string]string{
		"plain":        "fleet: acme\nhosts:\n  \"@web\": {health: [{tcp: {port: 80}}]}\n  db: {health: [{tcp: {port: 80}}]}\n",
		"crlf":         "fleet: acme\r\nhosts:\r\n  \"@web\":\r\n    health:\r\n      - tcp: {port: 80}\r\n  db:\r\n    health:\r\n      - tcp:\r\n          port: 80\r\n",
		"bom":          "\ufefffleet: acme\nhosts:\n  '@web': {health: [{tcp: {port: 80}}]}\n  db: {health: [{tcp: {port: 80}}]}\n",
		"document":     "%YAML 1.2\n---\n# comment\nfleet: acme # comment\nhosts:\n  \"@web\": {health: [{tcp: {port: 80}}]}\n  db: {health: [{tcp: {port: 80}}]}\n...\n",
		"json":         `{"fleet": "acme", "hosts": {"@web": {"health": [{"tcp": {"port": 80}}]}, "db": {"health": [{"tcp": {"port": 80}}]}}}`,
		"alias":        "fleet: acme\nhosts:\n  \"@web\": &h {health: [{tcp: {port: 80}}]}\n  db: *h\n",
		"merge":        "fleet: acme\nhosts:\n  \"@web\": &h {health: [{tcp: {port: 80}}]}\n  db: {<<: *h}\n",
		"merge list":   "fleet: acme\nhosts:\n  \"@web\": &h\n    health:\n      - &t\n        tcp: &p\n          port: 80\n  db:\n    <<: [*h]\n    health: [{<<: [{tcp: *p}, *t]}]\n",
		"document ---": "---\nfleet: acme\nhosts:\n  \"@web\": {health: [{tcp: {port: 80}}]}\n  db: {health: [{tcp: {port: 80}}]}\n---\n",
	} {
		f, err := Parse(name, []byte(text))
		if err != nil {
			t.Errorf("%s: %s", name, problem.Text(err))
			continue
		}
		if f.Name != "acme" || len(f.Hosts) != 2 || f.Hosts[0].Selector.String() != "@web" || f.Hosts[1].Selector.String() != "db" ||
			len(f.Hosts[1].Health) != 1 || f.Hosts[1].Health[0].TCP == nil || f.Hosts[1].Health[0].TCP.Port != 80 {
			t.Errorf("%s: got %+v", name, f)
		}
	}
}

// Whoever writes a secret into the file must not find it in the log as well.
func TestSecretsAreNotShown(t *testing.T) {
	const secret = "Zq8vT3kLm0PsWx7Rb2Ny5Hd9Jc4Fg6Ua1Ei0Oo3Tt8Yy2Vv5Bb7Nn9Mm4Kk6Ll1Qq"
	for _, text := range []string{
		"provider: {hetzner: {token: SECRET}}",
		"provider: {hetzner: {token: [SECRET]}}",
		"provider: {hetzner: {token: {env: SECRET}}}",
		"provider: {hetzner: {token: {value: SECRET}}}",
		"provider: {hetzner: {tokn: SECRET}}",
		"provider: {hetzner: SECRET}",
		"provider: SECRET",
		"token: SECRET",
		"SECRET: x",
		"ssh: {key: SECRET}",
		"ssh: {port: SECRET}",
		"servers: {a: {ssh_keys: SECRET}}",
		"provider: {hetzner: {token: {env: T}, endpoint: \"https://me:SECRET@example.com\"}}",
		"hosts: {a: {health: [{http: {url: \"https://me:SECRET@example.com\"}}]}}",
		"ssh_keys: {a: {public_key: SECRET}}",
		"ssh_keys: {a: {public_key: \"-----BEGIN OPENSSH PRIVATE KEY-----SECRET\"}}",
		"servers: {a: {user_data: [SECRET]}}",
		"servers: {a: {user_data: {file: SECRET}}}",
		"servers: {a: {user_data: {token: SECRET}}}",
		"firewalls: {w: {rules: [{port: SECRET}]}}",
		"load_balancers: {l: {services: [{http: {certificates: SECRET}}]}}",
		"moved: [{from: SECRET, to: SECRET}]",
		"primary_ips: {p: {dns_ptr: SECRET_}}",
		"a: b: SECRET",
	} {
		_, err := Parse("f", []byte("fleet: a\n"+strings.ReplaceAll(text, "SECRET", secret)))
		if err == nil {
			t.Errorf("%s: no error", text)
			continue
		}
		if shown := problem.Text(err) + err.Error(); strings.Contains(shown, secret[:45]) {
			t.Errorf("%s: the secret is shown:\n%s", text, shown)
		}
	}
}

func TestHostile(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "]\n"
	}
	for name, text := range map[string]string{
		"bomb":        bomb,
		"flow":        strings.Repeat("[", 100_000),
		"maps":        strings.Repeat("{a: ", 50_000),
		"dashes":      strings.Repeat("- ", 100_000),
		"questions":   strings.Repeat("? ", 100_000),
		"tags":        strings.Repeat("!a ", 100_000),
		"anchors":     strings.Repeat("&a ", 100_000),
		"aliases":     "a: &a x\nb: [" + strings.Repeat("*a,", 150_000) + "]",
		"large":       strings.Repeat("# comment\n", 200_000),
		"staircase":   staircase(1300),
		"self":        "a: &a [*a]\n",
		"cycle":       "a: &a 1\nb: &b [*a]\nc: &a [*b]\nd: *a\n",
		"bytes":       "fleet: \xff\xfe\n",
		"nul":         "fleet: a\x00b\n",
		"colour":      "fleet: \"\x1b[31m\"\n\x1b[31m: x\n",
		"colour key":  "fleet: a\nnetworks: {\"\x1b[31m\": {ip_range: 1}}\nssh: {address: private.x}\n",
		"colour word": "fleet: a\nhosts: {@\x1b[31m: x}\n*\x1b[2J: x\n",
		"quotes":      strings.Repeat("\"", 100_001),
		"long line":   "fleet: " + strings.Repeat("ab ", 100_000) + "\n",
		"wrong names": wrongNames(2500),
		"many errors": strings.Repeat("x: &y {z: 1}\n", 5_000),
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, err := Parse("f", []byte(text))
			if err == nil {
				t.Fatal("no error")
			}
			if d := time.Since(begin); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
			shown := problem.Text(err)
			if strings.ContainsAny(shown, "\x1b\x00") || len(shown) > 60_000 {
				t.Errorf("unfit for a terminal (%d bytes): %.300q", len(shown), shown)
			}
		})
	}
}

// wrongNames refers to many things that are not declared, beside many that are.
func wrongNames(n int) string {
	var b strings.Builder
	b.WriteString("fleet: a\nvolumes:\n")
	for i := range n {
		fmt.Fprintf(&b, " v%d: {size: 10, server: s%d}\n", i, i)
	}
	b.WriteString("moved:\n")
	for i := range n {
		fmt.Fprintf(&b, " - {from: a%d, to: b%d}\n", i, i)
	}
	return b.String()
}

func staircase(steps int) string {
	var b strings.Builder
	for i := range steps {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestManyProblemsAreCut(t *testing.T) {
	var b strings.Builder
	b.WriteString("fleet: a\nservers:\n")
	for i := range 40 {
		b.WriteString("  s" + string(rune('a'+i%26)) + strings.Repeat("x", i/26) + ": {}\n")
	}
	_, err := Parse("f", []byte(b.String()))
	all := problem.All(err)
	if len(all) != maxProblems+1 || !strings.Contains(all[maxProblems].Summary, "more problems") {
		t.Errorf("%d problems, the last %v", len(all), all[len(all)-1])
	}
	var p *problem.Problem
	if !errors.As(err, &p) || problem.CodeOf(err) != problem.Failed {
		t.Errorf("got %T with code %d", err, problem.CodeOf(err))
	}
}
