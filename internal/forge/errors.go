package forge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/go-github/v66/github"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Error is what GitHub answered in place of what was asked for, or that there
// was no answer. Every error of a Client that GitHub caused has one in its tree.
type Error struct {
	Status    int           // HTTP status; 0: no answer came
	Message   string        // GitHub's, made harmless, without the token
	Accepted  string        // the permissions that GitHub says would do; "": it says nothing
	Temporary bool          // later it may go well
	After     time.Duration // how long to wait before that; 0: not said
	Lost      bool          // it may have been done all the same
	TooLong   bool          // the text is over GitHub's limit
}

// Error implements error.
func (e *Error) Error() string {
	if e.Status == 0 {
		return "no answer: " + e.Message
	}
	return fmt.Sprintf("HTTP %d: %s", e.Status, e.Message)
}

// Denied tells whether the token lacks a permission, as far as GitHub says so:
// on private repositories it answers as if there were nothing.
func (e *Error) Denied() bool { return e.Status == http.StatusForbidden && !e.Temporary }

// Missing tells whether GitHub says that there is no such thing.
func (e *Error) Missing() bool { return e.Status == http.StatusNotFound || e.Status == http.StatusGone }

// IsMissing tells whether err is GitHub saying that there is no such thing.
func IsMissing(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Missing()
}

// IsDenied tells whether err is GitHub saying that the token may not.
func IsDenied(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Denied()
}

// operation is a call for people: what it does and the permission it needs.
type operation struct {
	what  string // after "cannot "
	needs string // of a workflow's permissions block, "pull-requests: write"; "": none
	// repeats: doing it twice is the same as once, so that a lost answer is no
	// reason not to ask again.
	repeats bool
}

// fail makes the problem of an operation that did not go well.
func (op operation) fail(e *Error) error {
	p := &problem.Problem{Summary: "cannot " + op.what + " at GitHub", Cause: e}
	switch {
	case e.Status == http.StatusUnauthorized:
		p.Hints = []string{"The token is wrong or expired. The token of a job ends with the job."}
	case e.Denied() || e.Missing() && op.needs != "":
		p.Hints = op.permissionHints(e)
	case e.Status == 0 && !e.Temporary:
		p.Hints = []string{"Check the address of GitHub's API (GITHUB_API_URL) and, for a server of your own, that its certificate is trusted where this runs."}
	case e.Temporary && e.After > 0:
		p.Hints = []string{fmt.Sprintf("GitHub asks to wait %s. Run it again after that.", e.After.Round(time.Second))}
	case e.Temporary:
		p.Hints = []string{"Run it again; https://www.githubstatus.com tells whether GitHub is well."}
	}
	return p
}

func (op operation) permissionHints(e *Error) []string {
	var hints []string
	if op.needs != "" {
		intro := "The token lacks a permission."
		if e.Missing() {
			intro = "Either it does not exist, or the token may not see it."
		}
		hints = append(hints, intro+" Write `"+op.needs+"` under `permissions:` of the workflow's job; naming one permission sets those that are not named to none.")
	}
	if e.Denied() && strings.HasSuffix(op.needs, "write") {
		hints = append(hints, "In runs for pull requests from forks, and from Dependabot unless raised, the token can only read.")
	}
	if e.Accepted != "" {
		hints = append(hints, "GitHub would accept: "+e.Accepted+".")
	}
	return hints
}

// explain turns what go-github gives into an Error. It keeps nothing of the
// original, which may quote what a server sent back.
func (c *Client) explain(resp *github.Response, err error) *Error {
	e := &Error{Message: c.harmless(err.Error())}
	if resp == nil || resp.Response == nil {
		var dial *net.OpError
		var certificate *tls.CertificateVerificationError
		e.Temporary = !errors.Is(err, errElsewhere) && !errors.As(err, &certificate)
		e.Lost = !errors.As(err, &dial) || dial.Op != "dial"
		return e
	}
	e.Status = resp.StatusCode
	e.Accepted = c.harmless(resp.Header.Get("X-Accepted-GitHub-Permissions"))
	var answer *github.ErrorResponse
	var abuse *github.AbuseRateLimitError
	var rate *github.RateLimitError
	switch {
	case errors.As(err, &rate):
		e.Message, e.Temporary = c.harmless(rate.Message), true
		e.After = max(time.Second, time.Until(rate.Rate.Reset.Time)+time.Second)
		return e
	case errors.As(err, &abuse):
		e.Message = c.harmless(abuse.Message)
		e.Temporary = true
	case errors.As(err, &answer):
		e.Message = c.harmless(answer.Message)
		for _, part := range answer.Errors {
			e.Message += c.harmless("; " + strings.Join(nonEmpty(part.Resource, part.Field, part.Code, part.Message), " "))
			e.TooLong = e.TooLong || part.Code == "unprocessable" && part.Field == "data"
		}
	}
	e.timing(resp.Response)
	if e.Message == "" {
		e.Message = http.StatusText(e.Status)
	}
	return e
}

// timing reads whether and when to come back.
func (e *Error) timing(resp *http.Response) {
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.After = time.Duration(seconds) * time.Second
	}
	switch {
	case resp.StatusCode >= 500:
		e.Temporary, e.Lost = true, true
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusForbidden && e.After > 0:
		e.Temporary = true
	case resp.StatusCode < 400:
		// An answer that could not be read to its end, or is none.
		e.Temporary, e.Lost = resp.StatusCode != http.StatusAccepted, true
	}
	if e.Temporary && e.After == 0 && resp.StatusCode >= 400 && resp.StatusCode < 500 {
		if reset, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil && resp.Header.Get("X-RateLimit-Remaining") == "0" {
			e.After = max(time.Second, time.Until(time.Unix(reset, 0))+time.Second)
		} else {
			e.After = secondaryPause
		}
	}
}

// harmless is a server's text on one line, without control characters and
// without the token, should the server have sent it back.
func (c *Client) harmless(text string) string {
	if token := c.token.Reveal(); token != "" {
		text = strings.ReplaceAll(text, token, "(token)")
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if runes := []rune(text); len(runes) > 300 {
		text = string(runes[:299]) + "…"
	}
	return text
}

func nonEmpty(parts ...string) []string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return kept
}
