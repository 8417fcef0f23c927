package job_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// spoiler stands before GitHub and spoils its answer to one request and to all
// that come after it to the same path.
type spoiler struct {
	mu    sync.Mutex
	next  http.Handler
	at    int // counted from 1
	spoil func(w http.ResponseWriter, req *http.Request, answer []byte)
	seen  int
	path  string
}

// before puts the spoiler before the rig's GitHub.
func (s *spoiler) before(r *rig) {
	s.next = r.api
	r.front.Store(s)
}

// spoiled are the requests so far, and the path that was spoilt.
func (s *spoiler) spoiled() (seen int, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen, s.path
}

func (s *spoiler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	s.seen++
	if s.seen == s.at {
		s.path = req.URL.Path
	}
	hit := s.path == req.URL.Path
	spoil := s.spoil
	s.mu.Unlock()
	if !hit {
		s.next.ServeHTTP(w, req)
		return
	}
	rec := httptest.NewRecorder()
	s.next.ServeHTTP(rec, req)
	answer, _ := io.ReadAll(rec.Result().Body)
	for name, values := range rec.Header() {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	spoil(w, req, answer)
}

func body(text string) func(http.ResponseWriter, *http.Request, []byte) {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) { _, _ = io.WriteString(w, text) }
}

// spoils are answers that no job should stumble over.
func spoils() map[string]func(http.ResponseWriter, *http.Request, []byte) {
	return map[string]func(http.ResponseWriter, *http.Request, []byte){
		"html":       body("<!DOCTYPE html><html><body>Unicorn! ::error::x\n::set-output name=x::y</body></html>"),
		"nothing":    body(""),
		"null":       body("null"),
		"object":     body("{}"),
		"list":       body("[]"),
		"nulls":      body("[null,null]"),
		"objects":    body("[{},{}]"),
		"error, 200": body(`{"message":"Bad credentials","documentation_url":"x","status":"401"}`),
		"wrong":      body(`{"id":"x","data":[1],"commits":{},"state":7,"viewer":[]}`),
		"huge text":  body(`{"message":"` + strings.Repeat("a\\n::error::b ", 20000) + `"}`),
		"deep":       body(strings.Repeat("[", 20000)),
		"half":       func(w http.ResponseWriter, _ *http.Request, answer []byte) { _, _ = w.Write(answer[:len(answer)/2]) },
		"all null": func(w http.ResponseWriter, _ *http.Request, answer []byte) {
			_, _ = w.Write(nulled(answer))
		},
		"around": func(w http.ResponseWriter, req *http.Request, answer []byte) {
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=2>; rel="next"`, req.Host, req.URL.Path))
			_, _ = w.Write(answer)
		},
		"elsewhere": func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			w.Header().Set("Location", "http://elsewhere.example/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"itself": func(w http.ResponseWriter, req *http.Request, _ []byte) {
			w.Header().Set("Location", req.URL.Path)
			w.WriteHeader(http.StatusPermanentRedirect)
		},
		"later": func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			w.Header().Set("Retry-After", "99999999999999")
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		"limit in 9999": func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			w.Header().Set("X-Ratelimit-Remaining", "0")
			w.Header().Set("X-Ratelimit-Reset", "253402300799")
			w.WriteHeader(http.StatusForbidden)
		},
		"accepted": func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, "{}")
		},
		"teapot": func(w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusTeapot) },
	}
}

// nulled sets every text and number of a JSON answer to null.
func nulled(answer []byte) []byte {
	var b bytes.Buffer
	for part := range bytes.SplitAfterSeq(answer, []byte(`":`)) {
		if len(part) > 0 && bytes.HasSuffix(answer, part) || len(part) == 0 || part[0] == '{' || part[0] == '[' {
			b.Write(part)
			continue
		}
		if i := bytes.IndexAny(part, ",}"); i >= 0 {
			b.WriteString("null")
			b.Write(part[i:])
			continue
		}
		b.Write(part)
	}
	return b.Bytes()
}

// briefly is a job that waits at its end for no longer than a moment.
func briefly(e event) event {
	e.grace = 20 * time.Millisecond
	return e
}

// TestOddAnswerAtAnyCall: whatever GitHub says to any one question, a job comes
// to its end before long, obeys nobody whom it would not have obeyed, and what it
// tells holds no command of a stranger.
func TestOddAnswerAtAnyCall(t *testing.T) {
	scenarios := map[string]func(t *testing.T, spoil func(*rig)) ran{
		"plan": func(t *testing.T, spoil func(*rig)) ran {
			r := start(t)
			p := r.open("feature")
			r.plan(changes(t, p.head, "web-1"))
			r.run(r.onPull(p)).want(problem.OK)
			r.push(p)
			spoil(r)
			return r.run(briefly(r.onPull(p)))
		},
		"deploy": func(t *testing.T, spoil func(*rig)) ran {
			r, _, e := merged(t, fleet.Deployed, func(*rig) {})
			spoil(r)
			e.attempt = 2
			return r.run(briefly(e))
		},
		"drift": func(t *testing.T, spoil func(*rig)) ran {
			r := start(t)
			r.drift(drifted(nil, "web-1"))
			r.run(r.onSchedule())
			spoil(r)
			return r.run(briefly(r.onSchedule()))
		},
		"chat": func(t *testing.T, spoil func(*rig)) ran {
			r, p := chat(t)
			asked := 0
			r.flow.onUnlock = func() (deploy.Unlocked, error) { asked++; return deploy.Unlocked{Fleet: "acme"}, nil }
			e := r.onComment(p, "eve", "/flotilla unlock")
			spoil(r)
			done := r.run(briefly(e))
			if asked != 0 {
				t.Error("eve is obeyed")
			}
			return done
		},
	}
	for name, scenario := range scenarios {
		for how, spoil := range spoils() {
			for at := 1; ; at++ {
				s := &spoiler{at: at, spoil: spoil}
				began := time.Now()
				done := scenario(t, s.before)
				// A job that gave up may have requests on their way still.
				seen, path := s.spoiled()
				if seen < at {
					if at == 1 {
						t.Fatalf("%s, %s: GitHub was never asked", name, how)
					}
					break
				}
				what := fmt.Sprintf("%s, %s at request %d (%s)", name, how, at, path)
				if took := time.Since(began); took > 5*time.Second || seen > 150 {
					t.Errorf("%s: %s, %d requests", what, took, seen)
				}
				if done.said("set-output") != "" || strings.Contains(done.said("error"), "\n::") {
					t.Errorf("%s: commands %+v", what, done.commands)
				}
			}
		}
	}
}
