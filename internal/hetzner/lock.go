package hetzner

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// The fleet's lock is a placement group without members: names are unique, so
// the API lets one of many make it, and it costs nothing. It belongs to no
// fleet, so nothing else in this package ever touches it.

// lockTries is how often a lock that went away while it was looked at is asked
// for again.
const lockTries = 5

// LockTakenError says that somebody else holds the fleet's lock.
type LockTakenError struct {
	Lock  fleet.Lock
	Stale bool // its time is over: whoever finds it may break it
}

// Error implements error.
func (e *LockTakenError) Error() string {
	until := time.Unix(e.Lock.Expires, 0).UTC().Format(time.RFC3339)
	if e.Stale {
		return fmt.Sprintf("%s held it until %s", e.Lock.Holder, until)
	}
	return fmt.Sprintf("%s holds it until %s, or longer if it goes on", e.Lock.Holder, until)
}

// LockLostError says that a lock which was held is gone or somebody else's.
type LockLostError struct {
	Lock fleet.Lock // that was held
	Now  fleet.Lock // what is there; the zero value: nothing
}

// Error implements error.
func (e *LockLostError) Error() string {
	if e.Now.ID == 0 {
		return "somebody broke it"
	}
	return "now it is held by " + e.Now.Holder
}

func (c *Client) lockName() string { return "flotilla-lock-" + c.fleet }

// Stale tells whether a lock's time is over by the API's clock.
func (c *Client) Stale(l fleet.Lock) bool { return c.clock.now().Unix() > l.Expires }

// TakeLock takes the fleet's lock for l.Run until ttl from now, by the API's
// clock. When somebody else has it the error is, or wraps, a *LockTakenError.
func (c *Client) TakeLock(ctx context.Context, l fleet.Lock, ttl time.Duration) (fleet.Lock, error) {
	if !c.clock.isKnown() {
		if _, _, err := c.ReadLock(ctx); err != nil {
			return fleet.Lock{}, err
		}
	}
	for tries := 1; ; tries++ {
		made, err := c.createLock(ctx, l, ttl)
		if !hasCode(err, hcloud.ErrorCodeUniquenessError) || tries == lockTries {
			return made, err
		}
	}
}

func (c *Client) createLock(ctx context.Context, l fleet.Lock, ttl time.Duration) (fleet.Lock, error) {
	r := request{what: fmt.Sprintf("taking the lock of the fleet %q", c.fleet)}
	var made *hcloud.PlacementGroup
	r.settled = func(ctx context.Context) (bool, error) {
		found, err := c.lockGroup(ctx)
		if err != nil || found == nil {
			return false, err
		}
		if held, ours := c.lockOf(found); !ours || !sameText(found.Labels[labelLockRun], l.Run) {
			return false, c.lockTaken(held)
		}
		made = found
		return true, nil
	}
	err := c.call(ctx, r, func(ctx context.Context) (*hcloud.Response, error) {
		result, resp, err := c.api.PlacementGroup.Create(ctx, hcloud.PlacementGroupCreateOpts{
			Name: c.lockName(), Type: hcloud.PlacementGroupTypeSpread, Labels: c.lockLabels(l, ttl),
		})
		made = result.PlacementGroup
		return resp, err
	})
	if err != nil {
		return fleet.Lock{}, err
	}
	held, _ := c.lockOf(made)
	return held, nil
}

func (c *Client) lockLabels(l fleet.Lock, ttl time.Duration) map[string]string {
	labels := map[string]string{
		labelLock: c.fleet, labelLockHolder: encodeShort(l.Holder), labelLockRun: encodeLabel(l.Run),
		labelLockExpires: strconv.FormatInt(c.clock.now().Add(ttl).Unix(), 10),
	}
	if l.Job != "" {
		labels[labelLockJob] = encodeShort(l.Job)
	}
	for i, rest := 1, l.URL; rest != "" && i <= maxURLLabels; i++ {
		part := encodeShort(rest)
		labels[labelLockURL+strconv.Itoa(i)] = part
		rest = rest[len(decodeLabel(part)):]
	}
	return labels
}

// maxURLLabels bounds how long an address a lock holds.
const maxURLLabels = 5

func lockURL(labels map[string]string) string {
	url := ""
	for i := 1; i <= maxURLLabels; i++ {
		url += decodeLabel(labels[labelLockURL+strconv.Itoa(i)])
	}
	return url
}

// lockOf reads a lock; false: something else has the lock's name.
func (c *Client) lockOf(g *hcloud.PlacementGroup) (fleet.Lock, bool) {
	expires, err := strconv.ParseInt(g.Labels[labelLockExpires], 10, 64)
	l := fleet.Lock{ID: g.ID, Holder: decodeLabel(g.Labels[labelLockHolder]), Run: decodeLabel(g.Labels[labelLockRun]), Job: decodeLabel(g.Labels[labelLockJob]), URL: lockURL(g.Labels), Expires: expires}
	if l.Holder == "" {
		l.Holder = "somebody"
	}
	return l, err == nil && g.Labels[labelLock] == c.fleet
}

func (c *Client) lockGroup(ctx context.Context) (*hcloud.PlacementGroup, error) {
	return lookUp(ctx, c, "looking at the fleet's lock", func(ctx context.Context) (*hcloud.PlacementGroup, *hcloud.Response, error) {
		return c.api.PlacementGroup.GetByName(ctx, c.lockName())
	})
}

func (c *Client) lockTaken(held fleet.Lock) error {
	taken := &LockTakenError{Lock: held, Stale: c.Stale(held)}
	if held.Expires == 0 {
		return &problem.Problem{
			Summary: fmt.Sprintf("the project has a placement group named %q that is not this fleet's lock", c.lockName()),
			Hints:   []string{"That is the name of the fleet's lock: rename or delete the group in the Cloud Console."},
			Code:    problem.Refused, Cause: taken,
		}
	}
	return &problem.Problem{
		Summary: fmt.Sprintf("the fleet %q is locked", c.fleet), Cause: taken, Code: problem.Refused,
		Hints: []string{"Wait until that has ended. If nobody works on the fleet any more, run: flotilla unlock"},
	}
}

// ReadLock tells who holds the lock; false: nobody.
func (c *Client) ReadLock(ctx context.Context) (fleet.Lock, bool, error) {
	found, err := c.lockGroup(ctx)
	if err != nil || found == nil {
		return fleet.Lock{}, false, err
	}
	held, ours := c.lockOf(found)
	if !ours {
		return fleet.Lock{}, false, c.lockTaken(held)
	}
	return held, true, nil
}

// RenewLock keeps a lock for another ttl from now. When it is no longer there,
// or no longer l.Run's, the error wraps a *LockLostError.
func (c *Client) RenewLock(ctx context.Context, l fleet.Lock, ttl time.Duration) (fleet.Lock, error) {
	what := fmt.Sprintf("renewing the lock of the fleet %q", c.fleet)
	found, err := c.heldGroup(ctx, what, l)
	if err != nil {
		return fleet.Lock{}, err
	}
	var renewed *hcloud.PlacementGroup
	labels := c.lockLabels(l, ttl)
	labels[labelLockHolder] = found.Labels[labelLockHolder]
	err = c.call(ctx, request{what: what}, func(ctx context.Context) (*hcloud.Response, error) {
		updated, resp, err := c.api.PlacementGroup.Update(ctx, found, hcloud.PlacementGroupUpdateOpts{Labels: labels})
		renewed = updated
		return resp, err
	})
	if hasCode(err, hcloud.ErrorCodeNotFound) {
		return fleet.Lock{}, c.lockLost(l, fleet.Lock{})
	}
	if err != nil {
		return fleet.Lock{}, err
	}
	now, _ := c.lockOf(renewed)
	return now, nil
}

// heldGroup looks at a lock that is held; it is an error when it is lost.
func (c *Client) heldGroup(ctx context.Context, what string, l fleet.Lock) (*hcloud.PlacementGroup, error) {
	found, err := lookUp(ctx, c, what, func(ctx context.Context) (*hcloud.PlacementGroup, *hcloud.Response, error) {
		return c.api.PlacementGroup.GetByID(ctx, l.ID)
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, c.lockLost(l, fleet.Lock{})
	}
	if held, ours := c.lockOf(found); !ours || !sameText(found.Labels[labelLockRun], l.Run) {
		return nil, c.lockLost(l, held)
	}
	return found, nil
}

func (c *Client) lockLost(was, now fleet.Lock) error {
	return &problem.Problem{
		Summary: fmt.Sprintf("the lock of the fleet %q was lost", c.fleet), Code: problem.Refused, Cause: &LockLostError{Lock: was, Now: now},
		Hints: []string{"See what else works on the fleet (flotilla status), then run the same command again."},
	}
}

// BreakLock deletes a lock that ReadLock or a LockTakenError told of, whoever
// holds it, and only that one: a newer holder's has another ID. One that was
// stale when it was looked at and has been renewed since is not broken; that
// error wraps a *LockTakenError.
func (c *Client) BreakLock(ctx context.Context, l fleet.Lock) error {
	what := fmt.Sprintf("breaking the lock of the fleet %q", c.fleet)
	found, err := c.heldGroup(ctx, what, l)
	var lost *LockLostError
	if errors.As(err, &lost) && lost.Now.ID == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if held, _ := c.lockOf(found); c.Stale(l) && !c.Stale(held) {
		return c.lockTaken(held)
	}
	return c.deleteLock(ctx, what, l)
}

// ReleaseLock gives a lock back; one that is gone counts as given back.
func (c *Client) ReleaseLock(ctx context.Context, l fleet.Lock) error {
	return c.deleteLock(ctx, fmt.Sprintf("giving back the lock of the fleet %q", c.fleet), l)
}

func (c *Client) deleteLock(ctx context.Context, what string, l fleet.Lock) error {
	return c.call(ctx, request{what: what, gone: true}, func(ctx context.Context) (*hcloud.Response, error) {
		return c.api.PlacementGroup.Delete(ctx, &hcloud.PlacementGroup{ID: l.ID})
	})
}

// sameText tells whether a label holds a text; one may itself be a hash that
// was read from a label.
func sameText(label, text string) bool {
	return label == encodeLabel(text) || decodeLabel(label) == text
}

// encodeShort is encodeLabel for a text of which the beginning will do.
func encodeShort(text string) string {
	for {
		value := encodeLabel(text)
		if text == "" || len(value) <= maxLabel && decodeLabel(value) == text {
			return value
		}
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
}
