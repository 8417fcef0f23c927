package deploy

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/remote"
)

// way is how a host is logged in to during its deploy: where the revision says,
// or, while SSH moves to another port with it, where it was until now.
type way struct {
	host       string
	deployment plans.Deployment
	former     func(context.Context) []remote.Target // asked once, if the host was never reached
	dialer     func(context.Context, remote.Target) (*remote.Conn, error)

	mu      sync.Mutex
	reached bool
	targets []remote.Target // as the revision says, and the former ones
	last    int             // that answered last
}

func (d *deployment) way(host string, target remote.Target) *way {
	return &way{
		host: host, deployment: d.hosts[host], targets: []remote.Target{target}, dialer: remote.Dial,
		former: func(ctx context.Context) []remote.Target { return d.former(ctx, host, target) },
	}
}

// connect logs in where the host answered last, else where else it may.
func (w *way) connect(ctx context.Context) (*remote.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	conn, err := w.dialer(ctx, w.targets[w.last])
	if err == nil || !silent(err) {
		w.reached = w.reached || err == nil
		return conn, err
	}
	if !w.reached && len(w.targets) == 1 && w.former != nil {
		w.targets = append(w.targets, w.former(ctx)...)
		w.former = nil
	}
	for i, target := range w.targets {
		if i == w.last {
			continue
		}
		if conn, otherErr := w.dialer(ctx, target); otherErr == nil {
			w.reached, w.last = true, i
			return conn, nil
		}
	}
	return nil, err
}

// silent tells whether nothing that speaks SSH was met.
func silent(err error) bool {
	var unreachable *remote.UnreachableError
	return errors.As(err, &unreachable) && unreachable.Stage == remote.StageTCP
}

// dial implements generation.Dialer.
func (w *way) dial(ctx context.Context) (generation.Session, error) {
	conn, err := w.connect(ctx)
	if err != nil {
		return nil, err
	}
	return w.session(conn), nil
}

func (w *way) session(conn *remote.Conn) *session {
	return &session{conn: conn, prefix: escalation(w.targets[0].User, w.deployment)}
}

// proof is the login that shows that the new system is well: where the revision
// says and nowhere else. nil where that is the way that is used anyway.
func (w *way) proof() generation.Dialer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == 0 {
		return nil
	}
	return dialer(w.targets[0], w.deployment)
}

// former gives where else a host may listen whose SSH port moves with this
// deploy: where the revision that it runs had it, and where it is by default.
func (d *deployment) former(ctx context.Context, host string, target remote.Target) []remote.Target {
	ports := []int{d.tree.Fleet.SSH.Port, 22}
	if commit := d.account.Servers[host].Published.Commit; commit != "" && d.work != nil {
		progress.For(d.flow.Sink, host).Note(progress.Connect, "does not answer where this revision says; looking for where it was")
		if old, err := d.work.deployedTree(ctx, commit); err == nil {
			// Its own settings are enough; what else is wrong with it does not matter.
			hosts, err := d.evaluator.Hosts(ctx, old.source(d.facts(), true))
			if err == nil || len(hosts) > 0 {
				ports = append([]int{hosts[host].TargetPort, old.Fleet.SSH.Port}, ports...)
			}
		}
	}
	var others []remote.Target
	seen := []int{0, target.Port}
	for _, port := range ports {
		if slices.Contains(seen, port) {
			continue
		}
		seen = append(seen, port)
		was := d.hosts[host]
		was.TargetPort = port
		if other, err := d.targets.of(host, was); err == nil {
			others = append(others, other)
		}
	}
	return others
}
