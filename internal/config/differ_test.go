package config

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDifferences(t *testing.T) {
	const old = `fleet: acme
provider: {hetzner: {token: {env: A}, poll_interval: 1s}}
ssh:
  user: root
  port: 22
servers: {web: {server_type: cx22}}
hosts:
  "@web":
    health: [{tcp: {port: 80}}, {tcp: {port: 443}}]
rollout: &r {waves: ["@canary"], max_parallel: 3}
`
	for name, c := range map[string]struct {
		new  string
		want []string
	}{
		"nothing": {old, nil},
		"written otherwise": {`ssh: {port: 22, "user": root}
rollout: {max_parallel: 3, waves: ['@canary']}
hosts: {"@web": {health: [{tcp: {port: 80}}, {tcp: {port: 443}}]}}
fleet: acme
servers: {other: {server_type: cx32}}
provider: {hetzner: {poll_interval: 1s, token: {env: A}}}
`, nil},
		"all kinds": {`fleet: other
provider:
  hetzner:
    endpoint: http://127.0.0.1:1/
    token: {env: B}
ssh: {user: root, port: "22"}
hosts:
  "@web":
    health: [{tcp: {port: 443}}, {tcp: {port: 80}}]
    address: 192.0.2.1
  "x\u0007y": {}
`, []string{
			"fleet 1:1", "provider.hetzner.endpoint 4:5", "provider.hetzner.token.env 5:13", "provider.hetzner.poll_interval 3:3", "ssh.port 6:19",
			`hosts."@web".health 9:5`, `hosts."@web".address 10:5`, "hosts.x\ufffdy 11:3", "rollout 1:1",
		}},
		"a section that is a value": {"fleet: acme\nssh: root\n", []string{"ssh 2:1", "provider 1:1", "hosts 1:1", "rollout 1:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{"old/flotilla.yaml": old, "new/flotilla.yaml": c.new})
			file := filepath.Join(dir, "new", FileName)
			found, err := Differences(filepath.Join(dir, "old", FileName), file, "servers")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range found {
				if d.At.File != file {
					t.Errorf("%s is in %s", d.Key, d.At.File)
				}
				d.At.File = ""
				got = append(got, d.Key+" "+d.At.String()[1:])
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"good.yaml": "fleet: a\n", "bad.yaml": "a: [\n"})
	for _, pair := range [][2]string{{"good.yaml", "bad.yaml"}, {"bad.yaml", "good.yaml"}, {"good.yaml", "absent.yaml"}} {
		if _, err := Differences(filepath.Join(dir, pair[0]), filepath.Join(dir, pair[1])); err == nil {
			t.Errorf("%v: no error", pair)
		}
	}
}

// Whatever two files hold, a comparison ends, and a file is as it is itself.
func FuzzDifferences(f *testing.F) {
	for _, pair := range [][2]string{
		{"fleet: a\n", "fleet: b\n"}, {"a: [1, {b: c}]\n", "a: {b: [c]}\n"}, {"a: &x {b: 1}\nc: *x\n", "a: &x {b: 2}\nc: {<<: *x}\n"}, {"a:\n", "- a\n"}, {"\"\": 1\n", "? [a]\n: b\n"},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		var roots []*node
		for _, text := range []string{a, b} {
			src, clean := newSource("x", []byte(text))
			root := src.parse(clean)
			if root == nil || src.err() != nil {
				return
			}
			roots = append(roots, root)
		}
		none := func(string) bool { return false }
		for _, root := range roots {
			d := differ{file: "x"}
			if d.mappings("", root, root, none); len(d.found) != 0 {
				t.Fatalf("%q differs from itself: %v", []string{a, b}, d.found)
			}
		}
		d := differ{file: "x"}
		d.mappings("", roots[0], roots[1], none)
		for _, found := range d.found {
			if found.Key == "" {
				t.Fatalf("%q and %q: %+v", a, b, found)
			}
		}
	})
}
