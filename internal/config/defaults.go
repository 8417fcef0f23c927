package config

import (
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// defaulter is implemented by types whose absent keys have a value. The
// decoder calls it on each new value before it reads the file's keys into it;
// Format leaves out what it sets, and the JSON Schema shows it.
type defaulter interface{ setDefaults() }

var (
	_ defaulter = (*fleetFile)(nil)
	_ defaulter = (*hetznerSection)(nil)
	_ defaulter = (*sshSection)(nil)
	_ defaulter = (*subnetEntry)(nil)
	_ defaulter = (*groupEntry)(nil)
	_ defaulter = (*serverEntry)(nil)
	_ defaulter = (*publicNetEntry)(nil)
	_ defaulter = (*loadBalancerEntry)(nil)
	_ defaulter = (*serviceEntry)(nil)
	_ defaulter = (*balancerCheck)(nil)
	_ defaulter = (*httpEntry)(nil)
	_ defaulter = (*tcpEntry)(nil)
	_ defaulter = (*commandEntry)(nil)
	_ defaulter = (*unitsEntry)(nil)
	_ defaulter = (*rolloutSection)(nil)
	_ defaulter = (*reviewSection)(nil)
)

const defaultWithin = duration(60 * time.Second)

func (f *fleetFile) setDefaults() {
	f.SSH.setDefaults()
	f.Rollout.setDefaults()
	f.Review.setDefaults()
}

func (h *hetznerSection) setDefaults() { h.PollInterval = duration(500 * time.Millisecond) }

func (s *sshSection) setDefaults() { s.User, s.Port, s.Address = "root", 22, addressIPv4 }

func (s *subnetEntry) setDefaults() { s.Type = subnetCloud }

func (g *groupEntry) setDefaults() { g.Type = groupSpread }

func (s *serverEntry) setDefaults() { s.PublicNet.setDefaults() }

func (p *publicNetEntry) setDefaults() { p.EnableIPv4, p.EnableIPv6 = true, true }

func (l *loadBalancerEntry) setDefaults() {
	l.Algorithm, l.EnablePublicInterface = roundRobin, true
}

func (s *serviceEntry) setDefaults() { s.HealthCheck.setDefaults() }

func (b *balancerCheck) setDefaults() { b.Interval, b.Timeout, b.Retries = 15, 10, 3 }

func (h *httpEntry) setDefaults() { h.Status, h.Via, h.Within = 200, viaHost, defaultWithin }

func (t *tcpEntry) setDefaults() { t.Within = defaultWithin }

func (c *commandEntry) setDefaults() { c.Within = defaultWithin }

func (u *unitsEntry) setDefaults() { u.Within = defaultWithin }

func (r *rolloutSection) setDefaults() {
	r.MaxParallel = 10
	r.MaxUnavailable = 1
	r.OnFailure = failurePolicy(fleet.RollbackHost)
	r.ActivationTimeout = duration(10 * time.Minute)
	r.ConfirmTimeout = duration(time.Minute)
	r.KeepGenerations = 10
}

func (r *reviewSection) setDefaults() { r.DirectPush = directPush(fleet.DirectStopOnRisk) }

// The rest are defaults that depend on what else is declared. complete
// puts them in, Format leaves them out.

const (
	stickyCookie   = "HCLBSTICKY"
	stickyLifetime = seconds(300)
	checkPath      = "/"
)

func checkStatuses() []statusCode { return []statusCode{"2??", "3??"} }

// listenPort is the default of listen_port, 0 for none.
func (s *serviceEntry) listenPort() int {
	switch s.Protocol {
	case protocolHTTP:
		return 80
	case protocolHTTPS:
		return 443
	}
	return 0
}

// destinationPort is the default of destination_port, 0 for none.
func (s *serviceEntry) destinationPort() int {
	if s.Protocol == protocolHTTP || s.Protocol == protocolHTTPS {
		return 80
	}
	return 0
}

// checkProtocol is the default of health_check.protocol.
func (s *serviceEntry) checkProtocol() checkProtocol {
	if s.Protocol == protocolTCP {
		return protocolTCP
	}
	return protocolHTTP
}

// protectedByDefault tells whether a server is protected from destruction
// where its delete_protection is not written: what it holds is not on it alone.
func (f *fleetFile) protectedByDefault(server string) bool {
	for _, v := range f.Volumes {
		if v.Server == server {
			return true
		}
	}
	return false
}

// complete puts in the defaults that depend on other values, but for those
// that package fleet has a word of its own for.
func (f *fleetFile) complete() {
	for _, l := range f.LoadBalancers {
		for i := range l.Services {
			l.Services[i].complete()
		}
	}
}

func (s *serviceEntry) complete() {
	orElse(&s.ListenPort, s.listenPort())
	orElse(&s.DestinationPort, s.destinationPort())
	if s.HTTP.StickySessions {
		orElse(&s.HTTP.CookieName, stickyCookie)
		orElse(&s.HTTP.CookieLifetime, stickyLifetime)
	}
	h := &s.HealthCheck
	orElse(&h.Protocol, s.checkProtocol())
	orElse(&h.Port, s.DestinationPort)
	if h.Protocol == protocolHTTP {
		orElse(&h.HTTP.Path, checkPath)
		if len(h.HTTP.StatusCodes) == 0 {
			h.HTTP.StatusCodes = checkStatuses()
		}
	}
}

// orElse gives a value that nobody gave.
func orElse[T comparable](value *T, absent T) {
	var zero T
	if *value == zero {
		*value = absent
	}
}
