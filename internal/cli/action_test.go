package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// TestActionTellsErrorsOnce: in the log, where the runner does not listen, and
// as an annotation; not again where it does.
func TestActionTellsErrorsOnce(t *testing.T) {
	t.Setenv("GITHUB_EVENT_NAME", "")
	var out, errOut bytes.Buffer
	code := Main([]string{"action"}, strings.NewReader(""), &out, &errOut)
	if problem.Code(code) != problem.Usage || errOut.Len() != 0 {
		t.Errorf("exit code %d, on stderr: %s", code, errOut.String())
	}
	stop, rest, _ := strings.Cut(out.String(), "\n")
	token, ok := strings.CutPrefix(stop, "::stop-commands::")
	quoted, after, _ := strings.Cut(rest, "::"+token+"::\n")
	if !ok || !strings.Contains(quoted, "error: not inside a GitHub job") || !strings.HasPrefix(after, "::error::not inside a GitHub job") {
		t.Errorf("the log:\n%s", out.String())
	}
}
