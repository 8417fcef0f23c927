package job_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/flotilla-nix/flotilla/internal/job"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/lab/github/openapi"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

const repository = "acme/fleet"

// tokens are the permissions of the jobs in examples/workflows, by file, and of
// a fork's.
var tokens = sync.OnceValue(func() map[string]map[string]string {
	all := map[string]map[string]string{"fork": {"contents": "read", "pull_requests": "read", "statuses": "read"}}
	for _, name := range []string{"plan", "deploy", "rollback", "drift", "chatops"} {
		text, err := os.ReadFile(filepath.Join("../../examples/workflows", name+".yml"))
		if err != nil {
			panic(err)
		}
		var workflow struct {
			Jobs map[string]struct {
				Permissions map[string]string `yaml:"permissions"`
			} `yaml:"jobs"`
		}
		if err := yaml.Unmarshal(text, &workflow); err != nil {
			panic(err)
		}
		all[name] = map[string]string{}
		for _, job := range workflow.Jobs {
			for permission, level := range job.Permissions {
				all[name][strings.ReplaceAll(permission, "-", "_")] = level
			}
		}
	}
	return all
})

// rig is GitHub, a repository with a fleet, and jobs that run in it.
type rig struct {
	testing.TB
	api    *github.API
	server *httptest.Server
	front  atomic.Pointer[spoiler] // answers in place of api, if there is one
	dir    string                  // the workspace
	begin  string                  // first commit of main
	runs   int64
	flow   flow

	mu    sync.Mutex
	ahead time.Duration // of the clock: waits take no time
}

// described loads GitHub's description once: that takes longer than most tests.
var described = sync.OnceValues(openapi.New)

func start(t testing.TB, change ...func(*github.Options)) *rig {
	t.Helper()
	validator, err := described()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{TB: t, dir: t.TempDir(), runs: 100}
	r.flow.TB = t
	opt := github.Options{Repository: repository, Private: true, Validate: validator, Now: r.now}
	for name, permissions := range tokens() {
		opt.Tokens = append(opt.Tokens, github.Token{Value: token(name), Permissions: permissions})
	}
	for _, f := range change {
		f(&opt)
	}
	if r.api, err = github.New(opt); err != nil {
		t.Fatal(err)
	}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if s := r.front.Load(); s != nil {
			s.ServeHTTP(w, req)
			return
		}
		r.api.ServeHTTP(w, req)
	}))
	r.begin = r.api.AddCommit("main", "Begin", "flotilla.yaml")
	r.write("flotilla.yaml", "fleet: acme\nflake: .\n")
	r.write("flake.nix", "{ outputs = _: { }; }\n")
	t.Cleanup(func() {
		r.server.Close()
		for _, breach := range r.api.Breaches() {
			t.Errorf("against GitHub's description: %v", breach)
		}
	})
	return r
}

func token(name string) string { return "ghs_" + name + "0123456789abcdef" }

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.ahead)
}

// wait takes no time, and a little so that a loop without an end burns nothing.
func (r *rig) wait(ctx context.Context, d time.Duration) error {
	r.mu.Lock()
	r.ahead += d
	r.mu.Unlock()
	time.Sleep(time.Millisecond)
	return ctx.Err()
}

func (r *rig) write(name, text string) {
	r.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) inject(f github.Fault) {
	r.Helper()
	if err := r.api.Inject(f); err != nil {
		r.Fatal(err)
	}
}

// event is what starts a job.
type event struct {
	name, ref, sha string
	payload        map[string]any
	token          string // which; "": none
	actor          string // "": ada
	again          string // who runs it again; "": actor
	enterprise     bool   // the API's addresses are those of GitHub Enterprise Server
	run            int64  // 0: the next
	attempt        int    // 0: 1
	inputs         map[string]string
	draining       chan struct{}
	grace          time.Duration   // 0: the product's own
	ctx            context.Context //nolint:containedctx // of one run
}

// with adds inputs: name, value, name, value, …
func (e event) with(inputs ...string) event {
	e.inputs = maps.Clone(e.inputs)
	if e.inputs == nil {
		e.inputs = map[string]string{}
	}
	for i := 0; i+1 < len(inputs); i += 2 {
		e.inputs[inputs[i]] = inputs[i+1]
	}
	return e
}

// ran is a job that has ended.
type ran struct {
	testing.TB
	exit     problem.Code // as the program's
	err      error
	log      string
	summary  string
	outputs  map[string]string
	commands []command // that the runner obeyed
	took     time.Duration
}

// run carries out a job in the workspace.
func (r *rig) run(e event) ran {
	r.Helper()
	scratch := r.TempDir()
	payload, err := json.Marshal(e.payload)
	if err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(scratch, "event.json"), payload, 0o600); err != nil {
		r.Fatal(err)
	}
	if e.run == 0 {
		r.runs++
		e.run = r.runs
	}
	if e.actor == "" {
		e.actor = "ada"
	}
	env := map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": r.dir, "GITHUB_EVENT_PATH": filepath.Join(scratch, "event.json"),
		"GITHUB_EVENT_NAME": e.name, "GITHUB_REF": e.ref, "GITHUB_SHA": e.sha, "GITHUB_REPOSITORY": repository,
		"GITHUB_API_URL": r.server.URL, "GITHUB_GRAPHQL_URL": r.server.URL + "/graphql", "GITHUB_SERVER_URL": "https://github.example",
		"GITHUB_ACTOR": e.actor, "GITHUB_TRIGGERING_ACTOR": cmp.Or(e.again, e.actor),
		"GITHUB_RUN_ID": strconv.FormatInt(e.run, 10), "GITHUB_RUN_ATTEMPT": strconv.Itoa(max(e.attempt, 1)),
		"GITHUB_STEP_SUMMARY": filepath.Join(scratch, "summary"), "GITHUB_OUTPUT": filepath.Join(scratch, "output"),
	}
	if e.token != "" {
		env["INPUT_TOKEN"] = token(e.token)
	}
	if e.enterprise {
		env["GITHUB_API_URL"], env["GITHUB_GRAPHQL_URL"] = r.server.URL+"/api/v3", r.server.URL+"/api/graphql"
	}
	for name, value := range e.inputs {
		env["INPUT_"+strings.ToUpper(name)] = value
	}
	if e.ctx == nil {
		e.ctx = r.Context()
	}
	var log lockedBuffer
	began := time.Now()
	code, err := job.Run(e.ctx, job.Surroundings{
		Getenv: func(name string) string { return env[name] }, Out: &log, Draining: e.draining,
		Flow: func(dir, by string, _ progress.Sink) job.Flow {
			r.flow.dir, r.flow.by = dir, by
			return &r.flow
		},
		Wait: r.wait, Grace: e.grace,
	})
	done := ran{
		TB: r.TB, exit: problem.Worse(code, problem.CodeOf(err)), err: err, log: log.String(), summary: r.read(env["GITHUB_STEP_SUMMARY"]),
		outputs: outputs(r, strings.ReplaceAll(r.read(env["GITHUB_OUTPUT"]), r.server.URL, "https://github.example")), took: time.Since(began),
	}
	done.commands = obeyed(done.log)
	for name := range tokens() {
		secret := token(name)
		if text := strings.ReplaceAll(done.log, "::add-mask::"+secret, ""); strings.Contains(text+done.summary+fmt.Sprint(done.outputs), secret) {
			r.Errorf("the token %s is in what the job tells:\n%s", name, text)
		}
	}
	return done
}

func (r *rig) read(path string) string {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.Fatal(err)
	}
	return string(data)
}

// said lists the texts of the commands of a name, with their fields.
func (r ran) said(name string) string {
	var all []string
	for _, c := range r.commands {
		if c.name == name {
			all = append(all, strings.TrimSpace(c.fields+" "+c.text))
		}
	}
	return strings.Join(all, "\n")
}

// want is the exit code of a run, and texts that its log must have.
func (r ran) want(exit problem.Code, parts ...string) {
	r.Helper()
	if r.exit != exit {
		r.Errorf("exit code %d, want %d: %v\n%s", r.exit, exit, r.err, r.log)
	}
	wantIn(r, "the log", r.log, parts...)
}

func wantIn(t testing.TB, where, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %s:\n%s", part, where, text)
		}
	}
}

func wantOut(t testing.TB, where, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(text, part) {
			t.Errorf("%q is in %s:\n%s", part, where, text)
		}
	}
}

// lockedBuffer is a log that several may write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
