package cli

import (
	"io"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/render"
)

// watched is an output that knows whether anything was written to it.
type watched struct {
	io.Writer
	used bool
}

func (w *watched) Write(p []byte) (int, error) {
	w.used = w.used || len(p) > 0
	return w.Writer.Write(p)
}

// showFailure writes an error as the JSON result of a command that ended
// without one: who asks for JSON gets one document in every case.
func (s *shell) showFailure(args []string, err error, code problem.Code) {
	out, ran := s.out.(*watched) // wrong flags end before verify
	if ran && !out.used || !ran && asksForJSON(args) {
		_ = render.FailureJSON(s.out, err, code)
	}
}

// asksForJSON looks for --format json in arguments that could not be parsed.
func asksForJSON(args []string) bool {
	i := slices.Index(args, "--format")
	return slices.Contains(args, "--format=json") || i >= 0 && i+1 < len(args) && args[i+1] == "json"
}
