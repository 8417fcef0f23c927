package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
	"github.com/flotilla-nix/flotilla/internal/remote"
)

// AdoptOptions say what to take over.
type AdoptOptions struct {
	Names []string // as declared and as named at the provider
	All   bool     // all that is declared, exists and belongs to no fleet
	// HostKeys are SSH host keys by server, in authorized_keys form; they are
	// published in the servers' labels.
	HostKeys    map[string]string
	LockTimeout time.Duration
	Approve     func(names []string) error
}

// Adopted is what adopt did, and what differs between the fleet and what
// exists afterwards: what the next deploy would do.
type Adopted struct {
	Result  plans.Result
	Differs []plans.Resource
	Cost    *plans.Cost // nil: not known
}

// Adopt takes over by name what exists and is declared. It touches nothing but
// labels.
func (f *Flow) Adopt(ctx context.Context, opts AdoptOptions) (Adopted, error) {
	a := Adopted{Result: plans.Result{Version: plans.Version, Command: "adopt", Started: f.now().UTC()}}
	err := f.adopt(ctx, opts, &a)
	f.conclude(&a.Result, err, nil)
	return a, err
}

func (f *Flow) adopt(ctx context.Context, opts AdoptOptions, a *Adopted) error {
	t, client, err := f.provider(ctx, &a.Result)
	if err != nil {
		return err
	}
	pins, err := fingerprints(opts.HostKeys)
	if err != nil {
		return err
	}
	return f.locked(ctx, client, opts.LockTimeout, func(lock *hold) error {
		account, err := client.Account(ctx, t.Fleet)
		if err != nil {
			return err
		}
		names := opts.Names
		if opts.All {
			names = adoptable(t.Fleet, account)
		}
		if err := checkPins(pins, names, account, t.Fleet); err != nil {
			return err
		}
		if len(names) > 0 && opts.Approve != nil {
			if err := opts.Approve(names); err != nil {
				return err
			}
		}
		if err := lock.check(); err != nil {
			return err
		}
		ctx, stop := lock.until(ctx, nil)
		defer stop()
		if len(names) > 0 {
			a.Result.Resources, err = provision.Adopt(ctx, client, t.Fleet, account, names, f.Sink)
			if err != nil {
				return err
			}
		}
		if account, err = client.Account(ctx, t.Fleet); err != nil {
			return err
		}
		for name, pin := range pins {
			server, ok := account.Servers[name]
			if !ok {
				continue
			}
			if err := f.publish(ctx, client, account, name, func(p *fleet.Published) { p.HostKey = pin }); err != nil {
				return err
			}
			server.Published.HostKey = pin
			account.Servers[name] = server
		}
		a.Differs = provision.Diff(t.Fleet, account, provision.Options{Catalog: f.catalog(ctx, client)})
		a.Cost, _ = f.price(ctx, client, t.Fleet, account)
		return nil
	})
}

// adoptable names what is declared, exists and belongs to no fleet.
func adoptable(f fleet.Fleet, account fleet.Account) []string {
	var names []string
	for _, u := range account.Unmanaged {
		if u.Fleet == "" && declares(f, u.Section, u.Name) {
			names = append(names, u.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// fingerprints reads host keys as people give them.
func fingerprints(keys map[string]string) (map[string]string, error) {
	pins := map[string]string{}
	for name, line := range keys {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return nil, &problem.Problem{
				Summary: fmt.Sprintf("--host-key %s: not a public key", name), Cause: err,
				Hints: []string{"It is the line of /etc/ssh/ssh_host_ed25519_key.pub on the server: --host-key '" + name + "=ssh-ed25519 AAAA…'."},
				Code:  problem.Usage,
			}
		}
		pins[name] = remote.Fingerprint(key)
	}
	return pins, nil
}

// checkPins refuses host keys of what is not taken over, and of servers that
// have one published already: that comes from a verified login.
func checkPins(pins map[string]string, names []string, account fleet.Account, f fleet.Fleet) error {
	for name, pin := range pins {
		_, declared := f.Servers[name]
		server, owned := account.Servers[name]
		switch {
		case !declared, !owned && !slices.Contains(names, name):
			return &problem.Problem{
				Summary: fmt.Sprintf("--host-key %s: no server of that name is taken over", name),
				Hints:   []string{"Taken over: " + strings.Join(names, ", ") + "."},
				Code:    problem.Usage,
			}
		case owned && server.Published.HostKey != "" && server.Published.HostKey != pin:
			return &problem.Problem{
				Summary: fmt.Sprintf("--host-key %s: the fleet knows another host key of this server already", name),
				Hints:   []string{"If the server was made anew by hand, remove its label flotilla/host-key and try again."},
				Code:    problem.Refused,
			}
		}
	}
	return nil
}
