package terraform

import (
	"github.com/zclconf/go-cty/cty"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

func (b *builder) loadBalancer(i *instance) {
	r := &i.record
	l := fleet.LoadBalancer{Algorithm: "round_robin", PublicInterface: true, Networks: map[string]fleet.Attachment{}}
	var ok bool
	if l.Type, ok = b.text(r, "load_balancer_type"); !ok || l.Type == "" {
		b.leave(i, "load_balancer_type", "its load_balancer_type is not known", "Write it, or import with --state terraform.tfstate.")
		return
	}
	l.NetworkZone, _ = textOf(i.attrs["network_zone"])
	if l.NetworkZone == "" {
		l.Location = b.location(i)
	}
	if l.Location == "" && l.NetworkZone == "" {
		b.leave(i, "location", "its location is not known", "Write location or network_zone, or import with --state terraform.tfstate.")
		return
	}
	l.DeleteProtection, l.Labels = b.protected(i), b.labels(r)
	for _, a := range i.blocks["algorithm"] {
		if text, ok := b.text(a, "type"); ok && text != "" {
			l.Algorithm = text
		}
	}
	for _, t := range i.blocks["target"] {
		if s := b.ref(t, "server_id", sectionServers); s != nil {
			if _, ok := b.declaredServer(s, t, "server_id"); ok {
				l.Targets = append(l.Targets, fleet.LoadBalancerTarget{Server: s.name, UsePrivateIP: b.flag(t, "use_private_ip")})
			}
		}
	}
	b.fleet.LoadBalancers[b.items[i].name] = l
}

// balancer gives the load balancer that a part belongs to, nil when the fleet
// does not have it.
func (b *builder) balancer(i *instance) (*item, fleet.LoadBalancer) {
	it := b.ref(&i.record, "load_balancer_id", sectionLoadBalancers)
	if it == nil {
		b.incomplete(i)
		return nil, fleet.LoadBalancer{}
	}
	if it.existing {
		b.gap(&i.record, "load_balancer_id", "it is a part of the load balancer "+short(it.name)+", which the fleet does not own", "Keep it where the load balancer is declared.")
		return nil, fleet.LoadBalancer{}
	}
	return it, b.fleet.LoadBalancers[it.name]
}

func (b *builder) balancerNetwork(i *instance) {
	it, l := b.balancer(i)
	if it == nil {
		return
	}
	network := b.joined(&i.record)
	if network == nil {
		b.incomplete(i)
		return
	}
	stored := ""
	if i.known != nil {
		stored, _ = textOf(i.known.attrs["ip"])
	}
	i.attrs["alias_ips"] = cty.NullVal(cty.List(cty.String)) // which balancers do not have
	l.Networks[network.name] = b.attachment(&i.record, network, stored)
	l.PublicInterface = b.flag(&i.record, "enable_public_interface")
	b.fleet.LoadBalancers[it.name] = l
}

// service reads a service with the defaults that the provider and its API
// give it.
func (b *builder) service(i *instance) {
	it, l := b.balancer(i)
	if it == nil {
		return
	}
	r := &i.record
	protocol, ok1 := b.text(r, "protocol")
	listen, ok2 := b.number(r, "listen_port")
	destination, ok3 := b.number(r, "destination_port")
	if !ok1 || !ok2 || !ok3 {
		b.incomplete(i)
		return
	}
	s := fleet.LoadBalancerService{Protocol: protocol, ListenPort: listen, DestinationPort: destination, ProxyProtocol: b.flag(r, "proxyprotocol")}
	if s.ListenPort == 0 {
		s.ListenPort = map[string]int{"http": 80, "https": 443}[protocol]
	}
	if s.DestinationPort == 0 && protocol != "tcp" {
		s.DestinationPort = 80
	}
	if s.ListenPort == 0 || s.DestinationPort == 0 {
		b.gap(r, "", "it has no ports, which tcp needs, so it is left out", "Write listen_port and destination_port.")
		return
	}
	if protocol != "tcp" {
		for _, h := range i.blocks["http"] {
			s.HTTP = b.serviceHTTP(h)
		}
	}
	s.HealthCheck = b.healthCheck(i, s)
	l.Services = append(l.Services, s)
	b.fleet.LoadBalancers[it.name] = l
}

func (b *builder) serviceHTTP(r *record) fleet.ServiceHTTP {
	h := fleet.ServiceHTTP{RedirectHTTP: b.flag(r, "redirect_http"), StickySessions: b.flag(r, "sticky_sessions")}
	if h.StickySessions { // without them a cookie says nothing
		h.CookieName, _ = b.text(r, "cookie_name")
		h.CookieLifetime, _ = b.number(r, "cookie_lifetime")
		or(&h.CookieName, "HCLBSTICKY")
		or(&h.CookieLifetime, 300)
	}
	for _, c := range b.refs(r, "certificates", sectionCertificates) {
		h.Certificates = append(h.Certificates, c.name)
	}
	if idle, ok := b.number(r, "timeout_idle"); ok && idle != 0 && idle != 60 {
		b.gap(r, "timeout_idle", "timeout_idle is not carried over", "It stays at the provider as it is; the fleet does not set it.")
	}
	return h
}

func or[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

func (b *builder) healthCheck(i *instance, s fleet.LoadBalancerService) fleet.HealthCheck {
	c := fleet.HealthCheck{}
	for _, r := range i.blocks["health_check"] {
		c.Protocol, _ = b.text(r, "protocol")
		c.Port, _ = b.number(r, "port")
		c.Interval, _ = b.number(r, "interval")
		c.Timeout, _ = b.number(r, "timeout")
		c.Retries, _ = b.number(r, "retries")
		for _, h := range r.blocks["http"] {
			c.Domain, _ = b.text(h, "domain")
			c.Path, _ = b.text(h, "path")
			c.Response, _ = b.text(h, "response")
			c.StatusCodes, c.TLS = b.list(h, "status_codes"), b.flag(h, "tls")
		}
		if c.Protocol == "https" {
			b.gap(r, "protocol", "a health check by https is one by http with tls in the fleet", "Look at its tls, and correct it if the plan shows a difference.")
			c.Protocol, c.TLS = "http", true
		}
	}
	if s.Protocol == "tcp" {
		or(&c.Protocol, "tcp")
	}
	or(&c.Protocol, "http")
	or(&c.Port, s.DestinationPort)
	or(&c.Interval, 15)
	or(&c.Timeout, 10)
	or(&c.Retries, 3)
	if c.Protocol == "tcp" {
		c.Domain, c.Path, c.Response, c.StatusCodes, c.TLS = "", "", "", nil, false
		return c
	}
	or(&c.Path, "/")
	if len(c.StatusCodes) == 0 {
		c.StatusCodes = []string{"2??", "3??"}
	}
	return c
}

func (b *builder) target(i *instance) {
	it, l := b.balancer(i)
	if it == nil {
		return
	}
	r := &i.record
	t := fleet.LoadBalancerTarget{UsePrivateIP: b.flag(r, "use_private_ip")}
	kind, ok := b.text(r, "type")
	switch kind {
	case "label_selector":
		t.LabelSelector, ok = b.text(r, "label_selector")
		ok = ok && t.LabelSelector != ""
	case "ip":
		t.IP, ok = b.text(r, "ip")
		ok = ok && t.IP != ""
		t.UsePrivateIP = false
	default:
		s := b.ref(r, "server_id", sectionServers)
		if ok = ok && s != nil; ok {
			_, ok = b.declaredServer(s, r, "server_id")
			t.Server = s.name
		}
	}
	if !ok {
		b.incomplete(i)
		return
	}
	l.Targets = append(l.Targets, t)
	b.fleet.LoadBalancers[it.name] = l
}
