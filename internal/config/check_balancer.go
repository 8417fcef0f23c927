package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

func (c *checker) loadBalancer(n *node, name string, l loadBalancerEntry) {
	where := join("load_balancers", name)
	if v := c.need(n, "load_balancer_type", where, "Add for example load_balancer_type: lb11"); v != nil && !word.MatchString(l.Type) {
		c.report(v.value, fmt.Sprintf("%s is not a type of load balancers", quote(l.Type)), "Write for example lb11.")
	}
	location, zone := n.get("location"), n.get("network_zone")
	switch {
	case location != nil && zone != nil:
		c.report(zone.key, where+" has both location and network_zone", "Keep one: location says where it is, network_zone lets the provider choose.")
	case location == nil && zone == nil:
		c.report(n.key, where+" has neither location nor network_zone", "Add for example location: nbg1")
	}
	c.location(n.good("location"), l.Location)
	c.labels(n.good("labels"), l.Labels)
	c.balancerNetworks(n.good("networks"), where, name, l)
	if v := n.good("enable_public_interface"); v != nil && !l.EnablePublicInterface && len(l.Networks) == 0 && !bad(n.get("networks")) {
		c.report(v.value, where+" has neither a public interface nor a network", "Nobody could reach it: add networks: {NAME: {}}, or remove enable_public_interface: false.")
	}
	if v := n.good("dns_ptr"); v != nil {
		c.dnsNames(v, where, l.DNSPtr, []string{addressIPv4, addressIPv6})
		for _, f := range v.fields {
			if f.name != addressIPv4 && f.name != addressIPv6 {
				c.report(f.value.key, fmt.Sprintf("%s.dns_ptr: %s is neither ipv4 nor ipv6", where, quote(f.name)), "A load balancer has one address of each kind.")
			}
		}
	}
	c.services(n.good("services"), where, l.Services)
	c.targets(n.good("targets"), where, l)
}

func (c *checker) balancerNetworks(n *node, where, name string, l loadBalancerEntry) {
	if n == nil {
		return
	}
	if len(n.fields) > 1 {
		c.report(n.fields[1].value.key, where+" is in several networks", "The provider takes one.")
	}
	m := member{where: where, what: "load balancer", name: name, zone: l.NetworkZone}
	if l.Location != "" {
		m.locations = []string{l.Location}
	}
	for _, f := range n.fields {
		network, ok := c.attached(f, m)
		if v := f.value.good("ip"); ok && v != nil {
			if ip, ok := c.fixedIP(v, l.Networks[f.name].IP, f.name, network, m); ok {
				c.take(v, ip, f.name, m)
			}
		}
	}
}

func (c *checker) targets(n *node, where string, l loadBalancerEntry) {
	if n == nil {
		return
	}
	for i, t := range l.Targets {
		item, of := n.items[i], fmt.Sprintf("%s.targets[%d]", where, i)
		if item.bad {
			continue
		}
		var kinds []string
		for _, f := range item.fields {
			if f.name != "use_private_ip" {
				kinds = append(kinds, f.name)
			}
		}
		if len(kinds) != 1 {
			c.report(item.key, of+" must have one of server, label_selector and ip", "Write for example - {server: web-1}")
			continue
		}
		if slices.Contains(l.Targets[:i], t) || t.Server != "" && slices.ContainsFunc(l.Targets[:i], func(o targetEntry) bool { return o.Server == t.Server }) {
			c.report(item.value, of+" stands here twice", "Remove one.")
			continue
		}
		c.target(item, of, l, t)
	}
}

func (c *checker) target(n *node, where string, l loadBalancerEntry, t targetEntry) {
	if v := n.good("use_private_ip"); v != nil && t.UsePrivateIP {
		switch {
		case n.get("ip") != nil:
			c.report(v.value, where+" is an address and cannot have use_private_ip", "Remove use_private_ip.")
		case len(l.Networks) == 0:
			c.report(v.value, where+" has use_private_ip, but its load balancer is in no network", "Add networks: {NAME: {}} to the load balancer.")
		}
	}
	// A load balancer without public side cannot reach public addresses.
	if !l.EnablePublicInterface && !t.UsePrivateIP && n.get("ip") == nil && !bad(n.get("use_private_ip")) {
		c.report(n.value, where+" is reached by its public address, but the load balancer has no public interface", "Add use_private_ip: true.")
	}
	if v := n.good("server"); v != nil && c.refer(v.value, where, "server", "servers", t.Server) {
		c.targetServer(v, where, l, t)
	}
	c.labelSelector(n.good("label_selector"), where, t.LabelSelector)
	if v := n.good("ip"); v != nil {
		if ip, err := netip.ParseAddr(t.IP); err != nil || ip.Zone() != "" || ip.IsPrivate() {
			c.report(v.value, fmt.Sprintf("%s: %s is not a public address", where, quote(t.IP)), "Write the address of a dedicated server. Servers of the fleet are targets by name: - {server: NAME}")
		}
	}
}

func (c *checker) targetServer(n *node, where string, l loadBalancerEntry, t targetEntry) {
	s := c.file.Servers[t.Server]
	if t.UsePrivateIP {
		for network := range l.Networks {
			if _, ok := s.Networks[network]; !ok {
				c.report(n.value, fmt.Sprintf("%s is to be reached in network %s, where server %s is not", where, quote(network), quote(t.Server)),
					fmt.Sprintf("Add to %s: networks: {%s: {}}, or remove use_private_ip.", join("servers", t.Server), network))
			}
		}
	} else if !s.PublicNet.EnableIPv4 {
		c.report(n.value, fmt.Sprintf("%s: server %s has no public IPv4 address", where, quote(t.Server)), "Add use_private_ip: true, with both in one network.")
	}
	zone := string(l.NetworkZone)
	if l.Location != "" {
		zone = zoneOf(l.Location)
	}
	for _, location := range s.Location {
		if other := zoneOf(location); zone != "" && other != "" && other != zone {
			c.report(n.value, fmt.Sprintf("%s: server %s may be in zone %s, the load balancer is in %s", where, quote(t.Server), other, zone), "Targets are in the load balancer's zone: choose locations there.")
			return
		}
	}
}

// services are checked one by one; ports are theirs alone.
func (c *checker) services(n *node, where string, services []serviceEntry) {
	if n == nil {
		return
	}
	lines := map[int]int{}
	for i, s := range services {
		item := n.items[i]
		if item.bad {
			continue
		}
		c.service(item, fmt.Sprintf("%s.services[%d]", where, i), s)
		at := item
		if v := item.get("listen_port"); v != nil {
			at = v
		}
		c.listen(at, where, s.ListenPort, lines, "Each service has a port of its own.")
		if s.HTTP.RedirectHTTP && s.Protocol == protocolHTTPS {
			c.listen(at, where, 80, lines, "A service with redirect_http listens on port 80, too: remove the other one, or redirect_http.")
		}
	}
}

// listen notes who listens on a port.
func (c *checker) listen(at *node, where string, port int, lines map[int]int, hint string) {
	if line, ok := lines[port]; ok && port != 0 {
		c.report(at.value, fmt.Sprintf("%s: port %d is that of the service in line %d", where, port, line), hint)
	}
	lines[port] = at.value.line
}

func (c *checker) service(n *node, where string, s serviceEntry) {
	if v := c.need(n, "protocol", where, "Add protocol: tcp, http or https"); v == nil {
		return
	}
	if s.Protocol == protocolTCP {
		c.need(n, "listen_port", where, "Add for example listen_port: 5432")
		c.need(n, "destination_port", where, "Add for example destination_port: 5432")
	}
	http := n.good("http")
	if http != nil && s.Protocol == protocolTCP && len(http.fields) > 0 {
		c.report(http.key, where+" has http, but its protocol is tcp", "Remove http, or write protocol: http or https.")
	}
	certificates := http.get("certificates")
	switch {
	case s.Protocol == protocolHTTPS && len(s.HTTP.Certificates) == 0 && !bad(certificates) && !bad(n.get("http")):
		c.report(n.key, where+" has no certificates", "https needs one: add http: {certificates: [NAME]}, with the name of a certificate in the project.")
	case s.Protocol == protocolHTTP && certificates != nil:
		c.report(certificates.key, where+" has certificates, but its protocol is http", "Write protocol: https, or remove them.")
	}
	if v := http.good("redirect_http"); v != nil && s.HTTP.RedirectHTTP && s.Protocol == protocolHTTP {
		c.report(v.value, where+" has redirect_http, but its protocol is http", "It belongs to the service of protocol https.")
	}
	for _, key := range []string{"cookie_name", "cookie_lifetime"} {
		if v := http.good(key); v != nil && !s.HTTP.StickySessions && !bad(http.get("sticky_sessions")) {
			c.report(v.key, fmt.Sprintf("%s has %s, but no sticky_sessions", where, key), "Add sticky_sessions: true, or remove it.")
		}
	}
	c.balancerCheck(n.good("health_check"), where+".health_check", s.HealthCheck)
}

var statusPattern = regexp.MustCompile(`^[1-5?][0-9?][0-9?]$`)

func (c *checker) balancerCheck(n *node, where string, h balancerCheck) {
	if n == nil {
		return
	}
	if at := n.good("timeout"); at != nil && h.Timeout > h.Interval && !bad(n.get("interval")) {
		c.report(at.value, fmt.Sprintf("%s: a check may take %d seconds, but the next one begins after %d", where, h.Timeout, h.Interval), "Make interval longer or timeout shorter.")
	} else if at := n.good("interval"); at != nil && h.Timeout > h.Interval && !bad(n.get("timeout")) {
		c.report(at.value, fmt.Sprintf("%s: a check may take %d seconds, but the next one begins after %d", where, h.Timeout, h.Interval), "Make interval longer or timeout shorter.")
	}
	http := n.good("http")
	if http == nil {
		return
	}
	if h.Protocol == protocolTCP && len(http.fields) > 0 {
		c.report(http.key, where+" has http, but its protocol is tcp", "Write protocol: http there, or remove http.")
		return
	}
	if v := http.good("path"); v != nil && !strings.HasPrefix(h.HTTP.Path, "/") {
		c.report(v.value, fmt.Sprintf("%s: %s is not a path", where, quote(h.HTTP.Path)), "Begin it with a slash, for example /healthz.")
	}
	if v := http.good("domain"); v != nil && (!hostPattern.MatchString(h.HTTP.Domain) || len(h.HTTP.Domain) > maxDNSName) {
		c.report(v.value, fmt.Sprintf("%s: %s is not a domain", where, quote(h.HTTP.Domain)), "Write for example www.example.com.")
	}
	v := http.good("status_codes")
	for i, code := range h.HTTP.StatusCodes {
		if v != nil && i < len(v.items) && !v.items[i].bad && !statusPattern.MatchString(string(code)) {
			c.report(v.items[i].value, fmt.Sprintf("%s: %s is not an HTTP status", where, quote(string(code))), `Write for example "200", or "2??" for 200 to 299.`)
		}
	}
}
