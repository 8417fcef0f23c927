package job_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// flow carries nothing out: it says what a test wants. What a test does not
// expect fails it.
type flow struct {
	testing.TB
	dir, by  string
	onPlan   func(deploy.PlanOptions) (plans.Plan, error)
	onDeploy func(context.Context, deploy.Options) (plans.Result, error)
	onBack   func(deploy.RollbackOptions) (plans.Result, error)
	onFree   func(fleet.Selector) (plans.Result, error)
	onDrift  func(deploy.DriftOptions) (plans.Drift, error)
	onUnlock func() (deploy.Unlocked, error)
}

var errUnexpected = errors.New("the flow was not meant to be asked for this")

func (f *flow) Plan(_ context.Context, o deploy.PlanOptions) (plans.Plan, error) {
	if f.onPlan == nil {
		f.Error("planned")
		return plans.Plan{}, errUnexpected
	}
	return f.onPlan(o)
}

func (f *flow) Deploy(ctx context.Context, o deploy.Options) (plans.Result, error) {
	if f.onDeploy == nil {
		f.Error("deployed")
		return plans.Result{}, errUnexpected
	}
	return f.onDeploy(ctx, o)
}

func (f *flow) Rollback(_ context.Context, o deploy.RollbackOptions) (plans.Result, error) {
	if f.onBack == nil {
		f.Error("rolled back")
		return plans.Result{}, errUnexpected
	}
	return f.onBack(o)
}

func (f *flow) Release(_ context.Context, on fleet.Selector, _ time.Duration) (plans.Result, error) {
	if f.onFree == nil {
		f.Error("released")
		return plans.Result{}, errUnexpected
	}
	return f.onFree(on)
}

func (f *flow) Drift(_ context.Context, o deploy.DriftOptions) (plans.Drift, error) {
	if f.onDrift == nil {
		f.Error("looked for drift")
		return plans.Drift{}, errUnexpected
	}
	return f.onDrift(o)
}

func (f *flow) Unlock(_ context.Context, _ func(deploy.Unlocked) error) (deploy.Unlocked, error) {
	if f.onUnlock == nil {
		f.Error("unlocked")
		return deploy.Unlocked{}, errUnexpected
	}
	return f.onUnlock()
}
