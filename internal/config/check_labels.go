package config

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	labelName   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	labelPrefix = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
)

const (
	maxLabelPrefix = 253
	labelRule      = "1 to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends"
)

// labels checks the user's labels by the provider's rules.
func (c *checker) labels(n *node, labels map[string]string) {
	if n == nil {
		return
	}
	for _, f := range n.fields {
		prefix, name, prefixed := strings.Cut(f.name, "/")
		if !prefixed {
			prefix, name = "", f.name
		}
		switch {
		case prefix == "flotilla" || prefix == "hetzner.cloud":
			c.report(f.value.key, fmt.Sprintf("label %s: the prefix %s/ is reserved", quote(f.name), prefix), "Choose another name, or a prefix of your own such as acme.example/.")
		case !labelName.MatchString(name) || prefixed && (!labelPrefix.MatchString(prefix) || len(prefix) > maxLabelPrefix):
			c.report(f.value.key, fmt.Sprintf("%s cannot be the name of a label", quote(f.name)), "Use "+labelRule+"; a domain and a slash may stand before it.")
		}
		if value := labels[f.name]; !f.value.bad && value != "" && !labelName.MatchString(value) {
			c.report(f.value.value, fmt.Sprintf("label %s: %s cannot be the value of a label", quote(f.name), quote(value)), "Use nothing, or "+labelRule+".")
		}
	}
}
