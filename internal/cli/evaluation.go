package cli

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/flotilla-nix/flotilla/internal/config"
)

// evaluationFlags adds the flags of commands that evaluate hosts. They beat the
// evaluation section of flotilla.yaml.
func (s *shell) evaluationFlags(f *pflag.FlagSet) {
	f.IntVar(&s.evaluation.Workers, "workers", 0, "hosts evaluated at a time (default: by cores and free memory)")
	f.Var((*memory)(&s.evaluation.Memory), "worker-memory", "memory for evaluating one host: 1536MiB, 2GiB (default: its share of the free memory)")
	f.DurationVar(&s.evaluation.Timeout, "worker-timeout", 0, "time for evaluating one host (default 15m)")
	f.BoolVar(&s.noCache, "no-cache", false, "neither use nor keep results of evaluations (FLOTILLA_CACHE is their folder)")
	f.BoolVar(&s.verifyCache, "verify-cache", false, "evaluate anyway, and fail where a kept result differs")
}

// checkEvaluation refuses bounds within which nothing can be evaluated.
func (s *shell) checkEvaluation() error {
	switch {
	case s.evaluation.Workers < 0:
		return usage(fmt.Sprintf("--workers %d is out of bounds", s.evaluation.Workers), "It is at least 1; leave it out for as many as cores and memory allow.")
	case s.evaluation.Timeout != 0 && s.evaluation.Timeout < 10*time.Second:
		return usage(fmt.Sprintf("--worker-timeout %s is out of bounds", s.evaluation.Timeout), "It is at least 10s.")
	default:
		return nil
	}
}

// memory is a flag for a number of bytes.
type memory int64

// Set implements pflag.Value.
func (m *memory) Set(text string) error {
	n, err := config.ParseSize(text)
	if err != nil || n < 256<<20 {
		return fmt.Errorf("%q is not an amount of memory: write 256MiB or more, for example 1536MiB or 2GiB", text)
	}
	*m = memory(n)
	return nil
}

// String implements pflag.Value.
func (m *memory) String() string {
	if *m == 0 {
		return ""
	}
	return fmt.Sprintf("%dMiB", int64(*m)>>20)
}

// Type implements pflag.Value.
func (m *memory) Type() string { return "size" }
