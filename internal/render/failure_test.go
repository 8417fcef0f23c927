package render

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// A refusal is shown whole, however much it refuses, and the mark under a
// source line stays under what it marks.
func TestFailureIsShownWhole(t *testing.T) {
	const excerpt = "  | 9 |   e: {server_type: cx22, image: debian-13, location: hil, ssh_keys: [deployy], networks: {m: {}}}\n" +
		"  |                                                                          ^"
	text := "error: flotilla.yaml:9:70: servers.e wants ssh key \"deployy\"\n" + excerpt
	for i := range 60 {
		text += fmt.Sprintf("\nerror: server \"s%02d\" would be destroyed, which nobody has allowed\nhint: flotilla deploy --allow-destroy s%02d", i, i)
	}
	result := plans.Result{Command: "deploy", Failure: text, ExitCode: problem.Refused}
	var terminal bytes.Buffer
	if err := ResultText(&terminal, result, Options{}); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"text": terminal.String(), "markdown": ResultMarkdown(result, Budget{Bytes: SummaryBytes})} {
		for i := range 60 {
			if want := fmt.Sprintf("--allow-destroy s%02d", i); !strings.Contains(got, want) {
				t.Errorf("%s: no %s", name, want)
			}
		}
	}
	for _, line := range strings.Split(excerpt, "\n") {
		if !strings.Contains(terminal.String(), line+"\n") {
			t.Errorf("the source line is broken:\n%s", terminal.String())
		}
	}
	if strings.Contains(terminal.String(), "of   ") {
		t.Error("a fleet without a name leaves a hole")
	}
}
