package render

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"a\tb\r\nc\n\n d":                      "a b c d",
		"\x1b[31mred\x1b[0m":                   "red",
		"\x1b]8;;https://x\x07t\x1b]8;;\x1b\\": "t",
		"\x1b]0;never ended, kept":             "]0;never ended, kept",
		"\u009b31mC1":                          "C1",
		"\u202egnp.exe":                        "⟨U+202E⟩gnp.exe",
		"a\u00a0b\x00\x07":                     "a b",
		"\xff":                                 "\ufffd",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("oneLine(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCodeAndProse(t *testing.T) {
	for in, want := range map[string]string{
		"":       "",
		"web-1":  "`web-1`",
		"a`b":    "``a`b``",
		"`x``":   "``` `x`` ```",
		"@x\n#1": "`@x #1`",
	} {
		if got := code(in); got != want {
			t.Errorf("code(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"kernel 6.12.53 → 6.12.58":      "kernel 6.12.53 → 6.12.58",
		"server_type changed":           "server_type changed",
		"for @octocat, see #12.":        "for `@octocat`, see `#12`.",
		"(https://x.y): gone":           "(`https://x.y`): gone",
		"1. not a list":                 "`1.` not a list",
		"- not a list":                  "`-` not a list",
		"cut 3f2a1bc9d8… or a/3f2a1bc9": "cut `3f2a1bc9d8…` or `a/3f2a1bc9`",
		"last was 3f2a1bc":              "last was `3f2a1bc`",
		"www.x.y and :tada:":            "`www.x.y` and `:tada`:",
		"<b> *b* _i_ a_b":               "`<b> *b* _i_` a_b",
	} {
		if got := prose(in); got != want {
			t.Errorf("prose(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"::error::x":      ": :error::x",
		"a\n  ::error::x": "a\n  : :error::x",
		"a ::b":           "a ::b",
		"x ##[error]y":    "x ## [error]y",
	} {
		if got := harmless(in); got != want {
			t.Errorf("harmless(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestEightyColumns reads the golden terminal texts.
func TestEightyColumns(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden texts (%v)", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(b), "\n") {
			if n := utf8.RuneCountInString(line); n > 80 && !strings.Contains(file, "hostile") {
				t.Errorf("%s: %d columns: %s", file, n, line)
			}
		}
	}
}
