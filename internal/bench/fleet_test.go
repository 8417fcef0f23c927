//go:build bench

package bench

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKB3UuyhOXwNBqOgbwfSy+3lfbBeh+JxlJmRKj4ZU4kT bench"

// shape says which servers a fleet declares.
type shape struct {
	servers   int
	round     int  // in a label of every server
	loose     bool // any address in the network, and not a fixed one
	protected bool // with backups and protection, which only actions can set
}

// address is one of a server in the private network.
func address(i int) string { return fmt.Sprintf("10.0.1.%d", 10+i) }

// ship is a fleet's repository, and the program on an account.
type ship struct {
	t   *testing.T
	dir string
	env []string
}

func newShip(t *testing.T, a *account) *ship {
	return &ship{t: t, dir: t.TempDir(), env: append(os.Environ(), "HCLOUD_TOKEN="+token, "HCLOUD_ENDPOINT="+a.url+"/v1")}
}

func (s *ship) declare(o shape) {
	s.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `fleet: bench
provider: {hetzner: {token: {env: HCLOUD_TOKEN}, poll_interval: %s}}
networks:
  private:
    ip_range: 10.0.0.0/16
    subnets: [{type: cloud, network_zone: eu-central, ip_range: 10.0.1.0/24}]
ssh_keys: {deploy: {public_key: %s}}
servers:
`, pollInterval, publicKey)
	for i := range o.servers {
		network := fmt.Sprintf("{private: {ip: %s}}", address(i))
		if o.loose {
			network = "{private: {}}"
		}
		fmt.Fprintf(&b, "  web-%d: {server_type: cx22, image: debian-13, location: nbg1, networks: %s, ssh_keys: [deploy], labels: {round: \"%d\"}", i, network, o.round)
		if o.protected {
			b.WriteString(", backups: true, delete_protection: true")
		}
		b.WriteString("}\n")
	}
	write(s.t, s.dir, map[string]string{"flotilla.yaml": b.String(), "hive.nix": "{ meta.nixpkgs = <nixpkgs>; }\n"})
	commit(s.t, s.dir, "Round")
}

func (s *ship) run(args ...string) ended {
	s.t.Helper()
	return run(s.t, s.dir, s.env, flotilla, args...)
}

func (s *ship) apply() ended { s.t.Helper(); return s.run("deploy", "--only", "infra", "--yes") }
func (s *ship) refresh() ended {
	s.t.Helper()
	return s.run("plan", "--only", "infra", "--base", "HEAD")
}

func (s *ship) destroy() ended {
	s.t.Helper()
	args := []string{"destroy", "--yes"}
	for name := range strings.SplitSeq(s.names(), " ") {
		args = append(args, "--allow-destroy", name)
	}
	return s.run(args...)
}

// names are the servers and the network, which destroy wants to be named.
func (s *ship) names() string {
	text, err := os.ReadFile(s.dir + "/flotilla.yaml")
	if err != nil {
		s.t.Fatal(err)
	}
	names := []string{"private"}
	for line := range strings.SplitSeq(string(text), "\n") {
		if name, _, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && strings.HasPrefix(name, "web-") {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}
