// Package cli is the command line and the GitHub action: one file per command
// with its options, flags and run; exit codes and messages are made here, once.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/render"
)

// shell is what commands share: the streams and the global flags.
type shell struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string

	config   string // path of flotilla.yaml or its folder
	format   string // text, markdown, json
	events   string // text, json
	draining <-chan struct{}

	noCache     bool
	verifyCache bool
	evaluation  fleet.Evaluation // zero: as flotilla.yaml says
	code        problem.Code     // exit code of a command that ended without an error
}

// Main runs the program and gives its exit code.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	if len(args) > 0 && args[0] == watchWord {
		_, _ = fmt.Fprintln(errOut, becomes(args))
		return int(problem.Failed)
	}
	s := &shell{in: in, out: out, err: errOut, getenv: os.Getenv}
	ctx, stop := s.signals()
	defer stop()
	root := newRoot(s)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	code := s.code
	if err != nil {
		var reported *reportedError
		if !errors.As(err, &reported) {
			_ = render.ErrorText(errOut, err, render.Options{})
		}
		code = problem.Worse(code, problem.CodeOf(err))
		if ctx.Err() != nil {
			code = problem.Worse(code, problem.Cancelled)
		}
		s.showFailure(args, err, code)
	}
	return int(code)
}

// signals makes the two-step interrupt: the first lets what is in hand end and
// begins nothing more, the second cancels.
func (s *shell) signals() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	draining := make(chan struct{})
	s.draining = draining
	received := make(chan os.Signal, 2)
	signal.Notify(received, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // under nohup the end of the terminal is nothing to us
		signal.Notify(received, syscall.SIGHUP)
	}
	go func() {
		select {
		case <-received:
		case <-ctx.Done():
			return
		}
		close(draining)
		_, _ = fmt.Fprintln(s.err, "interrupted: what is in hand is brought to an end, nothing more is begun (again to cancel)")
		select {
		case <-received:
		case <-time.After(drainTime):
		case <-ctx.Done():
			return
		}
		cancel()
	}()
	return ctx, func() {
		signal.Stop(received)
		cancel()
	}
}

// drainTime is how long hosts in hand have after the first interrupt before
// everything is cancelled; a GitHub runner kills the job soon after its signal.
const drainTime = 5 * time.Second

// reportedError is an error whose text was shown already.
type reportedError struct{ err error }

func (e *reportedError) Error() string { return e.err.Error() }
func (e *reportedError) Unwrap() error { return e.err }

func newRoot(s *shell) *cobra.Command {
	root := &cobra.Command{
		Use:   "flotilla",
		Short: "Run a fleet of NixOS servers from a git repository",
		Long: `Flotilla runs a fleet of NixOS servers from a git repository: it plans pull
requests, deploys merges, and puts back what does not come up healthy.

Exit codes: 0 as asked · 1 error, nothing changed on any host · 2 changes or
drift, where asked for · 3 a host was not deployed, every touched host verified
on a good system · 4 a host is unknown, degraded or not bootable · 5 refused
(lock, review, hold, protection) · 64 usage · 130 cancelled`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVarP(&s.config, "config", "f", ".", "flotilla.yaml or its folder")
	flags.StringVar(&s.format, "format", "text", "results as text, markdown or json; plan also as html")
	flags.StringVar(&s.events, "events", "text", "progress as text or json")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(err.Error(), cmd.CommandPath()+" --help shows the flags.")
	})
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := namesHosts(cmd); err != nil {
			return err
		}
		return s.verify(cmd.Name())
	}
	root.AddCommand(
		newPlanCommand(s), newDeployCommand(s), newRollbackCommand(s), newReleaseCommand(s),
		newDestroyCommand(s), newAdoptCommand(s), newImportCommand(s), newUnlockCommand(s),
		newStatusCommand(s), newDriftCommand(s), newHistoryCommand(s), newFactsCommand(s), newCheckCommand(s),
		newEvalCommand(s), newBuildCommand(s), newSchemaCommand(s), newActionCommand(s), newLabCommand(), newDemoCommand(s), newVersionCommand(s),
	)
	wrapArgs(root)
	return root
}

// wrapArgs makes wrong arguments usage problems for every command.
func wrapArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usage(err.Error(), c.CommandPath()+" --help shows what it takes.")
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		wrapArgs(sub)
	}
}

func (s *shell) verify(command string) error {
	switch s.format {
	case "text", "markdown":
	case "html":
		if command != "plan" {
			return usage("--format html is for plan only", "Use text, markdown or json.")
		}
	case "json":
		s.out = &watched{Writer: s.out}
	default:
		return usage(fmt.Sprintf("--format %s is not known", s.format), "Use text, markdown or json.")
	}
	switch s.events {
	case "text", "json":
	default:
		return usage(fmt.Sprintf("--events %s is not known", s.events), "Use text or json.")
	}
	return nil
}

func usage(summary string, hints ...string) error {
	return &problem.Problem{Summary: summary, Hints: hints, Code: problem.Usage}
}

// sink gives the printer of progress; the func ends it.
func (s *shell) sink() (progress.Sink, func()) {
	if s.events == "json" {
		return render.NewJSON(s.err), func() {}
	}
	p := render.NewPlain(s.err)
	return p, func() { _ = p.Close() }
}

// flow gives the flow over the fleet repo that --config names.
func (s *shell) flow(sink progress.Sink) (*deploy.Flow, error) {
	if err := s.checkEvaluation(); err != nil {
		return nil, err
	}
	dir, err := s.dir()
	if err != nil {
		return nil, err
	}
	return &deploy.Flow{Dir: dir, Getenv: s.getenv, Sink: sink, By: by(s.getenv), Evaluation: s.evaluation, Cache: s.cache()}, nil
}

// open gives the flow and the hosts that --on names.
func (s *shell) open(on string, sink progress.Sink) (*deploy.Flow, fleet.Selector, error) {
	sel, err := selector(on)
	if err != nil {
		return nil, sel, err
	}
	flow, err := s.flow(sink)
	return flow, sel, err
}

// by names who runs this, for locks and records.
func by(getenv func(string) string) string {
	name := getenv("USER")
	if u, err := user.Current(); err == nil && name == "" {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// interactive tells whether somebody can answer a question.
func (s *shell) interactive() bool {
	in, ok := s.in.(*os.File)
	out, ok2 := s.err.(*os.File)
	return ok && ok2 && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd()))
}
