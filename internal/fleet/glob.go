package fleet

import "strings"

// globMatch tells whether a whole name is what a pattern describes: * stands for
// any text, ? for one character, [a-z] for one of several and [!a-z] for one of
// the others. These are Colmena's patterns: a slash in a tag is like any other
// character, and nothing is escaped but by brackets ([*]).
func globMatch(pattern, name string) bool {
	p, n := []rune(pattern), []rune(name)
	// Where the last * was, and how much of the name it stands for so far.
	star, taken := -1, 0
	i, j := 0, 0
	for j < len(n) {
		if i < len(p) && p[i] == '*' {
			star, taken = i, j
			i++
			continue
		}
		if width, ok := oneMatch(p[i:], n[j]); ok {
			i += width
			j++
			continue
		}
		if star < 0 {
			return false
		}
		taken++
		i, j = star+1, taken
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// oneMatch matches the first element of a pattern, and gives its length.
func oneMatch(p []rune, r rune) (width int, ok bool) {
	switch {
	case len(p) == 0:
		return 0, false
	case p[0] == '?':
		return 1, true
	case p[0] == '[':
		end := classEnd(p)
		if end < 0 {
			return 0, false
		}
		return end + 1, classMatch(p[1:end], r)
	}
	return 1, p[0] == r
}

// classEnd gives the place of the bracket that closes a class; -1 if none does.
// The first character of a class, behind a !, is never the end of it.
func classEnd(p []rune) int {
	from := 2
	if len(p) > 1 && p[1] == '!' {
		from = 3
	}
	for i := from; i < len(p); i++ {
		if p[i] == ']' {
			return i
		}
	}
	return -1
}

func classMatch(class []rune, r rune) bool {
	wanted := true
	if class[0] == '!' && len(class) > 1 {
		class, wanted = class[1:], false
	}
	for i := 0; i < len(class); i++ {
		if i+2 < len(class) && class[i+1] == '-' {
			if class[i] <= r && r <= class[i+2] {
				return wanted
			}
			i += 2
			continue
		}
		if class[i] == r {
			return wanted
		}
	}
	return !wanted
}

// wellFormed tells whether every bracket of the pattern is closed.
func (t term) wellFormed() bool {
	p := []rune(t.pattern)
	for i := 0; i < len(p); i++ {
		if p[i] != '[' {
			continue
		}
		end := classEnd(p[i:])
		if end < 0 {
			return false
		}
		i += end
	}
	return true
}

// isGlob tells whether the term stands for more than one name.
func (t term) isGlob() bool { return strings.ContainsAny(t.pattern, `*?[`) }
