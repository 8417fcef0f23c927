package remote

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// seeds are the words that shells care about.
var quoteSeeds = []string{
	"", "plain", "two words", "it's", `"`, `\`, "$HOME", "$(id)", "`id`", "*", "?", "[a]", "~", "~root", "#", "!", "!!", "&", "&&", ";", "|", "<", ">", "2>&1",
	"a=b", "=", "-n", "--", "if", "{a,b}", "\n", "a\nb\n", "\t", "\r", "ü", "\xff\xfe", "/nix/store/abc-x", "'", "''", `'\''`, "%s", "\x01",
}

func roundTrip(t *testing.T, words ...string) {
	t.Helper()
	// A login shell gets one string, as sshd hands it over. Words end with a NUL each.
	out, err := exec.Command("/bin/sh", "-c", Quote(append([]string{"/usr/bin/printf", `%s\0`}, words...)...)).Output()
	if err != nil {
		t.Fatalf("%q: %v", words, err)
	}
	got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if !slices.Equal(got, words) {
		t.Errorf("shell made %q of %q", got, words)
	}
}

func TestQuote(t *testing.T) {
	roundTrip(t, quoteSeeds...)
	for argv, want := range map[string]string{"/bin/ls": "/bin/ls", "it's": `'it'\''s'`, "": "''", "if": "'if'", "A=b": "'A=b'"} {
		if got := Quote(argv); got != want {
			t.Errorf("Quote(%q) = %s, want %s", argv, got, want)
		}
	}
	// As the first word nothing may be an assignment, a keyword or an option of the shell.
	if out, err := exec.Command("/bin/sh", "-c", Quote("A=b")).CombinedOutput(); err == nil {
		t.Errorf("A=b was taken for an assignment: %s", out)
	}
}

func FuzzQuote(f *testing.F) {
	for _, seed := range quoteSeeds {
		f.Add(seed, "x")
		f.Add("x", seed)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsRune(a+b, 0) {
			return // NUL cannot be in an argument
		}
		roundTrip(t, a, b)
	})
}
