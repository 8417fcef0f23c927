package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// checker looks at decoded values. The node beside each value gives its place
// and tells whether it was written at all and could be decoded.
type checker struct {
	*source
	file *fleetFile
	open reader // nil: no file that flotilla.yaml names can be read

	known    index
	taken    map[string]string   // network and address → server or load balancer
	assigned map[string]string   // primary IP → server
	spread   map[string][]string // placement group → servers
}

func (c *checker) check(root *node) {
	if root.bad {
		return
	}
	c.fleetName(root)
	c.hive(root)
	c.provider(root)
	c.ssh(root)
	c.known = c.file.index()
	c.taken, c.assigned, c.spread = map[string]string{}, map[string]string{}, map[string][]string{}
	c.networks(root.good("networks"))
	c.sshKeys(root.good("ssh_keys"))
	c.firewalls(root.good("firewalls"))
	c.placementGroups(root.good("placement_groups"))
	c.primaryIPs(root.good("primary_ips"))
	c.volumes(root.good("volumes"))
	c.servers(root.good("servers"))
	c.loadBalancers(root.good("load_balancers"))
	c.moved(root.good("moved"))
	c.hosts(root.good("hosts"))
	c.rollout(root.good("rollout"))
	c.evaluation(root.good("evaluation"))
}

// need reports a key that must be there, and gives its node if it is usable.
func (c *checker) need(n *node, key, of, hint string) *node {
	if v := n.get(key); v == nil {
		c.report(n.key, fmt.Sprintf("%s has no %s", of, key), hint)
	}
	return n.good(key)
}

var fleetNamePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

const maxFleetName = 32

func (c *checker) fleetName(root *node) {
	n := root.get("fleet")
	if n == nil {
		p := c.add(position{1, 1}, "the fleet has no name", "Add a line such as: fleet: acme")
		p.Source = ""
		return
	}
	if n.bad {
		return
	}
	name := c.file.Fleet
	if !fleetNamePattern.MatchString(name) || len(name) > maxFleetName {
		c.report(n.value, fmt.Sprintf("%s cannot be the name of a fleet", quote(name)),
			fmt.Sprintf("Use 1 to %d letters, digits, dots, dashes and underscores, with a letter or digit at both ends: the name becomes a label on every server.", maxFleetName))
	}
}

func (c *checker) hive(root *node) {
	hive, flake := root.good("hive"), root.good("flake")
	if hive != nil && flake != nil {
		c.report(flake.key, fmt.Sprintf("both hive and flake are given (hive in line %d)", hive.key.line), "Keep the one that holds the hosts.")
	}
	if hive != nil {
		c.relative(hive, "hive", c.file.Hive, "hive: ./hive.nix")
		if path.Base(c.file.Hive) == "flake.nix" {
			c.report(hive.value, "hive names a flake", "Write flake: with the folder that holds flake.nix, for example flake: .")
		}
	}
	if flake != nil {
		c.relative(flake, "flake", c.file.Flake, "flake: .")
		if strings.HasSuffix(c.file.Flake, ".nix") {
			c.report(flake.value, "flake must name a folder, but this is a file", "Write the folder that holds flake.nix, for example flake: .")
		}
	}
}

func (c *checker) relative(n *node, key, value, example string) {
	switch {
	case strings.TrimSpace(value) == "":
		c.report(n.value, key+" is empty", "Write a path relative to this file's folder, for example "+example)
	case path.IsAbs(value) || strings.HasPrefix(value, "~") || strings.Contains(value, ":"):
		c.report(n.value, fmt.Sprintf("%s must be a path relative to this file's folder, but this is %s", key, quote(value)), "Write for example "+example)
	}
}

var envPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

func (c *checker) provider(root *node) {
	if root.get("provider") == nil {
		for _, section := range sectionNames() {
			if n := root.good(section); n != nil && len(n.fields) > 0 {
				c.report(n.key, section+" are declared, but no provider to create them at",
					"Add a section: provider: {hetzner: {token: {env: HCLOUD_TOKEN}}}")
				return
			}
		}
		return
	}
	provider := root.good("provider")
	if provider == nil {
		return
	}
	if provider.get("hetzner") == nil && len(provider.fields) == 0 {
		c.report(provider.key, "provider names none", "Write provider: {hetzner: {token: {env: HCLOUD_TOKEN}}}, or remove the section.")
		return
	}
	h := provider.good("hetzner")
	if h == nil || c.file.Provider.Hetzner == nil {
		return
	}
	settings := c.file.Provider.Hetzner
	if token := c.need(h, "token", "provider.hetzner", envExample("token")); token != nil {
		c.env(token, settings.Token, "provider.hetzner.token")
	}
	if n := h.good("endpoint"); n != nil {
		c.endpoint(n, settings.Endpoint)
	}
	c.duration(h.good("poll_interval"), "poll_interval", settings.PollInterval, 10*time.Millisecond, time.Minute)
}

func (c *checker) env(n *node, ref secretRef, where string) {
	env := n.get("env")
	if env == nil {
		if len(n.fields) == 0 {
			c.report(n.value, where+" does not say where it is", envExample(where))
		}
		return
	}
	// A name of such a length, or with other characters, may be the secret itself.
	if !env.bad && (!envPattern.MatchString(ref.Env) || looksSecret.MatchString(ref.Env)) {
		p := c.add(env.value, where+".env is not the name of an environment variable", envExample(where),
			"If this is the secret itself and it was committed, revoke it: it stays in the git history.")
		p.Source = ""
	}
}

func (c *checker) endpoint(n *node, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		c.report(n.value, "endpoint is not a URL", "Write for example https://api.hetzner.cloud/v1, or remove the line to use that.")
		return
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		p := c.add(n.value, "endpoint must be scheme, host and path alone", "Remove user, password, query and fragment.")
		p.Source = ""
	}
	if u.Scheme == "http" && !near(u.Hostname()) {
		c.report(n.value, "endpoint would send the token unencrypted over the network", "Use https. Plain http is accepted for local and private addresses alone.")
	}
}

// near tells whether a host is this machine or in a private network.
func near(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast())
}

var userPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,31}$`)

func (c *checker) ssh(root *node) {
	n, s := root.good("ssh"), c.file.SSH
	if v := n.good("user"); v != nil && !userPattern.MatchString(s.User) {
		c.report(v.value, fmt.Sprintf("ssh.user: %s is not a user name", quote(s.User)), "Write for example root.")
	}
	if v := n.good("key"); v != nil {
		c.env(v, s.Key, "ssh.key")
	}
	if v := n.good("address"); v != nil {
		c.sshAddress(v, s.Address)
	}
}

func (c *checker) sshAddress(n *node, address string) {
	network, private := strings.CutPrefix(address, privatePrefix)
	names := names(c.file.Networks)
	switch {
	case private:
		if _, ok := c.file.Networks[network]; !ok {
			c.report(n.value, fmt.Sprintf("ssh.address: there is no network %s", quote(network)), suggest(network, names, "networks"))
		}
	case address != addressIPv4 && address != addressIPv6:
		valid := []string{addressIPv4, addressIPv6}
		for _, name := range names {
			valid = append(valid, privatePrefix+name)
		}
		c.report(n.value, fmt.Sprintf("ssh.address: %s is not an address of servers", quote(address)), suggest(address, valid, "values"))
	}
}

// duration checks bounds; n is nil where the default stands.
func (c *checker) duration(n *node, where string, d duration, low, high time.Duration) {
	if n != nil && (time.Duration(d) < low || time.Duration(d) > high) {
		c.report(n.value, fmt.Sprintf("%s: %s is out of bounds", where, d), fmt.Sprintf("It may be %s to %s.", duration(low), duration(high)))
	}
}

func (c *checker) rollout(n *node) {
	if n == nil {
		return
	}
	r := c.file.Rollout
	if waves := n.good("waves"); waves != nil {
		seen := map[string]bool{}
		for i, item := range waves.items {
			if item.bad {
				continue
			}
			c.selector(item.value, r.Waves[i])
			if seen[r.Waves[i]] {
				c.report(item.value, fmt.Sprintf("wave %s stands here twice", quote(r.Waves[i])), "Remove one: a host goes with the first wave that selects it.")
			}
			seen[r.Waves[i]] = true
		}
	}
	c.duration(n.good("activation_timeout"), "rollout.activation_timeout", r.ActivationTimeout, time.Second, 24*time.Hour)
	c.duration(n.good("confirm_timeout"), "rollout.confirm_timeout", r.ConfirmTimeout, 5*time.Second, time.Hour)
}

func (c *checker) evaluation(n *node) {
	if n == nil {
		return
	}
	e := c.file.Evaluation
	if m := n.good("memory"); m != nil && (e.Memory < 256*mebibyte || e.Memory > 1024*gibibyte) {
		c.report(m.value, fmt.Sprintf("evaluation.memory: %s is out of bounds", e.Memory), "It may be 256MiB to 1024GiB; a present NixOS takes 1 to 2 GiB.")
	}
	c.duration(n.good("timeout"), "evaluation.timeout", e.Timeout, 10*time.Second, 24*time.Hour)
}

func (c *checker) selector(at position, text string) {
	if _, err := fleet.ParseSelector(text); err != nil {
		p := c.add(at, fmt.Sprintf("%s does not select hosts", quote(text)), `Write a host's name, a glob ("web-*"), a tag ("@web") or several with commas; ! excludes.`)
		p.Cause = err
	}
}
