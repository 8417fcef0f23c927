package cloud

import (
	"slices"
	"strings"
)

const (
	reserved   = "hetzner.cloud/"
	nameSize   = 63
	prefixSize = 253
)

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// word tells whether text is 1 to 63 letters, digits and bytes of between, with
// a letter or a digit at both ends.
func word(text, between string) bool {
	if text == "" || len(text) > nameSize || !alphanumeric(text[0]) || !alphanumeric(text[len(text)-1]) {
		return false
	}
	for i := range len(text) {
		if !alphanumeric(text[i]) && strings.IndexByte(between, text[i]) < 0 {
			return false
		}
	}
	return true
}

func goodKey(key string) bool {
	prefix, name, has := strings.Cut(key, "/")
	if !has {
		return word(key, "._-")
	}
	return len(prefix) <= prefixSize && prefix == strings.ToLower(prefix) && word(name, "._-") &&
		!slices.ContainsFunc(strings.Split(prefix, "."), func(part string) bool { return !word(part, "-") })
}

func goodValue(value string) bool { return value == "" || word(value, "._-") }

// checkLabels refuses what the API refuses as labels of a resource.
func checkLabels(labels map[string]string) error {
	for key, value := range labels {
		switch {
		case !goodKey(key):
			return invalid("labels", "label key %q is not correctly formatted", key)
		case strings.HasPrefix(key, reserved):
			return invalid("labels", "label key %q uses the reserved prefix %s", key, reserved)
		case !goodValue(value):
			return invalid("labels", "label value %q (key: %s) is not correctly formatted", value, key)
		}
	}
	return nil
}

// selectLabels parses a label selector: terms k, !k, k=v, k==v, k!=v,
// k in (a,b), k notin (a,b), joined by commas. "" selects everything.
func selectLabels(selector string) (func(map[string]string) bool, error) {
	p := &selectorParser{text: selector}
	var terms []func(map[string]string) bool
	for p.space(); p.at < len(p.text); p.space() {
		if len(terms) > 0 && !p.take(",") {
			return nil, invalid("label_selector", "expected comma at pos %d", p.at)
		}
		term, err := p.term()
		if err != nil {
			return nil, err
		}
		terms = append(terms, term)
	}
	return func(labels map[string]string) bool {
		return !slices.ContainsFunc(terms, func(t func(map[string]string) bool) bool { return !t(labels) })
	}, nil
}

type selectorParser struct {
	text string
	at   int
}

func (p *selectorParser) space() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

func (p *selectorParser) take(token string) bool {
	p.space()
	if !strings.HasPrefix(p.text[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

func (p *selectorParser) word() string {
	p.space()
	start := p.at
	for p.at < len(p.text) && !strings.ContainsRune(" ,=!()", rune(p.text[p.at])) {
		p.at++
	}
	return p.text[start:p.at]
}

func (p *selectorParser) key() (string, error) {
	p.space()
	start := p.at
	key := p.word()
	if !goodKey(key) {
		return "", invalid("label_selector", "invalid identifier at position %d", start)
	}
	return key, nil
}

func (p *selectorParser) val() (string, error) {
	p.space()
	start := p.at
	value := p.word()
	if !goodValue(value) {
		return "", invalid("label_selector", "invalid value at position %d", start)
	}
	return value, nil
}

func (p *selectorParser) term() (func(map[string]string) bool, error) {
	if p.take("!") {
		key, err := p.key()
		if err != nil {
			return nil, err
		}
		return func(l map[string]string) bool { _, has := l[key]; return !has }, nil
	}
	key, err := p.key()
	if err != nil {
		return nil, err
	}
	switch {
	case p.take("!="):
		value, err := p.val()
		return func(l map[string]string) bool { v, has := l[key]; return !has || v != value }, err
	case p.take("=="), p.take("="):
		value, err := p.val()
		return func(l map[string]string) bool { v, has := l[key]; return has && v == value }, err
	}
	before := p.at
	switch operator := p.word(); operator {
	case "":
		return func(l map[string]string) bool { _, has := l[key]; return has }, nil
	case "in", "notin":
		values, err := p.set()
		return func(l map[string]string) bool {
			v, has := l[key]
			return (has && slices.Contains(values, v)) == (operator == "in")
		}, err
	}
	return nil, invalid("label_selector", "expected comma at pos %d", before)
}

func (p *selectorParser) set() ([]string, error) {
	if !p.take("(") {
		return nil, invalid("label_selector", "expected ( at pos %d", p.at)
	}
	var values []string
	for {
		value, err := p.val()
		if err != nil {
			return nil, err
		}
		values = append(values, value)
		if p.take(")") {
			return values, nil
		}
		if !p.take(",") {
			return nil, invalid("label_selector", "expected , or ) at pos %d", p.at)
		}
	}
}
