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
		switch prefix, _, _ := strings.Cut(f.name, "/"); {
		case strings.Contains(f.name, "/") && (prefix == "flotilla" || prefix == "hetzner.cloud"):
			c.report(f.value.key, fmt.Sprintf("label %s: the prefix %s/ is reserved", quote(f.name), prefix), "Choose another name, or a prefix of your own such as acme.example/.")
		case !labelKey(f.name):
			c.report(f.value.key, fmt.Sprintf("%s cannot be the name of a label", quote(f.name)), "Use "+labelRule+"; a domain and a slash may stand before it.")
		}
		if value := labels[f.name]; !f.value.bad && !labelValue(value) {
			c.report(f.value.value, fmt.Sprintf("label %s: %s cannot be the value of a label", quote(f.name), quote(value)), "Use nothing, or "+labelRule+".")
		}
	}
}

// labelKey tells whether the provider takes a text as a label's name.
func labelKey(key string) bool {
	prefix, name, prefixed := strings.Cut(key, "/")
	if !prefixed {
		name = key
	}
	return labelName.MatchString(name) && (!prefixed || labelPrefix.MatchString(prefix) && len(prefix) <= maxLabelPrefix)
}

// labelSelector checks a selector of labels.
func (c *checker) labelSelector(n *node, where, text string) {
	if n == nil {
		return
	}
	if term, ok := badTerm(text); ok {
		c.report(n.value, fmt.Sprintf("%s: %s does not select by labels", where, quote(term)),
			`Write for example env=prod, or several with commas: role=web,env!=test. Also "role", "!role", "role in (web, api)" and "role notin (web, api)".`)
	}
}

var setTerm = regexp.MustCompile(`^(\S+)\s+(?:in|notin)\s*\((.*)\)$`)

// badTerm gives the first part of a label selector that is none.
func badTerm(selector string) (string, bool) {
	for _, term := range selectorTerms(selector) {
		if !labelTerm(strings.TrimSpace(term)) {
			return strings.TrimSpace(term), true
		}
	}
	return "", false
}

// selectorTerms cuts at commas outside parentheses.
func selectorTerms(selector string) []string {
	var terms []string
	depth, from := 0, 0
	for i, r := range selector {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				terms = append(terms, selector[from:i])
				from = i + 1
			}
		}
	}
	return append(terms, selector[from:])
}

func labelTerm(term string) bool {
	if m := setTerm.FindStringSubmatch(term); m != nil {
		if strings.TrimSpace(m[2]) == "" {
			return false
		}
		for value := range strings.SplitSeq(m[2], ",") {
			if !labelValue(strings.TrimSpace(value)) {
				return false
			}
		}
		return labelKey(m[1])
	}
	key, value, compared := strings.Cut(term, "=")
	if !compared {
		return labelKey(strings.TrimSpace(strings.TrimPrefix(term, "!")))
	}
	key = strings.TrimSpace(strings.TrimSuffix(key, "!"))
	return labelKey(key) && labelValue(strings.TrimSpace(strings.TrimPrefix(value, "=")))
}

func labelValue(value string) bool { return value == "" || labelName.MatchString(value) }
