package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Each limit of the provider: as much as it takes, and one more.
func TestLimits(t *testing.T) {
	const head = "fleet: a\nprovider: {hetzner: {token: {env: T}}}\n"
	server := func(more string) string { return "{server_type: t, image: i, location: l, ssh_keys: []" + more + "}" }
	list := func(n int, element string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(element, i))
		}
		return strings.Join(all, ", ")
	}
	for name, c := range map[string]struct {
		most    int
		text    func(n int) string
		problem string
	}{
		"rules": {50, func(n int) string {
			return "firewalls: {w: {rules: [" + list(n, "{direction: in, protocol: tcp, port: 1%d, source_ips: [0.0.0.0/0]}") + "]}}"
		}, "has 51 rules"},
		"ranges": {100, func(n int) string {
			return "firewalls: {w: {rules: [{direction: in, protocol: icmp, source_ips: [" + list(n, "10.%d.0.0/16") + "]}]}}"
		}, "has 101 ranges"},
		"firewalls": {5, func(n int) string {
			return "firewalls: {" + list(n, "w%d: {}") + "}\nservers: {s: " + server(", firewalls: ["+list(n, "w%d")+"]") + "}"
		}, "has 6 firewalls"},
		"group": {10, func(n int) string {
			return "placement_groups: {g: {}}\nservers: {" + list(n, "s%d: "+server(", placement_group: g")) + "}"
		}, "more than 10 servers"},
		"user_data": {28 << 10, func(n int) string {
			return "servers: {s: " + server(", user_data: "+strings.Repeat("x", n)) + "}"
		}, "larger than 28 KiB"},
		"description": {255, func(n int) string {
			return "firewalls: {w: {rules: [{direction: in, protocol: icmp, source_ips: [0.0.0.0/0], description: " + strings.Repeat("x", n) + "}]}}"
		}, "more than 255 characters"},
		"name":   {63, func(n int) string { return "volumes: {" + strings.Repeat("x", n) + ": {size: 10, location: l}}" }, "cannot be the name of a volume"},
		"volume": {10240, func(n int) string { return fmt.Sprintf("volumes: {v: {size: %d, location: l}}", n) }, "out of bounds"},
		"networks": {1, func(n int) string {
			return "networks: {" + list(n, "n%d: {existing: true}") + "}\nload_balancers: {l: {load_balancer_type: t, location: l, networks: {" + list(n, "n%d: {}") + "}}}"
		}, "several networks"},
		"label": {63, func(n int) string {
			return "volumes: {v: {size: 10, location: l, labels: {a: " + strings.Repeat("x", n) + "}}}"
		}, "cannot be the value of a label"},
		"listen_port": {65535, func(n int) string {
			return fmt.Sprintf("load_balancers: {l: {load_balancer_type: t, location: l, services: [{protocol: http, listen_port: %d}]}}", n)
		}, "out of bounds"},
		"port, of two": {65535, func(n int) string {
			return fmt.Sprintf("firewalls: {w: {rules: [{direction: in, protocol: tcp, port: 1-%d, source_ips: [0.0.0.0/0]}]}}", n)
		}, "is not a port"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse("f", []byte(head+c.text(c.most)+"\n")); err != nil {
				t.Errorf("%d: %s", c.most, problem.Text(err))
			}
			_, err := Parse("f", []byte(head+c.text(c.most+1)+"\n"))
			if all := problem.All(err); len(all) != 1 || !strings.Contains(all[0].Summary, c.problem) {
				t.Errorf("%d: got %s", c.most+1, problem.Text(err))
			}
		})
	}
}
