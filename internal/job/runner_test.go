package job_test

import (
	"slices"
	"strings"
	"testing"
)

// outputs reads the runner's file of outputs.
func outputs(t testing.TB, text string) map[string]string {
	t.Helper()
	all := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines) && text != ""; i++ {
		name, end, ok := strings.Cut(lines[i], "<<")
		to := slices.Index(lines[i+1:], end)
		if !ok || to < 0 {
			t.Fatalf("the outputs cannot be read at line %d:\n%s", i+1, text)
		}
		all[name] = strings.Join(lines[i+1:i+1+to], "\n")
		i += 1 + to
	}
	return all
}

// command is a workflow command that the runner obeys.
type command struct{ name, fields, text string }

// obeyed finds the commands in a log as the runner does: at the start of a
// line, the old form anywhere in one, and none between stop-commands and its
// token.
func obeyed(log string) []command {
	var all []command
	stopped := ""
	for line := range strings.Lines(log) {
		line = strings.TrimRight(line, "\r\n")
		if stopped != "" {
			if strings.TrimSpace(line) == "::"+stopped+"::" {
				stopped = ""
			}
			continue
		}
		rest, ok := strings.CutPrefix(strings.TrimLeft(line, " \t"), "::")
		head, text, closed := strings.Cut(rest, "::")
		if !ok || !closed {
			if _, old, ok := strings.Cut(line, "##["); ok && strings.Contains(old, "]") {
				all = append(all, command{"##[", "", old})
			}
			continue
		}
		name, fields, _ := strings.Cut(head, " ")
		if name == "stop-commands" {
			stopped = text
			continue
		}
		all = append(all, command{name, fields, text})
	}
	return all
}
