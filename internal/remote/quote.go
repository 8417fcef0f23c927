package remote

import "strings"

// Quote joins words into one command line that a POSIX login shell splits
// into exactly these words again. NUL cannot be in a word: what follows it
// would be lost in any program's arguments, so callers must not pass it.
func Quote(argv ...string) string {
	var b strings.Builder
	for i, word := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		if isPlain(word) {
			b.WriteString(word)
			continue
		}
		b.WriteByte('\'')
		b.WriteString(strings.ReplaceAll(word, "'", `'\''`))
		b.WriteByte('\'')
	}
	return b.String()
}

// isPlain tells whether no shell gives a word a meaning of its own. "=" is not
// among the plain characters: a leading NAME=value would be an assignment.
func isPlain(word string) bool {
	if word == "" {
		return false
	}
	for i := range len(word) {
		c := word[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case strings.IndexByte("/._-+:,@%", c) >= 0:
		default:
			return false
		}
	}
	// A bare word could be a keyword or an alias ("if", "time"); digits could be a file descriptor.
	return strings.ContainsAny(word, "/._-")
}
