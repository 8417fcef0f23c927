package nix

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// maxOutput bounds what one evaluation may print.
const maxOutput = 128 << 20

var errTooMuch = errors.New("it printed more than 128 MiB")

// newMark gives a word that an evaluated tree cannot know.
func newMark() string { return "flotilla-" + rand.Text() + " " }

// output is what one evaluation left.
type output struct {
	json    []byte
	servers []string // servers whose facts were read, sorted
}

// failure is an evaluation that ended with an error. Its messages are Nix's own, unchecked.
type failure struct {
	message message // zero if Nix printed none
	cause   error   // the program's error
}

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// message is a line of Nix's internal-json log.
type message struct {
	Action string  `json:"action"`
	Level  int     `json:"level"`
	Msg    string  `json:"msg"`
	Raw    *string `json:"raw_msg"` // errors only
	place
	Trace []struct { // innermost first
		Raw string `json:"raw_msg"`
		place
	} `json:"trace"`
}

type place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// Some versions of Nix put line and column behind the file's name too.
var withPosition = regexp.MustCompile(`:\d+:\d+$`)

func (p *place) clean() {
	p.File = withPosition.ReplaceAllString(p.File, "")
}

// eval evaluates one attribute of eval.nix. An error is a *failure.
func (e *Evaluator) eval(ctx context.Context, o *opened, attribute, host string) (output, error) {
	ctx, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()

	args := []string{"--eval", "--strict", "--json", "--show-trace", "--log-format", "internal-json"}
	args = append(args, e.modeArgs(o)...)
	args = append(args, "--argstr", "hive", o.hive, "--argstr", "facts", o.factsDir(), "--argstr", "mark", o.mark)
	if host != "" {
		args = append(args, "--argstr", "host", host)
	}
	args = append(args, "-A", attribute, o.evalFile())

	log := messages{mark: o.mark}
	stdout := &limited{max: maxOutput}
	_, err := process.Run(ctx, process.Command{
		Program: "nix-instantiate", Args: args, Dir: o.tool, Env: e.environment(o), Stdout: stdout, Line: log.line,
	})
	if stdout.over {
		return output{}, &failure{cause: errTooMuch}
	}
	if err != nil {
		return output{}, &failure{message: log.failed, cause: missingNix(err)}
	}
	return output{json: stdout.Bytes(), servers: log.readServers()}, nil
}

// modeArgs gives the options that make the two modes. Both compute the same
// derivation. The trusted one writes it to the store; the untrusted one to a
// store of its own, in which nothing is ever built, so that texts of generated
// files can be read.
func (e *Evaluator) modeArgs(o *opened) []string {
	if o.Trusted {
		return []string{"--read-write-mode"}
	}
	args := []string{
		"--option", "restrict-eval", "true",
		"--option", "allow-import-from-derivation", "false",
		"--option", "allowed-uris", "",
		"--option", "substitute", "false", "--option", "max-jobs", "0", "--option", "builders", "",
		"-I", "flotilla-repo=" + o.dir,
		"-I", "flotilla-tool=" + o.tool,
	}
	if !o.blind {
		args = append(args, "--read-write-mode", "--option", "fsync-metadata", "false") // of its own store
	}
	for _, entry := range localEntries(e.opts.NixPath) {
		args = append(args, "-I", entry)
	}
	return args
}

// inherited are the variables a trusted evaluation or a build gets from the
// caller: what Nix and its fetchers need. A fixed list keeps secrets out.
func inherited(name string) bool {
	switch name {
	case "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY":
		return true
	}
	return strings.HasPrefix(name, "NIX_") && name != "NIX_PATH" || strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "XDG_")
}

func trustedEnvironment() []string {
	var env []string
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); inherited(name) {
			env = append(env, v)
		}
	}
	return env
}

func (e *Evaluator) environment(o *opened) []string {
	if o.Trusted {
		return append(trustedEnvironment(), "NIX_PATH="+e.opts.NixPath)
	}
	// A store of its own, no user's or machine's configuration, nothing in the environment.
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + o.home, "TMPDIR=" + o.home, "NIX_CONF_DIR=" + o.home, "NIX_PATH=", "LC_ALL=C",
		"NIX_REMOTE=" + o.remote(),
	}
}

// remote is the store of an untrusted evaluation.
func (o *opened) remote() string {
	if o.blind {
		return "dummy://"
	}
	return "local?root=" + o.storeRoot()
}

// prepare makes the store of an untrusted evaluation, before several
// processes would do so at once and meet it half made.
func (e *Evaluator) prepare(ctx context.Context, o *opened) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	e.probe(ctx, o)
	if o.blind {
		return nil
	}
	_, err := process.Run(ctx, process.Command{Program: "nix-store", Args: []string{"--init"}, Dir: o.tool, Env: e.environment(o)})
	if err != nil {
		return missingNix(err)
	}
	return nil
}

// probe finds out whether files in the machine's store are seen from a store
// of one's own: not every Nix does so, and nixpkgs may lie there. Evaluation
// is blind without: it has no store at all, and texts of generated files are
// not known.
func (e *Evaluator) probe(ctx context.Context, o *opened) {
	for _, entry := range localEntries(e.opts.NixPath) {
		path := entry[strings.IndexByte(entry, '=')+1:]
		if !strings.HasPrefix(path, storepath.Dir+"/") {
			continue
		}
		r, err := process.Run(ctx, process.Command{
			Program: "nix-instantiate", Dir: o.tool, Env: e.environment(o),
			Args: []string{"--eval", "--option", "restrict-eval", "true", "-I", "probed=" + path, "-E", "builtins.pathExists <probed>"},
		})
		if err != nil || strings.TrimSpace(string(r.Stdout)) != "true" {
			o.blind = true
			return
		}
	}
}

// localEntries gives the entries of a search path that are local, with links
// resolved: a restricted evaluation checks the path behind them, and must not
// fetch the others.
func localEntries(nixPath string) []string {
	var entries []string
	for _, entry := range splitSearchPath(nixPath) {
		name, path, named := strings.Cut(entry, "=")
		if !named {
			name, path = "", entry
		}
		if !filepath.IsAbs(path) {
			continue
		}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		if named {
			path = name + "=" + path
		}
		entries = append(entries, path)
	}
	return entries
}

// splitSearchPath splits at colons, but not at those of a URL.
func splitSearchPath(s string) []string {
	var parts []string
	for part := range strings.SplitSeq(s, ":") {
		if last := len(parts) - 1; last >= 0 && strings.HasPrefix(part, "//") {
			parts[last] += ":" + part
			continue
		}
		if part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// messages reads Nix's log.
type messages struct {
	mark string

	mu      sync.Mutex
	failed  message
	servers []string
}

func (m *messages) line(line string) {
	text, ok := strings.CutPrefix(line, "@nix ")
	if !ok {
		return
	}
	var msg message
	if err := json.Unmarshal([]byte(text), &msg); err != nil || msg.Action != "msg" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if msg.Raw != nil && msg.Level == 0 {
		msg.clean()
		for i := range msg.Trace {
			msg.Trace[i].clean()
		}
		m.failed = msg // the last one ends the evaluation
		return
	}
	// eval.nix's own traces name servers; others lack the mark.
	if name, ok := strings.CutPrefix(msg.Msg, "trace: "+m.mark); ok && !slices.Contains(m.servers, name) {
		m.servers = append(m.servers, name)
	}
}

// readServers gives the servers whose facts were read, sorted.
func (m *messages) readServers() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(slices.Values(m.servers))
}

// limited is a buffer that refuses more than max bytes.
type limited struct {
	bytes.Buffer
	max  int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > l.max {
		l.over = true
		return 0, fmt.Errorf("evaluation: %w", errTooMuch)
	}
	return l.Buffer.Write(p)
}
