package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// name checks the name of what the fleet owns: it is kept in a label.
func (c *checker) name(at position, what, name string) {
	if !namePattern.MatchString(name) {
		c.report(at, fmt.Sprintf("%s cannot be the name of %s", quote(name), what),
			"Use 1 to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends.")
	}
}

// existing checks an entry that refers to what the fleet does not own, if it
// is one: it has a name that somebody else gave, and nothing that Flotilla
// would have to change.
func (c *checker) existing(f field, where, what string, existing bool) bool {
	if !existing {
		return false
	}
	if f.name == "" || len(f.name) > 255 || strings.ContainsFunc(f.name, unicode.IsControl) {
		c.report(f.value.key, fmt.Sprintf("%s cannot be the name of %s", quote(f.name), what), "Write the name that the provider's console shows.")
	}
	for _, other := range f.value.fields {
		if other.name != "existing" && !other.value.bad {
			c.report(other.value.key, fmt.Sprintf("%s has both %s and existing", where, other.name),
				fmt.Sprintf("What is existing: true is not the fleet's to change: remove %s here, or existing: true.", other.name))
		}
	}
	return true
}

// refer reports the name of something that is not declared. kind is what it
// is and section where it would be declared.
func (c *checker) refer(at position, where, kind, section, name string) bool {
	if c.known[section][name] {
		return true
	}
	hint := c.suggest(name, section, section)
	if len(c.known[section]) == 0 {
		hint = fmt.Sprintf("Declare it: %s: {%s: {%s}}", section, mask(name), example(section))
	}
	c.report(at, fmt.Sprintf("%s wants %s %s, which is not declared", where, kind, quote(name)), hint)
	return false
}

// manySuggestions bounds the search for nearest names: it takes time for each
// name that is wrong and each that is right.
const manySuggestions = 200

// suggest looks for the name in these sections.
func (c *checker) suggest(name, what string, sections ...string) string {
	if len(c.problems) > manySuggestions {
		return "Mend the problems above first."
	}
	var declared []string
	for _, s := range sections {
		declared = append(declared, names(c.known[s])...)
	}
	return suggest(name, declared, what)
}

// example is what an entry of a section looks like, in short.
func example(section string) string {
	switch section {
	case "networks":
		return "ip_range: 10.0.0.0/16, subnets: […]"
	case "ssh_keys":
		return "public_key: ssh-ed25519 AAAA…"
	case "firewalls":
		return "rules: […]"
	case "placement_groups":
		return "type: spread"
	case "primary_ips":
		return "type: ipv4, location: nbg1"
	}
	return "…"
}

// referAll checks a list of names.
func (c *checker) referAll(n *node, where, kind, section string, wanted []string) {
	if n == nil {
		return
	}
	for i, name := range wanted {
		if i >= len(n.items) || n.items[i].bad {
			continue
		}
		c.refer(n.items[i].value, where, kind, section, name)
		if slices.Contains(wanted[:i], name) {
			c.report(n.items[i].value, fmt.Sprintf("%s %s stands here twice", kind, quote(name)), "Remove one.")
		}
	}
}

// word is what names of types, images and locations are made of.
var word = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (c *checker) location(n *node, text string) {
	if n != nil && !word.MatchString(text) {
		c.report(n.value, fmt.Sprintf("%s is not a location", quote(text)), "Write for example nbg1.")
	}
}
