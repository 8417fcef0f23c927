package deploy

import (
	"context"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// Unlocked is the lock that unlock found.
type Unlocked struct {
	Fleet  string `json:"fleet"`
	Held   bool   `json:"held"`          // there was a lock
	Holder string `json:"holder"`        // who held it, and since when
	Run    string `json:"run,omitempty"` // its run
	Broken bool   `json:"broken"`        // it was broken
}

// Unlock shows who holds the fleet's lock to approve, and breaks it. It is for
// runs that died a moment ago; a lock ends by itself when nobody renews it.
func (f *Flow) Unlock(ctx context.Context, approve func(Unlocked) error) (Unlocked, error) {
	var result plans.Result
	t, client, err := f.provider(ctx, &result)
	if err != nil {
		return Unlocked{}, err
	}
	return f.unlock(ctx, client, t.Fleet, approve)
}

func (f *Flow) unlock(ctx context.Context, l locker, fl fleet.Fleet, approve func(Unlocked) error) (Unlocked, error) {
	held, is, err := l.ReadLock(ctx)
	u := Unlocked{Fleet: fl.Name, Held: is}
	if err != nil || !is {
		return u, err
	}
	u.Holder, u.Run = describe(held), held.Run
	if err := approve(u); err != nil {
		return u, err
	}
	if err := l.BreakLock(ctx, held); err != nil {
		return u, err
	}
	u.Broken = true
	return u, nil
}
