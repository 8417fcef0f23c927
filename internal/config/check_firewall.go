package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Limits of the provider.
const (
	maxRules       = 50
	maxRanges      = 100 // of one rule
	maxDescription = 255
)

func (c *checker) firewalls(section *node) {
	if section == nil {
		return
	}
	for _, f := range section.fields {
		if f.value.bad {
			c.name(f.value.key, "a firewall", f.name)
			continue
		}
		w, where := c.file.Firewalls[f.name], join("firewalls", f.name)
		if c.existing(f, where, "a firewall", w.Existing) {
			continue
		}
		c.name(f.value.key, "a firewall", f.name)
		c.labels(f.value.good("labels"), w.Labels)
		c.rules(f.value.good("rules"), where, w.Rules)
		c.applyTo(f.value.good("apply_to"), where, w.ApplyTo)
	}
}

func (c *checker) applyTo(n *node, where string, targets []applyEntry) {
	if n == nil {
		return
	}
	for i, a := range targets {
		if n.items[i].bad {
			continue
		}
		of := fmt.Sprintf("%s.apply_to[%d]", where, i)
		v := c.need(n.items[i], "label_selector", of, "Write - {label_selector: env=prod}")
		c.labelSelector(v, of, a.LabelSelector)
		if v != nil && slices.Contains(targets[:i], a) {
			c.report(v.value, fmt.Sprintf("%s: %s stands here twice", of, quote(a.LabelSelector)), "Remove one.")
		}
	}
}

func (c *checker) rules(n *node, where string, rules []ruleEntry) {
	if n == nil {
		return
	}
	if len(rules) > maxRules {
		c.report(n.items[maxRules].value, fmt.Sprintf("%s has %d rules", where, len(rules)), fmt.Sprintf("The provider takes %d: put rules together, or make a second firewall.", maxRules))
	}
	lines := map[string]int{}
	for i, r := range rules {
		if n.items[i].bad {
			continue
		}
		before := len(c.problems)
		c.rule(n.items[i], fmt.Sprintf("%s.rules[%d]", where, i), r)
		if len(c.problems) > before {
			continue
		}
		same := fmt.Sprint(r.Direction, r.Protocol, r.Port, r.SourceIPs, r.DestinationIPs)
		if line, ok := lines[same]; ok {
			c.report(n.items[i].value, fmt.Sprintf("%s.rules[%d] allows the same as the rule in line %d", where, i, line), "Remove one.")
		}
		lines[same] = n.items[i].value.line
	}
}

func (c *checker) rule(n *node, where string, r ruleEntry) {
	c.need(n, "direction", where, "Add direction: in, for what may come in, or direction: out.")
	c.need(n, "protocol", where, "Add for example protocol: tcp")
	port := n.get("port")
	switch {
	case r.Protocol == "" || bad(port):
	case r.Protocol != protocolTCP && r.Protocol != protocolUDP:
		if port != nil {
			c.report(port.key, fmt.Sprintf("%s: protocol %s has no ports", where, r.Protocol), "Remove port.")
		}
	case port == nil:
		c.report(n.key, where+" has no port", `Add for example port: 443, port: "1024-5000" or port: any.`)
	default:
		c.portRange(port, where, r.Port)
	}
	switch r.Direction {
	case directionIn:
		c.ranges(n, where, "source_ips", "destination_ips", "in", r.SourceIPs)
	case directionOut:
		c.ranges(n, where, "destination_ips", "source_ips", "out", r.DestinationIPs)
	}
	if v := n.good("description"); v != nil && len(r.Description) > maxDescription {
		c.report(v.value, fmt.Sprintf("%s.description has more than %d characters", where, maxDescription), "Shorten it.")
	}
}

var portPattern = regexp.MustCompile(`^([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?$`)

func (c *checker) portRange(n *node, where string, text portText) {
	if text == portAny {
		return
	}
	m := portPattern.FindStringSubmatch(string(text))
	if m == nil {
		hint := `Write a port (443), a range ("1024-5000") or any.`
		if strings.Contains(string(text), ",") {
			hint = "Write a rule for each port."
		}
		c.report(n.value, fmt.Sprintf("%s: %s is not a port", where, quote(string(text))), hint)
		return
	}
	var ports []int
	for _, digits := range m[1:] {
		if port, err := strconv.Atoi(digits); err == nil {
			ports = append(ports, port)
		}
	}
	if slices.Max(ports) > 65535 {
		c.report(n.value, fmt.Sprintf("%s: %s is not a port", where, quote(string(text))), "Ports are 1 to 65535.")
	} else if !slices.IsSorted(ports) {
		c.report(n.value, fmt.Sprintf("%s: the range %s ends before it begins", where, quote(string(text))), fmt.Sprintf("Did you mean \"%d-%d\"?", ports[1], ports[0]))
	}
}

// ranges checks the ranges of a rule: those of its direction, and no others.
func (c *checker) ranges(n *node, where, key, other, direction string, texts []string) {
	if v := n.get(other); v != nil && (v.bad || v.kind != kindNull && len(v.items) > 0) {
		c.report(v.key, fmt.Sprintf("%s has %s, but its direction is %s", where, other, direction), fmt.Sprintf("Write %s.", key))
	}
	v := n.get(key)
	if v == nil || !v.bad && len(texts) == 0 {
		at := n.key
		if v != nil {
			at = v.value
		}
		c.report(at, fmt.Sprintf("%s has no %s", where, key), fmt.Sprintf(`For everybody write %s: [0.0.0.0/0, "::/0"]`, key))
		return
	}
	if v.bad {
		return
	}
	if len(texts) > maxRanges {
		c.report(v.items[maxRanges].value, fmt.Sprintf("%s.%s has %d ranges", where, key, len(texts)), fmt.Sprintf("The provider takes %d: make a second rule.", maxRanges))
	}
	seen := map[netip.Prefix]bool{}
	for i, text := range texts {
		if item := v.items[i]; !item.bad {
			p, ok := c.anyRange(item, text)
			if ok && seen[p] {
				c.report(item.value, fmt.Sprintf("range %s stands here twice", p), "Remove one.")
			}
			seen[p] = true
		}
	}
}

// anyRange parses a range of IPv4 or IPv6 in the form that the provider keeps.
func (c *checker) anyRange(n *node, text string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		hint := `Write for example 203.0.113.0/24 or "2001:db8::/32".`
		if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
			hint = fmt.Sprintf("For this address alone write %q.", netip.PrefixFrom(a, a.BitLen()))
		}
		c.report(n.value, fmt.Sprintf("%s is not an IP range", quote(text)), hint)
		return p, false
	}
	if !c.masked(n, p) {
		return p, false
	}
	if p.String() != text {
		c.report(n.value, fmt.Sprintf("%s is not the plain form of the range", quote(text)), fmt.Sprintf("Did you mean %q?", p))
		return p, false
	}
	return p, true
}
