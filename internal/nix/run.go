package nix

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/observe"
	"github.com/flotilla-nix/flotilla/internal/process"
)

// eval evaluates one attribute of eval.nix. What keeps it from that and can be
// put right is put right: an input that is not in the store is fetched, and an
// evaluation that ran out of its share of the memory gets all of it, alone. An
// error of the evaluation is a *failure.
func (e *Evaluator) eval(ctx context.Context, o *opened, attribute, host string) (output, error) {
	for fetched := map[string]bool{}; ; {
		out, err := e.evalAlone(ctx, o, attribute, host)
		missing := o.inputMissing(err)
		if err == nil || missing == "" || fetched[missing] {
			return out, err
		}
		fetched[missing] = true
		if err := e.fetch(ctx, o, missing); err != nil {
			return output{}, err
		}
	}
}

func (e *Evaluator) evalAlone(ctx context.Context, o *opened, attribute, host string) (output, error) {
	e.crowd.RLock()
	out, err := e.evalOnce(ctx, o, attribute, host, e.limit)
	e.crowd.RUnlock()
	if !outOfMemory(err) || e.alone <= e.limit {
		return out, err
	}
	e.crowd.Lock()
	defer e.crowd.Unlock()
	return e.evalOnce(ctx, o, attribute, host, e.alone)
}

func (e *Evaluator) evalOnce(ctx context.Context, o *opened, attribute, host string, memory int64) (output, error) {
	ctx, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()

	args := []string{"--eval", "--strict", "--json", "--show-trace", "--log-format", "internal-json"}
	args = append(args, e.modeArgs(o)...)
	args = append(args, "--argstr", "input", o.inputFile(), "--argstr", "mark", o.mark)
	if host != "" {
		args = append(args, "--argstr", "host", host)
	}
	args = append(args, "-A", attribute, o.evalFile())

	log := messages{mark: o.mark}
	stdout := &limited{max: maxOutput}
	command := process.Command{Program: "nix-instantiate", Args: args, Dir: o.tool, Env: e.environment(o), Stdout: stdout, Line: log.line, Memory: memory}
	var watch *observe.Watch
	if o.keeps {
		command, watch = e.watched(command)
	}
	_, err := process.Run(ctx, command)
	seen := observe.Seen{Doubt: "it was not watched"}
	if watch != nil {
		seen = watch.End()
	}
	if stdout.over {
		return output{}, &failure{cause: errTooMuch}
	}
	if err != nil {
		return output{}, &failure{message: log.failed, last: log.last, memory: memory, cause: missingNix(err)}
	}
	return output{json: stdout.Bytes(), servers: log.readServers(), notes: log.notes, seen: seen}, nil
}

// modeArgs gives the options that make the two modes. Both compute the same
// derivation. The trusted one writes it to the store; the untrusted one to a
// store of its own, in which nothing is ever built, so that texts of generated
// files can be read. A flake is restricted in both: it depends on its inputs
// and on nothing of this machine, as under Nix's own flake commands.
func (e *Evaluator) modeArgs(o *opened) []string {
	var args []string
	switch {
	case !o.Trusted:
		args = []string{
			"--option", "allow-import-from-derivation", "false",
			"--option", "allowed-uris", "",
			"--option", "substitute", "false", "--option", "max-jobs", "0", "--option", "builders", "",
		}
		if !o.storeless() {
			args = append(args, "--read-write-mode", "--option", "fsync-metadata", "false", "--option", "gc-reserved-space", "0") // of its own store
		}
	case o.flake != nil:
		// what is pinned by its hash or revision may be fetched
		args = []string{"--read-write-mode", "--option", "allowed-uris", "https:// http:// ssh:// git:// git+https:// git+ssh:// github: gitlab: sourcehut:"}
	default:
		return []string{"--read-write-mode"}
	}
	args = append(args, "--option", "restrict-eval", "true", "-I", "flotilla-tool="+o.tool)
	if !o.Trusted && !o.storeless() {
		args = append(args, "-I", "flotilla-store="+o.root)
	}
	if o.flake == nil {
		args = append(args, "-I", "flotilla-repo="+o.dir)
		for _, entry := range localEntries(e.opts.NixPath) {
			args = append(args, "-I", entry)
		}
		return args
	}
	for _, path := range o.flake.sources() {
		args = append(args, "-I", "flotilla-input="+path)
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
		path := e.opts.NixPath
		if o.flake != nil {
			path = "" // a flake has inputs instead
		}
		return append(trustedEnvironment(), "NIX_PATH="+path)
	}
	// A store of its own, no user's or machine's configuration, nothing in the environment.
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + o.home, "TMPDIR=" + o.home, "NIX_CONF_DIR=" + o.home, "NIX_PATH=", "LC_ALL=C",
		"NIX_REMOTE=" + o.remote(),
	}
}

// remote is the store of an untrusted evaluation.
func (o *opened) remote() string {
	if o.storeless() {
		return "dummy://"
	}
	return "local?root=" + o.root
}

// storeless tells whether an untrusted evaluation has no store: never the machine's.
func (o *opened) storeless() bool { return o.blind || o.root == "" }

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
