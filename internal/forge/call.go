package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-github/v66/github"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

const (
	maxTries = 6
	maxPages = 100
	// secondaryPause is what GitHub asks for when a limit was hit and no header
	// says how long.
	secondaryPause = time.Minute
)

// call makes a request until it is answered: it waits as GitHub asks, tries
// again what failed for a time, and gives up when patience ends. A lost answer
// to what must not be done twice is given back at once (see once).
func (c *Client) call(ctx context.Context, op operation, try func(context.Context, *github.Client) (*github.Response, error)) error {
	left := c.patience
	for n := 0; ; n++ {
		began := time.Now()
		resp, err := try(ctx, c.rest())
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return cancelled(op, ctx.Err())
		}
		e := c.explain(resp, err)
		left -= time.Since(began)
		pause := backoff(e, n)
		if !e.Temporary || e.Lost && !op.repeats || n+1 >= maxTries || pause > left {
			return op.fail(e)
		}
		left -= pause
		if err := c.wait(ctx, pause); err != nil {
			return cancelled(op, err)
		}
	}
}

// backoff is how long to wait before try n+1 counted from 0.
func backoff(e *Error, n int) time.Duration {
	if e.Status != 0 && e.Status < 500 && e.After > 0 && n > 0 {
		return e.After << min(n, 5) // asked to wait, and it was not enough
	}
	return max(e.After, time.Second<<min(n, 5))
}

func cancelled(op operation, err error) error {
	return &problem.Problem{Summary: "stopped before it could " + op.what + " at GitHub", Cause: err, Code: problem.Cancelled}
}

// once makes what must not be made twice. When the answer is lost it looks
// whether the thing is there before it asks again.
func once[T any](ctx context.Context, c *Client, make func() (T, error), find func() (T, bool, error)) (T, error) {
	for n := 0; ; n++ {
		made, err := make()
		var e *Error
		if err == nil || !errors.As(err, &e) || !e.Lost || !e.Temporary || n+1 >= maxTries {
			return made, err
		}
		if waited := c.wait(ctx, backoff(e, n)); waited != nil {
			return made, err
		}
		found, ok, lookup := find()
		if lookup != nil {
			return made, errors.Join(err, lookup)
		}
		if ok {
			return found, nil
		}
	}
}

// pages collects all pages of a list.
func pages[T any](ctx context.Context, c *Client, op operation, list func(context.Context, *github.Client, github.ListOptions) ([]T, *github.Response, error)) ([]T, error) {
	op.repeats = true
	var all []T
	for page := 1; page != 0; {
		if page > maxPages { // half a list would lead to wrong conclusions
			return nil, op.fail(&Error{Status: http.StatusOK, Message: fmt.Sprintf("there are more than %d pages", maxPages)})
		}
		var items []T
		next := 0
		err := c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
			got, resp, err := list(ctx, rest, github.ListOptions{Page: page, PerPage: perPage})
			if err == nil {
				items, next = got, resp.NextPage
			}
			return resp, err
		})
		if err != nil {
			return nil, err
		}
		if next != 0 && next <= page {
			return nil, op.fail(&Error{Status: http.StatusOK, Message: fmt.Sprintf("after page %d it says that page %d comes next", page, next)})
		}
		all, page = append(all, items...), next
	}
	return all, nil
}
