package deploy

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/remote"
)

// firstBoot bounds the wait for a new server's first answer.
const firstBoot = 5 * time.Minute

// seeAgain is the pause between two looks at a host key that changes.
const seeAgain = 300 * time.Millisecond

// welcome waits until each new server answers, and replaces its throw-away
// host key by one that was made on the host and has never left it. New is a
// server without a confirmed deployment. One that was only powered off is
// waited for.
func (d *deployment) welcome(ctx context.Context) error {
	var group errgroup.Group
	hosts := slices.Sorted(maps.Keys(d.hosts))
	failed := make([]error, len(hosts))
	for i, host := range hosts {
		server, ok := d.account.Servers[host]
		fresh := isFresh(server)
		if !ok || !fresh && !slices.Contains(d.restarted, host) {
			continue
		}
		target, err := d.targets.of(host, d.hosts[host])
		if err != nil {
			failed[i] = err
			continue
		}
		group.Go(func() error {
			if fresh {
				failed[i] = d.welcomeHost(ctx, host, target, server)
			} else {
				failed[i] = d.await(ctx, host, target)
			}
			return nil
		})
	}
	_ = group.Wait() // the goroutines keep their errors in failed
	return joinProblems(failed)
}

// isFresh tells whether a server still has its throw-away host key, or lost it a
// moment ago. One that was taken over has never had one.
func isFresh(server fleet.AccountServer) bool {
	return server.Published.NextHostKey != "" || !adopted(server) && server.Published.SystemHash == ""
}

// await waits until a host answers.
func (d *deployment) await(ctx context.Context, host string, target remote.Target) error {
	report := progress.For(d.flow.Sink, host)
	return report.Do(progress.Wait, func() error {
		waiting, cancel := context.WithTimeout(ctx, firstBoot)
		defer cancel()
		conn, err := remote.WaitReachable(waiting, target, func(err error) { report.Log(progress.Wait, oneLine(err)) })
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

func (d *deployment) welcomeHost(ctx context.Context, host string, target remote.Target, server fleet.AccountServer) error {
	report := progress.For(d.flow.Sink, host)
	settled := false // an earlier run has put the host's own key in place
	err := report.Do(progress.Wait, func() error {
		waiting, cancel := context.WithTimeout(ctx, firstBoot)
		defer cancel()
		conn, err := remote.WaitReachable(waiting, target, func(err error) { report.Log(progress.Wait, oneLine(err)) })
		if err != nil {
			return err
		}
		seen := conn.RemoteKey()
		_ = conn.Close()
		if server.Published.NextHostKey != "" && remote.Fingerprint(seen) == server.Published.NextHostKey {
			// An earlier run ended between the two labels. Without a confirmed
			// system it may be the throw-away key of a rebuild that ended so.
			settled = server.Published.SystemHash != ""
			return d.pin(ctx, host, server.Published.NextHostKey, "")
		}
		return nil
	})
	if err != nil || settled {
		return err
	}
	return report.Do(progress.HostKey, func() error { return d.replaceHostKey(ctx, host, target) })
}

// replaceHostKey publishes the new key's fingerprint before the key is put in
// place and takes the old one away after a login has seen the new one, so that
// an end at any point leaves a host that the labels still describe.
func (d *deployment) replaceHostKey(ctx context.Context, host string, target remote.Target) error {
	h := generation.New(host, dialer(target, d.hosts[host]), d.flow.Sink)
	line, err := h.PrepareHostKey(ctx)
	if err != nil {
		return err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return &problem.Problem{Summary: "the host key that " + host + " made is not a public key", Cause: err}
	}
	next, old := remote.Fingerprint(key), d.server(host).Published.HostKey
	if err := d.pin(ctx, host, old, next); err != nil {
		return err
	}
	if err := h.ActivateHostKey(ctx); err != nil {
		return err
	}
	if err := seeHostKey(ctx, host, target, next, old); err != nil {
		return err
	}
	return d.pin(ctx, host, next, "")
}

// seeHostKey waits until a host answers with its next host key: sshd takes a
// moment to read it, and answers with the old one until then.
func seeHostKey(ctx context.Context, host string, target remote.Target, next, old string) error {
	target.HostKeys = []string{next, old}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := remote.WaitReachable(ctx, target, func(error) {})
		if err != nil {
			return err
		}
		seen := remote.Fingerprint(conn.RemoteKey())
		_ = conn.Close()
		if seen == next {
			return nil
		}
		select {
		case <-ctx.Done():
			return &problem.Problem{
				Summary: host + " still answers with its old host key a minute after the new one was put in place",
				Cause:   ctx.Err(),
				Hints:   []string{"Look at sshd there (systemctl status sshd), then deploy again: both keys are known."},
			}
		case <-time.After(seeAgain):
		}
	}
}

func (d *deployment) server(host string) fleet.AccountServer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.account.Servers[host]
}

// pin publishes a host's fingerprints and keeps them for later logins.
func (d *deployment) pin(ctx context.Context, host, key, next string) error {
	set := func(p *fleet.Published) { p.HostKey, p.NextHostKey = key, next }
	if err := d.flow.publish(ctx, d.client, d.account, host, set); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	server := d.account.Servers[host]
	set(&server.Published)
	d.account.Servers[host] = server
	return nil
}

// publish changes what a server's labels say. Hosts without a server have none.
func (f *Flow) publish(ctx context.Context, client *hetzner.Client, account fleet.Account, host string, change func(*fleet.Published)) error {
	server, ok := account.Servers[host]
	if client == nil || !ok {
		return nil
	}
	p := server.Published
	change(&p)
	if p == server.Published {
		return nil
	}
	// What a host runs is told also when the run was cancelled.
	ctx, cancel := f.afterwards(ctx)
	defer cancel()
	return client.Publish(ctx, server.ID, p)
}

// joinProblems joins the errors that are not nil.
func joinProblems(all []error) error { return errors.Join(all...) }
