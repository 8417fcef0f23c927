// Package observe runs a program under watch: which files it opened or asked
// for, present or not. That is what its result depends on.
//
// The kernel tells (seccomp user notification, Linux 5.5): the program starts
// through Become, which has every look at a file by name reported and let go on
// before it becomes the program. That costs a fraction of what tracing does, and
// needs neither privileges nor another program.
//
// Rule: whatever could have been missed is a Doubt. It tells names, not what
// they meant; it judges nothing.
package observe

import (
	"maps"
	"slices"
)

// Seen is what a program looked at.
type Seen struct {
	// Opened are absolute paths that were opened to be read, Asked those of which
	// only existence, type or link target was asked. They are as the program
	// wrote them: links and .. are not resolved, and the files may not exist.
	Opened, Asked []string
	// Doubt says why that may not be all; "": it is.
	Doubt string
}

// names collects paths of both kinds; what was opened was asked for too.
type names struct {
	opened, asked map[string]bool
	doubt         string
}

func newNames() *names { return &names{opened: map[string]bool{}, asked: map[string]bool{}} }

func (n *names) doubtful(why string) {
	if n.doubt == "" {
		n.doubt = why
	}
}

func (n *names) seen() Seen {
	s := Seen{Opened: slices.Sorted(maps.Keys(n.opened)), Doubt: n.doubt}
	for _, path := range slices.Sorted(maps.Keys(n.asked)) {
		if !n.opened[path] {
			s.Asked = append(s.Asked, path)
		}
	}
	return s
}
