package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

const maxWithin = time.Hour

func (c *checker) hosts(section *node) {
	if section == nil {
		return
	}
	for _, f := range section.fields {
		c.selector(f.value.key, f.name)
		if f.value.bad {
			continue
		}
		h, where := c.file.Hosts[f.name], join("hosts", f.name)
		if v := f.value.good("address"); v != nil {
			if ip, err := netip.ParseAddr(h.Address); (err != nil || ip.Zone() != "") && !hostPattern.MatchString(h.Address) {
				c.report(v.value, fmt.Sprintf("%s.address: %s is neither an IP address nor a host name", where, quote(h.Address)), "Write for example 203.0.113.10 or web-1.example.com. A port belongs into deployment.targetPort of the hive.")
			}
		}
		if v := f.value.good("host_key"); v != nil {
			if _, err := publicKey(h.HostKey); err != nil {
				c.report(v.value, where+".host_key is not one public SSH key", "On the host, copy the line of /etc/ssh/ssh_host_ed25519_key.pub: ssh-ed25519 AAAA…; a line of known_hosts has the host's name before it, which must go.")
			}
		}
		health := f.value.good("health")
		if health == nil {
			continue
		}
		for i, item := range health.items {
			if !item.bad {
				c.healthCheck(item, fmt.Sprintf("%s.health[%d]", where, i), h.Health[i])
			}
		}
	}
}

func (c *checker) healthCheck(n *node, where string, check checkEntry) {
	if len(n.fields) != 1 {
		if len(n.fields) == 0 {
			c.report(n.value, where+" is empty", `Write one of http, tcp, command, units, for example: - http: {url: "https://www.example.com/healthz"}`)
			return
		}
		var known []string
		for _, f := range n.fields {
			if !f.value.bad {
				known = append(known, f.name)
			}
		}
		if len(known) > 1 {
			c.report(n.fields[1].value.key, fmt.Sprintf("%s holds several checks (%s)", where, strings.Join(known, ", ")), "Write each check as an element of its own, with its own dash.")
			return
		}
	}
	if v := n.good("http"); v != nil && check.HTTP != nil {
		c.http(v, where+".http", *check.HTTP)
	}
	if v := n.good("tcp"); v != nil && check.TCP != nil {
		c.need(v, "port", where+".tcp", "Add for example port: 5432")
		c.within(v, where+".tcp", check.TCP.Within)
	}
	if v := n.good("command"); v != nil && check.Command != nil {
		c.command(v, where+".command", *check.Command)
	}
	if v := n.good("units"); v != nil && check.Units != nil {
		c.units(v, where+".units", *check.Units)
	}
}

func (c *checker) within(n *node, where string, d duration) {
	c.duration(n.good("within"), where+".within", d, 100*time.Millisecond, maxWithin)
}

func (c *checker) http(n *node, where string, h httpEntry) {
	if v := c.need(n, "url", where, `Add for example url: "https://www.example.com/healthz"`); v != nil {
		u, err := url.Parse(h.URL)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
			hint := `Write it with scheme and name, for example "https://www.example.com/healthz".`
			if err == nil && u.Scheme == "" && hostPattern.MatchString(strings.SplitN(h.URL, "/", 2)[0]) {
				hint = fmt.Sprintf("Did you mean %q?", "https://"+h.URL)
			}
			c.report(v.value, fmt.Sprintf("%s: %s is not an http or https URL", where, quote(h.URL)), hint)
		case u.User != nil:
			p := c.add(v.value, where+": the URL holds a user or password", "Check a page that needs none: this file is no place for secrets.")
			p.Source = ""
		}
	}
	c.within(n, where, h.Within)
}

func (c *checker) command(n *node, where string, check commandEntry) {
	if v := c.need(n, "run", where, "Add for example run: [pg_isready, --quiet]"); v != nil {
		switch {
		case len(check.Run) == 0:
			c.report(v.value, where+".run is empty", "Write the program and its arguments, for example [pg_isready, --quiet].")
		case len(v.items) > 0 && !v.items[0].bad && strings.TrimSpace(check.Run[0]) == "":
			c.report(v.items[0].value, where+".run names no program", "Write the program and its arguments, for example [pg_isready, --quiet].")
		case len(v.items) == 1 && !v.items[0].bad && strings.ContainsAny(check.Run[0], " \t|;&$"):
			c.report(v.items[0].value, where+".run is a list of words, no shell reads it",
				fmt.Sprintf("Write the words one by one: [%s], or use a shell: [sh, -c, …].", strings.Join(strings.Fields(check.Run[0]), ", ")))
		case slices.ContainsFunc(check.Run, func(w string) bool { return strings.ContainsRune(w, 0) }):
			c.report(v.value, where+".run holds a NUL character", "Remove it.")
		}
	}
	c.within(n, where, check.Within)
}

var unitPattern = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]{1,240}\.(service|socket|timer|target|mount|automount|path|slice|scope|swap|device)$`)

func (c *checker) units(n *node, where string, check unitsEntry) {
	if v := c.need(n, "active", where, "Add for example active: [nginx.service]"); v != nil {
		if len(check.Active) == 0 {
			c.report(v.value, where+".active is empty", "Write for example [nginx.service].")
		}
		for i, unit := range check.Active {
			if i >= len(v.items) || v.items[i].bad || unitPattern.MatchString(unit) && !strings.HasPrefix(unit, "-") {
				continue
			}
			hint := "Write a systemd unit with its type, for example nginx.service."
			if unitPattern.MatchString(unit+".service") && !strings.HasPrefix(unit, "-") && !strings.ContainsFunc(unit, unicode.IsSpace) {
				hint = fmt.Sprintf("Did you mean %q?", unit+".service")
			}
			c.report(v.items[i].value, fmt.Sprintf("%s: %s is not the name of a unit", where, quote(unit)), hint)
		}
	}
	c.within(n, where, check.Within)
}
