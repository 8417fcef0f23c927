package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

func TestEvaluationFlags(t *testing.T) {
	for _, c := range []struct {
		args string
		want fleet.Evaluation
		fail string
	}{
		{"", fleet.Evaluation{}, ""},
		{"--workers 3 --worker-memory 2GiB --worker-timeout 20m", fleet.Evaluation{Workers: 3, Memory: 2 << 30, Timeout: 20 * time.Minute}, ""},
		{"--worker-memory 1536MiB", fleet.Evaluation{Memory: 1536 << 20}, ""},
		{"--worker-memory 2048", fleet.Evaluation{}, "not an amount of memory"},
		{"--worker-memory 1MiB", fleet.Evaluation{}, "not an amount of memory"},
		{"--workers -1", fleet.Evaluation{}, "--workers -1 is out of bounds"},
		{"--worker-timeout 1s", fleet.Evaluation{}, "--worker-timeout 1s is out of bounds"},
	} {
		s := &shell{}
		f := pflag.NewFlagSet("test", pflag.ContinueOnError)
		s.evaluationFlags(f)
		err := f.Parse(strings.Fields(c.args))
		if err == nil {
			err = s.checkEvaluation()
		}
		if c.fail != "" {
			if err == nil || !strings.Contains(err.Error(), c.fail) {
				t.Errorf("%s: %v, want %q", c.args, err, c.fail)
			}
			continue
		}
		if err != nil || s.evaluation != c.want {
			t.Errorf("%s: %+v, %v", c.args, s.evaluation, err)
		}
	}
}

func TestGoal(t *testing.T) {
	for text, well := range map[string]bool{"switch": true, "keys": true, "boot": false, "": false} {
		if _, err := goalOf(text); (err == nil) != well || err != nil && problem.CodeOf(err) != problem.Usage {
			t.Errorf("%q: %v", text, err)
		}
	}
}
