package provision

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

func port(n int) string { return strconv.Itoa(n) }

func serviceText(s fleet.LoadBalancerService) string {
	return fmt.Sprintf("%s → %d", s.Protocol, s.DestinationPort)
}

// serviceField is one value of a service, as text; open is one that
// flotilla.yaml leaves to the provider.
type serviceField struct {
	name, value string
	open        bool
}

// serviceFields lists what counts of a service: plain TCP has no HTTP part, nor
// has its check.
func serviceFields(s fleet.LoadBalancerService) []serviceField {
	number := func(name string, n int) serviceField { return serviceField{name, strconv.Itoa(n), n == 0} }
	text := func(name, value string) serviceField { return serviceField{name, value, value == ""} }
	fields := []serviceField{
		text("protocol", s.Protocol), number("destination_port", s.DestinationPort), {"proxyprotocol", yes(s.ProxyProtocol), false},
		text("health_check.protocol", s.HealthCheck.Protocol), number("health_check.port", s.HealthCheck.Port),
		number("health_check.interval", s.HealthCheck.Interval), number("health_check.timeout", s.HealthCheck.Timeout),
		number("health_check.retries", s.HealthCheck.Retries),
	}
	if s.Protocol != "tcp" {
		fields = append(fields,
			serviceField{"http.certificates", list(s.HTTP.Certificates), false}, serviceField{"http.redirect_http", yes(s.HTTP.RedirectHTTP), false},
			serviceField{"http.sticky_sessions", yes(s.HTTP.StickySessions), false})
		if s.HTTP.StickySessions {
			fields = append(fields, text("http.cookie_name", s.HTTP.CookieName), number("http.cookie_lifetime", s.HTTP.CookieLifetime))
		}
	}
	if s.HealthCheck.Protocol == "http" {
		fields = append(fields,
			serviceField{"health_check.domain", s.HealthCheck.Domain, false}, text("health_check.path", s.HealthCheck.Path),
			serviceField{"health_check.response", s.HealthCheck.Response, false},
			text("health_check.status_codes", list(s.HealthCheck.StatusCodes)), serviceField{"health_check.tls", yes(s.HealthCheck.TLS), false})
	}
	return fields
}

func list(values []string) string { return strings.Join(slices.Sorted(slices.Values(values)), ", ") }

// serviceChanges gives one attribute for each value that differs.
func serviceChanges(prefix string, have, want fleet.LoadBalancerService) []plans.Attribute {
	var changes []plans.Attribute
	old := map[string]string{}
	for _, f := range serviceFields(have) {
		old[f.name] = f.value
	}
	for _, f := range serviceFields(want) {
		before, known := old[f.name]
		delete(old, f.name)
		if f.open || before == f.value || !known && (f.value == "" || f.value == "false") {
			continue
		}
		changes = append(changes, plans.Attribute{Name: prefix + "." + f.name, Old: before, New: f.value, Known: true})
	}
	return changes
}
