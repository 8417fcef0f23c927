package deploy

import (
	"context"
	"fmt"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// sight is what a plan sees of the provider.
type sight struct {
	account  fleet.Account
	looked   bool           // account is what exists
	catalog  *fleet.Catalog // nil: not known
	missing  []plans.Gap
	warnings []plans.Gap
}

// lookAtAccount reads what exists at the provider. Provider and token come
// from the base: a head that changes them must not make a request happen, and
// what exists where the base says is nothing to compare it with. The plan names
// such a change as missing (unpreviewed).
func (f *Flow) lookAtAccount(ctx context.Context, base tree, head fleet.Fleet) sight {
	warn := func(text string) sight {
		return sight{warnings: []plans.Gap{{Subject: "account", Text: text}}}
	}
	if base.Empty {
		return warn("The base has no flotilla.yaml that can be read, so the account was not looked at; everything is shown as new.")
	}
	if !sameAccount(base.Fleet, head) {
		return sight{}
	}
	client, err := f.client(base.Fleet)
	switch {
	case err != nil:
		return sight{missing: []plans.Gap{gap("account", err)}}
	case client == nil && base.Fleet.Hetzner != nil:
		return warn(fmt.Sprintf("No API token (%s is not set): what exists at the provider was not looked at, so drift, prices and what is pending are not shown.", base.Fleet.Hetzner.Token.Env))
	case client == nil:
		return sight{}
	}
	account, err := client.Account(ctx, base.Fleet)
	if err != nil {
		return sight{missing: []plans.Gap{gap("account", err)}}
	}
	s := sight{account: account, looked: true}
	s.readCatalog(ctx, client)
	return s
}
