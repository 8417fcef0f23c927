package deploy

import (
	"context"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/planner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/remote"
)

// logins says how deploys will log in to the hosts of the head, as far as that
// is known: user and port as the head has them, the key as the base has it. Of
// a key that is not at hand it is one of those that the servers were made
// with, which says nothing of hosts that are new.
func (f *Flow) logins(ctx context.Context, base, head tree, baseHosts, headHosts map[string]plans.Evaluation) map[string]planner.Login {
	own := f.publicKeys(ctx, base.Fleet)
	logins := map[string]planner.Login{}
	for host, e := range headHosts {
		login := planner.Login{User: head.Fleet.SSH.User, Port: head.Fleet.SSH.Port, Keys: own}
		if d := e.System.Deployment; d.TargetUser != "" {
			login.User = d.TargetUser
		}
		if d := e.System.Deployment; d.TargetPort != 0 {
			login.Port = d.TargetPort
		}
		if _, known := baseHosts[host]; known && len(own) == 0 {
			login.Keys = serverKeys(base.Fleet, host)
		}
		logins[host] = login
	}
	return logins
}

// publicKeys gives the public half of the key that ssh.key names, if it is at hand.
func (f *Flow) publicKeys(ctx context.Context, fl fleet.Fleet) []string {
	key := f.secret(fl.SSH.Key)
	if key.IsZero() {
		return nil
	}
	signers, err := remote.Signers(ctx, key, false, nil)
	if err != nil {
		return nil // a deploy says what is wrong with it; a plan needs none
	}
	var keys []string
	for _, s := range signers {
		keys = append(keys, string(ssh.MarshalAuthorizedKey(s.PublicKey())))
	}
	return keys
}

// serverKeys gives the SSH keys that a host's server was made with, or those of
// the fleet for a host without one.
func serverKeys(fl fleet.Fleet, host string) []string {
	server, ok := fl.Servers[host]
	var keys []string
	for name, key := range fl.SSHKeys {
		if key.PublicKey != "" && (!ok || len(server.SSHKeys) == 0 || slices.Contains(server.SSHKeys, name)) {
			keys = append(keys, key.PublicKey)
		}
	}
	slices.Sort(keys)
	return keys
}
