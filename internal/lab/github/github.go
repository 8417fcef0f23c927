// Package github is a stand-in for GitHub's REST and GraphQL API: an
// http.Handler that answers for one repository as the real one does where
// Flotilla looks (comments, pull requests, statuses, checks, deployments, runs,
// issues), and that refuses as the real one does: permissions of a token,
// paging, the size of a comment, primary and secondary rate limits.
//
// Rule: what a client may rely on at the real API holds here, and what it must
// not rely on fails here. With a Validator every request and every answer is
// held against GitHub's published description (package openapi).
// Non-goals: git itself, web pages, webhooks, several repositories.
//
// It is served at /, and below /api/v3 and /api/graphql as GitHub Enterprise
// Server has it. Outside of that, without a token: GET, POST and DELETE
// /_lab/faults (see Fault), GET and DELETE /_lab/requests (see Counts).
package github

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	maxBody = 4 << 20
	// CommentLimit is the length of a comment's or an issue's text, in characters.
	CommentLimit = 65_536
	// DefaultRateLimit is how many requests a token has per hour.
	DefaultRateLimit = 1000
)

// Options set up an API.
type Options struct {
	Repository string  // owner/name; required
	Private    bool    // what the repository says of itself
	Branch     string  // the default branch; "": main
	Tokens     []Token // who may come; at least one
	Validate   Validator
	Limits     Limits
	// RebaseLinksLast lets only the last commit of a rebased pull request lead
	// to it, where otherwise each does.
	RebaseLinksLast bool
	Now             func() time.Time // nil: time.Now
}

// Token is what a request may do, and as whom.
type Token struct {
	Value string // what stands after "Bearer "
	Login string // who; "": github-actions[bot]
	// Permissions are those of a workflow's permissions block, with underscores:
	// {"contents":"read","pull_requests":"write"}. What is not named is refused.
	Permissions map[string]string
}

// Exchange is a request and its answer, for a Validator.
type Exchange struct {
	Operation    string // "GET /repos/{owner}/{repo}/issues"; "" for GraphQL
	Request      *http.Request
	PathParams   map[string]string
	RequestBody  []byte
	Status       int
	Header       http.Header
	ResponseBody []byte
}

// Validator says what is wrong with an exchange.
type Validator interface {
	Check(Exchange) error
}

// API is the handler.
type API struct {
	opt    Options
	routes []route
	faults faults
	count  counter

	mu       sync.Mutex // guards what follows, held while a handler runs
	repo     *repository
	limits   map[string]*usage // by token
	breaches []error
}

// New makes an API with an empty repository.
func New(opt Options) (*API, error) {
	owner, name, ok := strings.Cut(opt.Repository, "/")
	if !ok || owner == "" || name == "" {
		return nil, fmt.Errorf("lab GitHub: repository %q, want owner/name", opt.Repository)
	}
	if len(opt.Tokens) == 0 {
		return nil, errors.New("lab GitHub: no token given")
	}
	if opt.Branch == "" {
		opt.Branch = "main"
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	opt.Limits.fill()
	a := &API{opt: opt, repo: newRepository(owner, name), limits: map[string]*usage{}}
	a.routes = a.table()
	return a, nil
}

// Breaches are the exchanges so far in which the client or the stand-in broke
// GitHub's published description. Tests fail on any.
func (a *API) Breaches() []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]error(nil), a.breaches...)
}

// request is one call, while the API's lock is held.
type request struct {
	api    *API
	repo   *repository
	token  Token
	base   string // scheme, host and prefix: what URLs in answers begin with
	params map[string]string
	query  url.Values
	body   []byte
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refusal(http.StatusRequestEntityTooLarge, "the request is too large").write(w)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/_lab/") {
		a.serveControl(w, r, body)
		return
	}
	prefix, path := "", r.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(path, "/api/v3/"); ok {
		prefix, path = "/api/v3", "/"+rest
	} else if path == "/api/graphql" {
		path = "/graphql"
	}
	operation, found, params := a.match(r.Method, path)
	a.count.add(operation)
	w.Header().Set("X-GitHub-Request-Id", "LAB:"+fmt.Sprint(a.Requests().Total()))

	fault, delay := a.faults.take(r.Method, path)
	if !pause(r.Context(), delay) {
		return
	}
	if fault != nil && !fault.After {
		fault.answer(w)
		return
	}
	q := &request{api: a, repo: a.repo, base: "http://" + r.Host + prefix, params: params, query: r.URL.Query(), body: body}
	ans := a.handle(q, r, found)
	if fault != nil {
		fault.answer(w)
		return
	}
	if found != nil {
		a.validate(Exchange{
			Operation: operation, Request: r, PathParams: params, RequestBody: body,
			Status: ans.status, Header: ans.header, ResponseBody: ans.data(),
		})
	}
	ans.conditional(r).write(w)
}

// handle decides who asks, whether it may, and answers.
func (a *API) handle(q *request, r *http.Request, found *route) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	token, ok := a.authorize(r)
	if !ok {
		return refusal(http.StatusUnauthorized, "Bad credentials")
	}
	q.token = token
	headers, refused := a.spend(token, r.Method)
	var ans *answer
	switch {
	case refused != nil:
		ans = refused
	case found == nil:
		ans = refusal(http.StatusNotFound, "Not Found")
	case len(found.needs) > 0 && !token.mayAny(found.needs):
		ans = forbidden(found.needs)
	default:
		ans = found.serve(q)
	}
	for name, values := range headers {
		ans.header[name] = values
	}
	return ans
}

func (a *API) authorize(r *http.Request) (Token, bool) {
	header := r.Header.Get("Authorization")
	value, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		value, ok = strings.CutPrefix(header, "token ")
	}
	for _, t := range a.opt.Tokens {
		if ok && t.Value != "" && t.Value == value {
			if t.Login == "" {
				t.Login = "github-actions[bot]"
			}
			return t, true
		}
	}
	return Token{}, false
}

// mayAny tells whether the token has one of the permissions, "issues:write".
func (t Token) mayAny(needs []string) bool {
	for _, need := range needs {
		name, level, _ := strings.Cut(need, ":")
		if has := t.Permissions[name]; has == level || has == "write" {
			return true
		}
	}
	return false
}

func (a *API) validate(e Exchange) {
	if a.opt.Validate == nil || e.Operation == "" {
		return
	}
	if err := a.opt.Validate.Check(e); err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.breaches = append(a.breaches, fmt.Errorf("%s (HTTP %d): %w", e.Operation, e.Status, err))
	}
}
