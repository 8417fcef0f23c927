package hetzner

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// AddService makes a load balancer listen on a port.
func (c *Client) AddService(ctx context.Context, id int64, s fleet.LoadBalancerService) error {
	what := fmt.Sprintf("adding the service on port %d to load balancer %d", s.ListenPort, id)
	opts, err := c.serviceOpts(ctx, s)
	if err != nil {
		return err
	}
	if _, err := c.mark(ctx, c.balancers(), what, id, serviceLabel(s.ListenPort)); err != nil {
		return err
	}
	return c.changeBalancer(ctx, what, id,
		func(l *hcloud.LoadBalancer) bool { return l != nil && listens(l, s.ListenPort) },
		func(ctx context.Context, l *hcloud.LoadBalancer) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.LoadBalancer.AddService(ctx, l, opts)
		})
}

// UpdateService changes the service on a port.
func (c *Client) UpdateService(ctx context.Context, id int64, s fleet.LoadBalancerService) error {
	opts, err := c.serviceOpts(ctx, s)
	if err != nil {
		return err
	}
	update := hcloud.LoadBalancerUpdateServiceOpts{
		Protocol: opts.Protocol, DestinationPort: opts.DestinationPort, Proxyprotocol: opts.Proxyprotocol,
		HealthCheck: &hcloud.LoadBalancerUpdateServiceOptsHealthCheck{
			Protocol: opts.HealthCheck.Protocol, Port: opts.HealthCheck.Port, Interval: opts.HealthCheck.Interval,
			Timeout: opts.HealthCheck.Timeout, Retries: opts.HealthCheck.Retries,
		},
	}
	if h := opts.HTTP; h != nil {
		converted := hcloud.LoadBalancerUpdateServiceOptsHTTP(*h)
		update.HTTP = &converted
	}
	if h := opts.HealthCheck.HTTP; h != nil {
		converted := hcloud.LoadBalancerUpdateServiceOptsHealthCheckHTTP(*h)
		update.HealthCheck.HTTP = &converted
	}
	return c.act(ctx, request{what: fmt.Sprintf("changing the service on port %d of load balancer %d", s.ListenPort, id), on: c.balancers(), id: id},
		func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
			return one(c.api.LoadBalancer.UpdateService(ctx, &hcloud.LoadBalancer{ID: id}, s.ListenPort, update))
		})
}

// DeleteService ends a load balancer's listening on a port.
func (c *Client) DeleteService(ctx context.Context, id int64, listenPort int) error {
	what := fmt.Sprintf("deleting the service on port %d of load balancer %d", listenPort, id)
	err := c.changeBalancer(ctx, what, id,
		func(l *hcloud.LoadBalancer) bool { return l == nil || !listens(l, listenPort) },
		func(ctx context.Context, l *hcloud.LoadBalancer) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.LoadBalancer.DeleteService(ctx, l, listenPort)
		})
	if err != nil {
		return err
	}
	return c.unmark(ctx, c.balancers(), what, id, serviceLabel(listenPort))
}

func listens(l *hcloud.LoadBalancer, port int) bool {
	return slices.ContainsFunc(l.Services, func(s hcloud.LoadBalancerService) bool { return s.ListenPort == port })
}

func seconds(n int) *time.Duration {
	d := time.Duration(n) * time.Second
	return &d
}

// whole counts the seconds of a duration of the API, which knows no parts of one.
func whole(d time.Duration) int { return int(d / time.Second) }

func (c *Client) serviceOpts(ctx context.Context, s fleet.LoadBalancerService) (hcloud.LoadBalancerAddServiceOpts, error) {
	opts := hcloud.LoadBalancerAddServiceOpts{
		Protocol: hcloud.LoadBalancerServiceProtocol(s.Protocol), ListenPort: &s.ListenPort,
		DestinationPort: &s.DestinationPort, Proxyprotocol: &s.ProxyProtocol, HealthCheck: healthOpts(s.HealthCheck),
	}
	if opts.Protocol == hcloud.LoadBalancerServiceProtocolTCP {
		return opts, nil
	}
	certificates, err := c.certificates(ctx, s.HTTP.Certificates)
	if err != nil {
		return opts, err
	}
	opts.HTTP = &hcloud.LoadBalancerAddServiceOptsHTTP{Certificates: certificates, StickySessions: &s.HTTP.StickySessions}
	if opts.Protocol == hcloud.LoadBalancerServiceProtocolHTTPS {
		opts.HTTP.RedirectHTTP = &s.HTTP.RedirectHTTP
	}
	if s.HTTP.CookieName != "" {
		opts.HTTP.CookieName = &s.HTTP.CookieName
	}
	if s.HTTP.CookieLifetime != 0 {
		opts.HTTP.CookieLifetime = seconds(s.HTTP.CookieLifetime)
	}
	return opts, nil
}

func healthOpts(h fleet.HealthCheck) *hcloud.LoadBalancerAddServiceOptsHealthCheck {
	opts := &hcloud.LoadBalancerAddServiceOptsHealthCheck{
		Protocol: hcloud.LoadBalancerServiceProtocol(h.Protocol), Port: &h.Port, Interval: seconds(h.Interval),
		Timeout: seconds(h.Timeout), Retries: &h.Retries,
	}
	if opts.Protocol != hcloud.LoadBalancerServiceProtocolTCP {
		opts.HTTP = &hcloud.LoadBalancerAddServiceOptsHealthCheckHTTP{
			Domain: &h.Domain, Path: &h.Path, Response: &h.Response, StatusCodes: h.StatusCodes, TLS: &h.TLS,
		}
	}
	return opts
}

// certificates finds certificates of the project by their names.
func (c *Client) certificates(ctx context.Context, names []string) ([]*hcloud.Certificate, error) {
	var all []*hcloud.Certificate
	for _, name := range names {
		found, err := lookUp(ctx, c, "looking for the certificate "+name, func(ctx context.Context) (*hcloud.Certificate, *hcloud.Response, error) {
			return c.api.Certificate.GetByName(ctx, name)
		})
		if err != nil {
			return nil, err
		}
		if found == nil {
			return nil, &problem.Problem{
				Summary: fmt.Sprintf("the project has no certificate named %q", name),
				Hints:   []string{"Flotilla does not make certificates: upload it or have it managed in the Cloud Console (Security, Certificates)."},
			}
		}
		all = append(all, &hcloud.Certificate{ID: found.ID})
	}
	return all, nil
}

// AddTarget lets traffic go to a target. server is the ID of t.Server if that
// is set.
func (c *Client) AddTarget(ctx context.Context, id int64, t fleet.LoadBalancerTarget, server int64) error {
	what := fmt.Sprintf("adding the target %s to load balancer %d", balancerTargetText(t), id)
	if t.Server == "" { // that of a server follows from both being the fleet's
		if _, err := c.mark(ctx, c.balancers(), what, id, targetLabel(t)); err != nil {
			return err
		}
	}
	private := &t.UsePrivateIP
	return c.changeBalancer(ctx, what, id,
		func(l *hcloud.LoadBalancer) bool { return l != nil && targets(l, t, server, true) },
		func(ctx context.Context, l *hcloud.LoadBalancer) (*hcloud.Action, *hcloud.Response, error) {
			switch {
			case t.Server != "":
				return c.api.LoadBalancer.AddServerTarget(ctx, l, hcloud.LoadBalancerAddServerTargetOpts{Server: &hcloud.Server{ID: server}, UsePrivateIP: private})
			case t.LabelSelector != "":
				return c.api.LoadBalancer.AddLabelSelectorTarget(ctx, l, hcloud.LoadBalancerAddLabelSelectorTargetOpts{Selector: t.LabelSelector, UsePrivateIP: private})
			}
			return c.api.LoadBalancer.AddIPTarget(ctx, l, hcloud.LoadBalancerAddIPTargetOpts{IP: net.ParseIP(t.IP)})
		})
}

// RemoveTarget lets no more traffic go to a target.
func (c *Client) RemoveTarget(ctx context.Context, id int64, t fleet.LoadBalancerTarget, server int64) error {
	what := fmt.Sprintf("removing the target %s from load balancer %d", balancerTargetText(t), id)
	err := c.changeBalancer(ctx, what, id,
		func(l *hcloud.LoadBalancer) bool { return l == nil || !targets(l, t, server, false) },
		func(ctx context.Context, l *hcloud.LoadBalancer) (*hcloud.Action, *hcloud.Response, error) {
			switch {
			case t.Server != "":
				return c.api.LoadBalancer.RemoveServerTarget(ctx, l, &hcloud.Server{ID: server})
			case t.LabelSelector != "":
				return c.api.LoadBalancer.RemoveLabelSelectorTarget(ctx, l, t.LabelSelector)
			}
			return c.api.LoadBalancer.RemoveIPTarget(ctx, l, net.ParseIP(t.IP))
		})
	if err != nil || t.Server != "" {
		return err
	}
	return c.unmark(ctx, c.balancers(), what, id, targetLabel(t))
}

func balancerTargetText(t fleet.LoadBalancerTarget) string {
	switch {
	case t.Server != "":
		return "server " + t.Server
	case t.LabelSelector != "":
		return fmt.Sprintf("servers with %q", t.LabelSelector)
	}
	return t.IP
}

// targets tells whether a load balancer has a target, and, if exactly, whether
// it reaches it in the same way.
func targets(l *hcloud.LoadBalancer, want fleet.LoadBalancerTarget, server int64, exactly bool) bool {
	return slices.ContainsFunc(l.Targets, func(t hcloud.LoadBalancerTarget) bool {
		same := false
		switch {
		case want.Server != "":
			same = t.Server != nil && t.Server.Server.ID == server
		case want.LabelSelector != "":
			same = t.LabelSelector != nil && t.LabelSelector.Selector == want.LabelSelector
		default:
			same = t.IP != nil && canonical(t.IP.IP) == canonical(want.IP)
		}
		return same && (!exactly || t.UsePrivateIP == want.UsePrivateIP)
	})
}
