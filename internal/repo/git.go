package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/flotilla-nix/flotilla/internal/process"
)

// limit is how long one run of git may take. The longest is writing out a tree.
const limit = 10 * time.Minute

// git runs the git program in a folder.
type git struct {
	dir      string
	safe     string   // the work tree's top: it may belong to another user
	programs []string // configuration keys of the repository that name programs
	objects  string   // folder of further objects, "" for none
}

// line runs git and gives its output without the final newline.
func (g git) line(ctx context.Context, args ...string) (string, error) {
	out, err := g.run(ctx, nil, nil, args...)
	return strings.TrimSuffix(string(out), "\n"), err
}

// run runs git. out may be nil: then the output is returned.
func (g git) run(ctx context.Context, in io.Reader, out io.Writer, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return run(ctx, process.Command{Args: args, Dir: g.dir, Env: g.env(), Stdin: in, Stdout: out})
}

func run(ctx context.Context, c process.Command) ([]byte, error) {
	c.Program = "git"
	if c.Stdin == nil {
		c.Stdin = bytes.NewReader(nil)
	}
	result, err := process.Run(ctx, c)
	if err != nil {
		return nil, err
	}
	return result.Stdout, nil
}

// env is git's whole environment. Nothing of the caller's GIT_* reaches it, no
// other configuration than the repository's own, and of that nothing that
// starts a program.
func (g git) env() []string {
	env := append(environment("PATH", "HOME"),
		"GIT_OPTIONAL_LOCKS=0", // reading must not write
		"GIT_NO_LAZY_FETCH=1",  // a partial clone would fetch what is missing,
		"GIT_ALLOW_PROTOCOL=",  // by programs that its configuration names
	)
	if g.objects != "" {
		env = append(env, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+g.objects)
	}
	settings := [][2]string{{"core.commitGraph", "false"}} // it may disagree with the commits
	if g.safe != "" {
		settings = append(settings, [2]string{"safe.directory", g.safe}) // in containers the work tree often has another owner
	}
	for _, key := range g.programs {
		value := ""
		if strings.HasSuffix(key, ".required") {
			value = "false"
		}
		settings = append(settings, [2]string{key, value})
	}
	return append(env, configured(settings...)...)
}

// environment is what every run of git gets, with the named variables of the
// caller's.
func environment(inherited ...string) []string {
	env := []string{
		"LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_GRAFT_FILE=" + os.DevNull,
		"GIT_NO_REPLACE_OBJECTS=1", // a commit is what its hash says
		"GIT_LITERAL_PATHSPECS=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=false",
		"GIT_PAGER=cat",
	}
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// configured hands settings over, with those of every run. They beat what the
// repository's own configuration says.
func configured(more ...[2]string) []string {
	settings := append([][2]string{
		{"safe.bareRepository", "explicit"}, // a repository inside the tree is not ours
		{"core.fsmonitor", "false"},
		{"core.hooksPath", os.DevNull},
		{"core.attributesFile", os.DevNull},
		{"core.untrackedCache", "false"},
		{"core.quotePath", "false"},
		{"gc.auto", "0"},
		{"maintenance.auto", "false"},
	}, more...)
	env := []string{fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(settings))}
	for i, s := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, s[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, s[1]))
	}
	return env
}

// programs lists the keys of the repository's own configuration that would run
// a program while files are compared. Their names are the repository's choice,
// so they can only be switched off one by one.
func programs(ctx context.Context, g git) ([]string, error) {
	out, err := g.run(ctx, nil, nil, "config", "--list", "--null", "--name-only", "--includes")
	if err != nil {
		return nil, err
	}
	var keys []string
	for key := range strings.SplitSeq(string(out), "\x00") {
		if !strings.HasPrefix(key, "filter.") {
			continue
		}
		for _, what := range []string{".clean", ".smudge", ".process", ".required"} {
			if strings.HasSuffix(key, what) {
				keys = append(keys, key)
			}
		}
	}
	return keys, nil
}

// exitCode gives git's exit code: 0 for nil, -1 when it did not run to its end.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	var failure *process.Error
	if errors.As(err, &failure) {
		return failure.ExitCode
	}
	return -1
}

// enclosing finds the nearest folder above dir that holds a .git, and its
// owner: -1 if that cannot be told.
func enclosing(dir string) (top string, owner int) {
	for {
		info, err := os.Lstat(filepath.Join(dir, ".git"))
		if err == nil {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				return dir, int(stat.Uid)
			}
			return dir, -1
		}
		if dir == filepath.Dir(dir) {
			return "", -1
		}
		dir = filepath.Dir(dir)
	}
}
