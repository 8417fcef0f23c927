// Package forge talks to GitHub: comments kept in place, statuses, deployments,
// pull requests merged since a revision, one issue about drift, who may do what.
//
// Rules: what is ours is known by hidden header and author, never by one alone.
// A request whose answer was lost is looked up before it is made again. Every
// error is a problem.Problem that names the missing permission where one is
// missing, and holds no token. Nothing waits longer than Options.Patience.
// Non-goals: what the texts say (package render), what a header's data means
// (package plans), the job around it (package actions), git.
//
// go-github stays inside. A deploy that has begun must not fail because GitHub
// is down: it reports through a Queue.
package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v66/github"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// Options say where GitHub is and who asks.
type Options struct {
	API        string        // GITHUB_API_URL; "": https://api.github.com
	GraphQL    string        // GITHUB_GRAPHQL_URL; "": beside API, as GitHub has it
	Repository string        // owner/name
	Token      secret.String // of the job, an app or a person
	// Login is whose comments and issues are ours; "": who the token is, which
	// is asked for once when it is needed.
	Login string
	// Patience is how long one call may take with all its waits and repeats;
	// 0: DefaultPatience.
	Patience time.Duration
	// Transport carries the requests; nil: http.DefaultTransport.
	Transport http.RoundTripper
	// Wait waits between tries; nil: a timer.
	Wait func(ctx context.Context, d time.Duration) error
}

const (
	// DefaultPatience is the longest that a call takes unless told otherwise.
	DefaultPatience = 2 * time.Minute
	publicAPI       = "https://api.github.com"
	requestTimeout  = 30 * time.Second
)

// Client is GitHub, for one repository. Its methods may be used at the same time.
type Client struct {
	http        *http.Client
	api         *url.URL
	graphqlURL  string
	owner, name string
	token       secret.String
	patience    time.Duration
	wait        func(ctx context.Context, d time.Duration) error

	mu    sync.Mutex
	login string
}

// New gives a Client. It makes no request.
func New(opt Options) (*Client, error) {
	owner, name, ok := strings.Cut(opt.Repository, "/")
	if !ok || owner == "" || name == "" || strings.Contains(name, "/") {
		return nil, usage("the repository "+strconv.Quote(opt.Repository)+" is not of the form owner/name",
			"In a GitHub job GITHUB_REPOSITORY names it.")
	}
	if opt.Token.IsZero() {
		return nil, usage("there is no GitHub token", "Give the input github-token, by default ${{ github.token }}.")
	}
	if opt.API == "" {
		opt.API = publicAPI
	}
	base, err := url.Parse(strings.TrimSuffix(opt.API, "/") + "/")
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" || base.User != nil {
		return nil, usage("the address of GitHub's API is not a URL", "In a GitHub job GITHUB_API_URL names it.")
	}
	graphql, err := graphqlAddress(opt.GraphQL, base)
	if err != nil {
		return nil, err
	}
	if opt.Patience <= 0 {
		opt.Patience = DefaultPatience
	}
	if opt.Wait == nil {
		opt.Wait = wait
	}
	if opt.Transport == nil {
		opt.Transport = http.DefaultTransport
	}
	client := &http.Client{
		Transport:     &bearer{host: base.Host, scheme: base.Scheme, token: opt.Token, next: opt.Transport},
		CheckRedirect: sameHost,
		Timeout:       requestTimeout,
	}
	return &Client{
		http: client, api: base, graphqlURL: graphql, owner: owner, name: name, token: opt.Token,
		patience: opt.Patience, wait: opt.Wait, login: opt.Login,
	}, nil
}

// Format implements fmt.Formatter with the repository alone: fmt cannot ask
// fields that are not exported to hide themselves.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "GitHub %s/%s", c.owner, c.name) }

// rest is go-github for one try. A kept one would remember limits and answer in
// GitHub's place.
func (c *Client) rest() *github.Client {
	rest := github.NewClient(c.http)
	rest.BaseURL, rest.UserAgent = c.api, "flotilla"
	return rest
}

// graphqlAddress is /graphql beside the API, /api/graphql for an API at
// /api/v3. One that is given must be of the same host, which has the token.
func graphqlAddress(given string, base *url.URL) (string, error) {
	if given == "" {
		beside := *base
		if root, ok := strings.CutSuffix(base.Path, "/api/v3/"); ok {
			beside.Path = root + "/api/graphql"
		} else {
			beside.Path = base.Path + "graphql"
		}
		return beside.String(), nil
	}
	u, err := url.Parse(given)
	if err != nil || u.Host != base.Host || u.Scheme != base.Scheme {
		return "", usage("the address of GitHub's GraphQL API is not of the same host as its REST API",
			"In a GitHub job GITHUB_API_URL and GITHUB_GRAPHQL_URL name both.")
	}
	return u.String(), nil
}

func usage(summary, hint string) error {
	return &problem.Problem{Summary: summary, Hints: []string{hint}, Code: problem.Usage}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
