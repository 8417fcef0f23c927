package hetzner

import (
	"context"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"golang.org/x/sync/errgroup"
)

// listTries is how often a list is read that changed between its pages.
const listTries = 3

// listed reads all pages of a list, side by side once the first has told how
// many there are. A list whose length changes meanwhile is read again: what was
// deleted on one page moves the others, and would make one resource invisible.
func listed[T any](ctx context.Context, c *Client, what string,
	list func(context.Context, hcloud.ListOpts) ([]T, *hcloud.Response, error),
) ([]T, error) {
	var all []T
	for range listTries {
		var same bool
		var err error
		if all, same, err = pages(ctx, c, what, list); err != nil || same {
			return all, err
		}
	}
	return all, nil // it changes all the time; the next look sees the rest
}

func pages[T any](ctx context.Context, c *Client, what string,
	list func(context.Context, hcloud.ListOpts) ([]T, *hcloud.Response, error),
) (all []T, same bool, err error) {
	read := func(ctx context.Context, number int) (items []T, p hcloud.Pagination, err error) {
		err = c.call(ctx, request{what: what}, func(ctx context.Context) (*hcloud.Response, error) {
			found, resp, err := list(ctx, hcloud.ListOpts{Page: number, PerPage: pageSize})
			if err == nil && resp.Meta.Pagination != nil {
				p = *resp.Meta.Pagination
			}
			items = found
			return resp, err
		})
		return items, p, err
	}
	all, first, err := read(ctx, 1)
	if err != nil || first.LastPage <= 1 {
		return all, true, err
	}
	rest := make([][]T, first.LastPage-1)
	totals := make([]int, len(rest))
	group, ctx := errgroup.WithContext(ctx)
	for i := range rest {
		group.Go(func() error {
			items, p, err := read(ctx, i+2)
			rest[i], totals[i] = items, p.TotalEntries
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, false, err
	}
	same = true
	for i, items := range rest {
		all = append(all, items...)
		same = same && totals[i] == first.TotalEntries
	}
	return all, same, nil
}

// lookUp finds one resource; nil is "there is none".
func lookUp[T any](ctx context.Context, c *Client, what string, get func(context.Context) (*T, *hcloud.Response, error)) (*T, error) {
	var found *T
	err := c.call(ctx, request{what: what}, func(ctx context.Context) (*hcloud.Response, error) {
		item, resp, err := get(ctx)
		found = item
		return resp, err
	})
	return found, err
}
