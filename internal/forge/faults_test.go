package forge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// scenario does something of each kind; after it there is exactly one of each.
func scenario(ctx context.Context, f *fixture, number int) error {
	if _, err := f.client.PutNote(ctx, number, note("plan", "first")); err != nil {
		return err
	}
	if _, err := f.client.PutNote(ctx, number, note("plan", "second")); err != nil {
		return err
	}
	if _, err := f.client.MergedSince(ctx, f.begin, "main", "main"); err != nil {
		return err
	}
	id, err := f.client.StartDeployment(ctx, deployment(f, "1/1"))
	if err != nil {
		return err
	}
	if err := f.client.UpdateDeployment(ctx, id, forge.Update{State: forge.Succeeded}); err != nil {
		return err
	}
	if err := f.client.RetireDeployments(ctx, "prod", id); err != nil {
		return err
	}
	if err := f.client.SetStatus(ctx, f.begin, forge.Status{State: forge.Success, Context: "x"}); err != nil {
		return err
	}
	if _, err := f.client.PutIssue(ctx, issue("drift")); err != nil {
		return err
	}
	if _, err := f.client.CloseIssue(ctx, issue("none")); err != nil {
		return err
	}
	if _, err := f.client.Retire(ctx, number, "plan", func(forge.Header) bool { return false }); err != nil {
		return err
	}
	if _, err := f.client.AccessOf(ctx, "octocat"); err != nil {
		return err
	}
	if _, err := f.client.BranchHead(ctx, "main"); err != nil {
		return err
	}
	_, err = f.client.RunAttempt(ctx, 7, 1)
	return err
}

func ready(t *testing.T) (*fixture, int) {
	f := start(t, nil)
	number := f.pull("feature", "One")
	merged := f.pull("merged", "Two")
	if _, err := f.api.MergePull(merged, github.Squash); err != nil {
		t.Fatal(err)
	}
	f.api.PutRun(github.Run{ID: 7, Status: "completed"})
	return f, number
}

func (f *fixture) wantOneOfEach(number int) {
	f.Helper()
	comments, deployments, issues := f.api.Comments(number), f.api.Deployments(), f.api.Issues()
	if len(comments) != 1 || comments[0].Minimized != "OUTDATED" || !strings.HasSuffix(comments[0].Body, "\nsecond") {
		f.Errorf("comments: %+v", comments)
	}
	if len(deployments) != 1 || deployments[0].Statuses[len(deployments[0].Statuses)-1].State != "success" {
		f.Errorf("deployments: %+v", deployments)
	}
	if len(issues) != 1 || issues[0].State != "closed" {
		f.Errorf("issues: %+v", issues)
	}
}

// TestFaultAtAnyCall lets each request of the scenario fail once in each way:
// it goes well all the same, and nothing is made twice.
func TestFaultAtAnyCall(t *testing.T) {
	f, number := ready(t)
	done(t, scenario(t.Context(), f, number))
	f.wantOneOfEach(number)
	requests := f.api.Requests().Total()
	if requests < 20 {
		t.Fatalf("the scenario makes %d requests", requests)
	}
	for name, fault := range map[string]github.Fault{
		"500":                    {Status: 500},
		"502, done all the same": {Status: 502, After: true},
		"429":                    {Status: 429, RetryAfter: 2},
		"403, to come back":      {Status: 403, RetryAfter: 2},
		"dropped":                {Drop: true},
		"dropped, but done":      {Drop: true, After: true},
	} {
		t.Run(name, func(t *testing.T) {
			for n := range requests {
				f, number := ready(t)
				fault.Skip = n
				f.inject(fault)
				if err := scenario(t.Context(), f, number); err != nil {
					t.Errorf("request %d: %s", n, problem.Text(err))
					continue
				}
				f.wantOneOfEach(number)
				if t.Failed() {
					t.Fatalf("after a fault at request %d", n)
				}
			}
		})
	}
}

// TestRefusalAtAnyCall: 403 without an end is told at once, as a problem.
func TestRefusalAtAnyCall(t *testing.T) {
	f, number := ready(t)
	done(t, scenario(t.Context(), f, number))
	for n := range f.api.Requests().Total() {
		f, number := ready(t)
		f.inject(github.Fault{Status: 403, Skip: n, Times: github.Always, Message: "Resource not accessible by integration " + token})
		err := scenario(t.Context(), f, number)
		wantProblem(t, err, "Resource not accessible by integration (token)")
		if !forge.IsDenied(err) || f.waits() != 0 {
			t.Errorf("request %d: denied %v, waited %s", n, forge.IsDenied(err), f.waits())
		}
	}
}

func TestGitHubIsDown(t *testing.T) {
	for name, fault := range map[string]github.Fault{"500": {Status: 500, Times: github.Always}, "dropped": {Drop: true, Times: github.Always}} {
		t.Run(name, func(t *testing.T) {
			f, number := ready(t)
			f.inject(fault)
			_, err := f.client.PutNote(t.Context(), number, note("plan", "x"))
			wantProblem(t, err, "githubstatus")
			var e *forge.Error
			if !errors.As(err, &e) || !e.Temporary || f.waits() > forge.DefaultPatience || f.api.Requests().Total() > 6 {
				t.Errorf("%+v after %s and %d requests", e, f.waits(), f.api.Requests().Total())
			}
		})
	}
	// Nobody listens: certainly nothing was done, so that also what must not be
	// done twice is tried again.
	f, number := ready(t)
	f.server.Close()
	_, err := f.client.StartDeployment(t.Context(), deployment(f, "1"))
	wantProblem(t, err, "no answer")
	if len(f.waited) != 5 {
		t.Errorf("waited %v; #%d", f.waited, number)
	}
}

func TestCancelled(t *testing.T) {
	f, number := ready(t)
	f.inject(github.Fault{Delay: github.Duration{Duration: 10 * time.Second}, Times: github.Always})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := f.client.PutNote(ctx, number, note("plan", "x"))
	if wantProblem(t, err, "stopped before"); problem.CodeOf(err) != problem.Cancelled || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("code %d: %v", problem.CodeOf(err), err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

// TestTokenStaysHome: neither a redirect nor an echo gets it out.
func TestTokenStaysHome(t *testing.T) {
	var leaked string
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { leaked += fmt.Sprint(r.URL, r.Header) }))
	defer thief.Close()
	var mode string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch mode {
		case "redirect":
			http.Redirect(w, r, thief.URL+"/x", http.StatusTemporaryRedirect)
		case "moved":
			if !strings.HasPrefix(r.URL.Path, "/repositories/") {
				http.Redirect(w, r, "/repositories/1/git/ref/heads/main", http.StatusMovedPermanently)
				return
			}
			fmt.Fprintf(w, `{"object":{"sha":"%s"}}`, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")[:4])
		default:
			http.Error(w, `{"message":"you sent `+r.Header.Get("Authorization")+`\u001b[31m"}`, http.StatusUnprocessableEntity)
		}
	}))
	defer server.Close()
	client, err := forge.New(forge.Options{
		API: server.URL, Repository: "acme/fleet", Token: secret.New(token),
		Wait: func(context.Context, time.Duration) error { return nil },
	})
	done(t, err)
	for _, mode = range []string{"echo", "redirect"} {
		_, err := client.BranchHead(t.Context(), "main")
		if wantProblem(t, err, "cannot look where branch"); strings.ContainsRune(problem.Text(err), 0x1b) {
			t.Errorf("control characters in %q", problem.Text(err))
		}
	}
	if leaked != "" {
		t.Errorf("a redirect was followed to another host: %s", leaked)
	}
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	other, err := forge.New(forge.Options{API: untrusted.URL, Repository: "acme/fleet", Token: secret.New(token), Wait: func(context.Context, time.Duration) error {
		t.Error("waited for a certificate to become good")
		return nil
	}})
	done(t, err)
	_, err = other.BranchHead(t.Context(), "main")
	wantProblem(t, err, "certificate")
	mode = "moved"
	sha, err := client.BranchHead(t.Context(), "main")
	if ok(t, sha, err); sha != token[:4] {
		t.Errorf("of a renamed repository: %q", sha)
	}
	if text := fmt.Sprintf("%v %+v %#v", client, client, client); strings.Contains(text, token) {
		t.Error("the client prints its token")
	}
}

// TestEndlessList: a list that never ends is not followed for ever.
func TestEndlessList(t *testing.T) {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		w.Header().Set("Link", fmt.Sprintf("<http://%s/x?page=%d>; rel=\"next\"", r.Host, requests+1))
		fmt.Fprint(w, "[]")
	}))
	defer server.Close()
	client, err := forge.New(forge.Options{API: server.URL, Repository: "acme/fleet", Token: secret.New(token), Login: "me"})
	done(t, err)
	_, err = client.Notes(t.Context(), 1)
	if wantProblem(t, err, "more than 100 pages"); requests != 100 {
		t.Errorf("%d requests", requests)
	}
}

func TestAddresses(t *testing.T) {
	f := start(t, nil)
	for _, api := range []string{f.server.URL + "/api/v3", f.server.URL + "/api/v3/", f.server.URL} {
		client, err := forge.New(forge.Options{API: api, Repository: "Acme/Fleet", Token: secret.New(token)})
		done(t, err)
		sha, err := client.BranchHead(t.Context(), "main")
		if ok(t, sha, err); sha != f.begin {
			t.Errorf("%s: %s", api, sha)
		}
		notes, err := client.Notes(t.Context(), f.pull("feature", "One"))
		if ok(t, notes, err); len(notes) != 0 { // GraphQL tells who the token is
			t.Errorf("%s: %+v", api, notes)
		}
	}
	for name, o := range map[string]forge.Options{
		"repository":    {Repository: "fleet", Token: secret.New(token)},
		"token":         {Repository: "acme/fleet"},
		"api":           {Repository: "acme/fleet", Token: secret.New(token), API: "ftp://x.example"},
		"password":      {Repository: "acme/fleet", Token: secret.New(token), API: "https://u:p@x.example"},
		"other graphql": {Repository: "acme/fleet", Token: secret.New(token), GraphQL: "https://x.example/graphql"},
	} {
		if _, err := forge.New(o); problem.CodeOf(err) != problem.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
}
