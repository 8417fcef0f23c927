package hetzner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

const (
	codeUnavailable    hcloud.ErrorCode = "unavailable"    // these have no constant in the library
	codeTokenReadOnly  hcloud.ErrorCode = "token_readonly" // of old, now forbidden
	codeMustUnassign   hcloud.ErrorCode = "must_be_unassigned"
	codePublicDisabled hcloud.ErrorCode = "load_balancer_public_interface_disabled"
	headerCorrelation  string           = "X-Correlation-Id"
	secretsReplacement string           = "(secret)"
)

// effect says what a failed request may have done.
type effect int

const (
	refused effect = iota // nothing was done, and a second try would get the same answer
	busy                  // nothing was done, a later try may be answered otherwise
	lost                  // nobody knows whether it was done
)

// judge sorts an error by what it means for a second try.
func judge(resp *hcloud.Response, err error) effect {
	var api hcloud.Error
	if errors.As(err, &api) {
		switch api.Code { //nolint:exhaustive // all other codes are final
		case hcloud.ErrorCodeConflict, hcloud.ErrorCodeLocked, hcloud.ErrorCodeRateLimitExceeded,
			hcloud.ErrorCodeMaintenance, hcloud.ErrorCodeRobotUnavailable, codeUnavailable:
			return busy
		case hcloud.ErrorCodeServerError, hcloud.ErrorCodeUnknownError, hcloud.ErrorCodeBadGateway, hcloud.ErrorCodeTimeout:
			return lost
		default:
			return refused
		}
	}
	if resp != nil && resp.Response != nil { // an answer without an error of the API's in it
		switch status := resp.StatusCode; {
		case status == http.StatusTooManyRequests:
			return busy
		case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
			return refused
		default:
			return lost // 5xx of something in between, or an answer cut short
		}
	}
	return lost // the network
}

func hasCode(err error, codes ...hcloud.ErrorCode) bool {
	var action hcloud.ActionError
	if errors.As(err, &action) {
		return slices.Contains(codes, hcloud.ErrorCode(action.Code))
	}
	return hcloud.IsError(err, codes...)
}

// apiError is an error of the API in its own words, without the token.
type apiError struct {
	text  string
	cause error
}

func (e *apiError) Error() string { return e.text }
func (e *apiError) Unwrap() error { return e.cause }

// problem makes a Problem of an error of the API: what was being done, the
// API's words, and what to do next.
func (c *Client) problem(what string, err error) error {
	var known *problem.Problem
	if err == nil || errors.As(err, &known) {
		return err
	}
	text, code, details := c.words(err)
	p := &problem.Problem{Summary: what + " failed at Hetzner Cloud", Detail: details, Code: problem.Failed}
	p.Hints, p.Code = advice(code)
	switch {
	case errors.Is(err, context.Canceled):
		p.Code = problem.Cancelled
	case errors.Is(err, context.DeadlineExceeded):
		p.Hints = append(p.Hints, "It may still come to an end: the Cloud Console shows it under Activities. Then run the same command again.")
	}
	p.Cause = &apiError{text: text, cause: c.withoutToken(err)}
	return p
}

// withoutToken gives err for errors.Is and errors.As, unless its text holds the token.
func (c *Client) withoutToken(err error) error {
	if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), c.token.Reveal()) {
		return nil
	}
	return err
}

func (c *Client) clean(text string) string {
	return strings.ReplaceAll(text, c.token.Reveal(), secretsReplacement)
}

func (c *Client) words(err error) (text string, code hcloud.ErrorCode, details string) {
	var api hcloud.Error
	var action hcloud.ActionError
	switch {
	case errors.As(err, &api):
		text, code = fmt.Sprintf("%s (code %s", api.Message, api.Code), api.Code
		if resp := api.Response(); resp != nil && resp.Header.Get(headerCorrelation) != "" {
			text += ", correlation id " + resp.Header.Get(headerCorrelation)
		}
		text += ")"
		if fields, ok := api.Details.(hcloud.ErrorDetailsInvalidInput); ok {
			var lines []string
			for _, f := range fields.Fields {
				lines = append(lines, f.Name+": "+strings.Join(f.Messages, ", "))
			}
			details = strings.Join(lines, "\n")
		}
	case errors.As(err, &action):
		text, code = fmt.Sprintf("%s (code %s", action.Message, action.Code), hcloud.ErrorCode(action.Code)
		if a := action.Action(); a != nil {
			text += fmt.Sprintf(", action %d", a.ID)
		}
		text += ")"
	default:
		text = err.Error()
	}
	return c.clean(text), code, c.clean(details)
}
