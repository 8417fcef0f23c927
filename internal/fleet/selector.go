package fleet

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Selector picks hosts as Colmena does: names, globs (web-*, web-[!0-9]?), tags
// (@web, also with globs), separated by commas. Beyond Colmena, ! excludes. The
// zero value selects every host.
type Selector struct{ terms []term }

type term struct {
	pattern string // glob; a plain name is a glob that matches itself
	tag     bool
	exclude bool
}

// ParseSelector parses a selector.
func ParseSelector(s string) (Selector, error) {
	var sel Selector
	for part := range strings.SplitSeq(s, ",") {
		text := strings.TrimSpace(part)
		var t term
		text, t.exclude = cut(text, "!")
		text, t.tag = cut(text, "@")
		if text == "" {
			return Selector{}, fmt.Errorf("selector %q: empty term (write a host name, a glob such as web-*, or @tag, separated by commas)", s)
		}
		if !plausible(text, t.tag) {
			return Selector{}, fmt.Errorf("selector %q: %q is not a name, glob or tag", s, part)
		}
		t.pattern = text
		if !t.wellFormed() {
			return Selector{}, fmt.Errorf("selector %q: the bracket in %q is not closed", s, text)
		}
		sel.terms = append(sel.terms, t)
	}
	return sel, nil
}

func cut(s, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(s, prefix)
	return rest, ok
}

// plausible refuses what is two terms run together. A tag may have blanks in it.
func plausible(text string, tag bool) bool {
	blanks := " \t"
	if tag {
		blanks = ""
	}
	bare := strings.ReplaceAll(text, "[!", "[") // the ! of a class
	return !strings.ContainsAny(bare, "!@\r\n"+blanks)
}

// Match tells whether the host with these tags is selected. A selector of
// exclusions alone selects everything else.
func (s Selector) Match(host string, tags []string) bool {
	selected := true
	for _, t := range s.terms {
		if !t.exclude {
			selected = false
		}
	}
	for _, t := range s.terms {
		if !t.exclude && t.match(host, tags) {
			selected = true
		}
	}
	for _, t := range s.terms {
		if t.exclude && t.match(host, tags) {
			return false
		}
	}
	return selected
}

func (t term) match(host string, tags []string) bool {
	if !t.tag {
		return globMatch(t.pattern, host)
	}
	return slices.ContainsFunc(tags, func(tag string) bool { return globMatch(t.pattern, tag) })
}

// MayMatch tells whether a host of which only the name is known may be selected.
func (s Selector) MayMatch(host string) bool {
	selected := true
	for _, t := range s.terms {
		switch {
		case !t.exclude:
			selected = false
		case !t.tag && t.match(host, nil):
			return false
		}
	}
	return selected || slices.ContainsFunc(s.terms, func(t term) bool { return !t.exclude && (t.tag || t.match(host, nil)) })
}

// All tells whether the selector is the zero value.
func (s Selector) All() bool { return len(s.terms) == 0 }

// Names tells whether a term of the selector is the host's very name.
func (s Selector) Names(host string) bool {
	return slices.ContainsFunc(s.terms, func(t term) bool { return !t.tag && !t.exclude && t.pattern == host })
}

// ByTag tells whether a term of the selector asks for a tag.
func (s Selector) ByTag() bool {
	return slices.ContainsFunc(s.terms, func(t term) bool { return t.tag })
}

// Rank orders selectors of hosts: from the most exact to the least: 3 exact
// name, 2 tag, 1 glob, 0 everything ("*", exclusions alone or the zero value).
// The vaguest of several terms counts; exclusions beside others do not.
func (s Selector) Rank() int {
	rank, included := 3, false
	for _, t := range s.terms {
		if t.exclude {
			continue
		}
		included = true
		switch {
		case t.tag:
			rank = min(rank, 2)
		case t.pattern == "*":
			rank = 0
		case t.isGlob():
			rank = min(rank, 1)
		}
	}
	if !included {
		return 0
	}
	return rank
}

// String gives the selector as it is written.
func (s Selector) String() string {
	if len(s.terms) == 0 {
		return "*"
	}
	var parts []string
	for _, t := range s.terms {
		p := t.pattern
		if t.tag {
			p = "@" + p
		}
		if t.exclude {
			p = "!" + p
		}
		parts = append(parts, p)
	}
	return strings.Join(parts, ",")
}

// Select gives the selected names, sorted. tags maps a host to its tags. An
// exact name that no host has is an error: it is almost always a typing error.
func (s Selector) Select(tags map[string][]string) ([]string, error) {
	for _, t := range s.terms {
		if t.tag || t.isGlob() {
			continue
		}
		if _, ok := tags[t.pattern]; !ok {
			return nil, fmt.Errorf("no host named %q", t.pattern)
		}
	}
	var names []string
	for name, t := range tags {
		if s.Match(name, t) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names, nil
}
