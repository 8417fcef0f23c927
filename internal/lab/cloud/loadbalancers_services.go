package cloud

import (
	"net/http"
	"slices"
)

const (
	protocolTCP   = "tcp"
	protocolHTTP  = "http"
	protocolHTTPS = "https"

	portHTTP, portHTTPS = 80, 443
	maxPort             = 65535
)

// lbService is one port that a load balancer listens on.
type lbService struct {
	Protocol        string        `json:"protocol"`
	ListenPort      int           `json:"listen_port"`
	DestinationPort int           `json:"destination_port"`
	Proxyprotocol   bool          `json:"proxyprotocol"`
	HTTP            *lbHTTP       `json:"http"` // nil with tcp
	HealthCheck     lbHealthCheck `json:"health_check"`
}

type lbHTTP struct {
	CookieName     string  `json:"cookie_name"`
	CookieLifetime int     `json:"cookie_lifetime"` // seconds
	Certificates   []int64 `json:"certificates"`
	RedirectHTTP   bool    `json:"redirect_http"`
	StickySessions bool    `json:"sticky_sessions"`
	TimeoutIdle    int     `json:"timeout_idle"` // seconds
}

type lbHealthCheck struct {
	Protocol string             `json:"protocol"`
	Port     int                `json:"port"`
	Interval int                `json:"interval"` // seconds
	Timeout  int                `json:"timeout"`  // seconds
	Retries  int                `json:"retries"`
	HTTP     *lbHealthCheckHTTP `json:"http"` // nil with tcp
}

type lbHealthCheckHTTP struct {
	Domain      string   `json:"domain"`
	Path        string   `json:"path"`
	Response    string   `json:"response"`
	StatusCodes []string `json:"status_codes"`
	TLS         bool     `json:"tls"`
}

// lbServiceRequest is a service as it is asked for; what is nil stays as it is,
// or takes its default.
type lbServiceRequest struct {
	Protocol        *string `json:"protocol"`
	ListenPort      *int    `json:"listen_port"`
	DestinationPort *int    `json:"destination_port"`
	Proxyprotocol   *bool   `json:"proxyprotocol"`
	HTTP            *struct {
		CookieName     *string  `json:"cookie_name"`
		CookieLifetime *int     `json:"cookie_lifetime"`
		Certificates   *[]int64 `json:"certificates"`
		RedirectHTTP   *bool    `json:"redirect_http"`
		StickySessions *bool    `json:"sticky_sessions"`
		TimeoutIdle    *int     `json:"timeout_idle"`
	} `json:"http"`
	HealthCheck *struct {
		Protocol *string `json:"protocol"`
		Port     *int    `json:"port"`
		Interval *int    `json:"interval"`
		Timeout  *int    `json:"timeout"`
		Retries  *int    `json:"retries"`
		HTTP     *struct {
			Domain      *string   `json:"domain"`
			Path        *string   `json:"path"`
			Response    *string   `json:"response"`
			StatusCodes *[]string `json:"status_codes"`
			TLS         *bool     `json:"tls"`
		} `json:"http"`
	} `json:"health_check"`
}

func set[T any](into *T, wanted *T) {
	if wanted != nil {
		*into = *wanted
	}
}

// newService makes a service of what is asked for and the defaults.
func (l *LoadBalancer) newService(q *request, r lbServiceRequest) (*lbService, error) {
	s := &lbService{}
	set(&s.Protocol, r.Protocol)
	switch s.Protocol {
	case protocolHTTP:
		s.ListenPort, s.DestinationPort = portHTTP, portHTTP
	case protocolHTTPS:
		s.ListenPort, s.DestinationPort = portHTTPS, portHTTP
	}
	set(&s.ListenPort, r.ListenPort)
	set(&s.DestinationPort, r.DestinationPort)
	s.HealthCheck = lbHealthCheck{Protocol: protocolTCP, Port: s.DestinationPort, Interval: 15, Timeout: 10, Retries: 3}
	if s.Protocol != protocolTCP && r.HealthCheck == nil {
		s.HealthCheck.Protocol = protocolHTTP
	}
	s.apply(r)
	if err := s.check(q); err != nil {
		return nil, err
	}
	if l.portUsed(s, nil) {
		return nil, fail(http.StatusUnprocessableEntity, "source_port_already_used", "the listen port is already used")
	}
	if len(l.Services) >= l.kindOf().MaxServices {
		return nil, fail(http.StatusForbidden, "resource_limit_exceeded", "the load balancer has as many services as its type takes")
	}
	return s, nil
}

// apply changes what is asked for and fills in what the protocols need.
func (s *lbService) apply(r lbServiceRequest) {
	set(&s.Protocol, r.Protocol)
	set(&s.DestinationPort, r.DestinationPort)
	set(&s.Proxyprotocol, r.Proxyprotocol)
	h := lbHTTP{CookieName: "HCLBSTICKY", CookieLifetime: 300, Certificates: []int64{}, TimeoutIdle: 60}
	if s.HTTP != nil {
		h = *s.HTTP
	}
	if w := r.HTTP; w != nil {
		set(&h.CookieName, w.CookieName)
		set(&h.CookieLifetime, w.CookieLifetime)
		set(&h.Certificates, w.Certificates)
		set(&h.RedirectHTTP, w.RedirectHTTP)
		set(&h.StickySessions, w.StickySessions)
		set(&h.TimeoutIdle, w.TimeoutIdle)
	}
	if s.HTTP = &h; s.Protocol == protocolTCP {
		s.HTTP = nil
	}
	s.HealthCheck.apply(r)
}

func (c *lbHealthCheck) apply(r lbServiceRequest) {
	h := lbHealthCheckHTTP{Path: "/", StatusCodes: []string{"2??", "3??"}}
	if c.HTTP != nil {
		h = *c.HTTP
	}
	if w := r.HealthCheck; w != nil {
		set(&c.Protocol, w.Protocol)
		set(&c.Port, w.Port)
		set(&c.Interval, w.Interval)
		set(&c.Timeout, w.Timeout)
		set(&c.Retries, w.Retries)
		if p := w.HTTP; p != nil {
			set(&h.Domain, p.Domain)
			set(&h.Path, p.Path)
			set(&h.Response, p.Response)
			set(&h.StatusCodes, p.StatusCodes)
			set(&h.TLS, p.TLS)
		}
	}
	if c.HTTP = &h; c.Protocol == protocolTCP {
		c.HTTP = nil
	}
}

func (s *lbService) check(q *request) error {
	port := func(p int) bool { return p >= 1 && p <= maxPort }
	c := s.HealthCheck
	switch {
	case s.Protocol != protocolTCP && s.Protocol != protocolHTTP && s.Protocol != protocolHTTPS:
		return invalid("protocol", "must be tcp, http or https, not %q", s.Protocol)
	case !port(s.ListenPort):
		return invalid("listen_port", "must be a port, not %d", s.ListenPort)
	case !port(s.DestinationPort):
		return invalid("destination_port", "must be a port, not %d", s.DestinationPort)
	case c.Protocol != protocolTCP && c.Protocol != protocolHTTP:
		return invalid("health_check.protocol", "must be tcp or http, not %q", c.Protocol)
	case !port(c.Port):
		return invalid("health_check.port", "must be a port, not %d", c.Port)
	case c.Interval < 1 || c.Timeout < 1 || c.Retries < 1:
		return invalid("health_check.interval", "interval, timeout and retries must be positive")
	case s.HTTP == nil:
		return nil
	case s.HTTP.TimeoutIdle < 30 || s.HTTP.TimeoutIdle > 300:
		return invalid("http.timeout_idle", "must be 30 to 300 seconds, not %d", s.HTTP.TimeoutIdle)
	case s.Protocol == protocolHTTPS && len(s.HTTP.Certificates) == 0:
		return invalid("http.certificates", "https needs at least one certificate")
	case s.HTTP.RedirectHTTP && s.Protocol != protocolHTTPS:
		return invalid("http.redirect_http", "is for https only")
	}
	for _, id := range s.HTTP.Certificates {
		if _, ok := lookUp(q.obj.Certificates, ref{id: id}); !ok {
			return invalid("http.certificates", "certificate %d not found", id)
		}
	}
	return nil
}

// portUsed tells whether another service listens where s would.
func (l *LoadBalancer) portUsed(s, but *lbService) bool {
	listens := func(v *lbService, port int) bool {
		return v.ListenPort == port || port == portHTTP && v.HTTP != nil && v.HTTP.RedirectHTTP
	}
	return slices.ContainsFunc(l.Services, func(v *lbService) bool {
		return v != but && (listens(v, s.ListenPort) || s.HTTP != nil && s.HTTP.RedirectHTTP && listens(v, portHTTP))
	})
}

func (l *LoadBalancer) service(port *int) *lbService {
	for _, s := range l.Services {
		if port != nil && s.ListenPort == *port {
			return s
		}
	}
	return nil
}

func addService(q *request, v *LoadBalancer) (reply, error) {
	var body lbServiceRequest
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	s, err := v.newService(q, body)
	if err != nil {
		return reply{}, err
	}
	return v.begin(q, "add_service", func() { v.Services = append(slices.Clone(v.Services), s) })
}

// updateService changes only what the body names.
func updateService(q *request, v *LoadBalancer) (reply, error) {
	var body lbServiceRequest
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	old := v.service(body.ListenPort)
	if old == nil {
		return reply{}, notFound("the load balancer has no service on that listen port")
	}
	s := *old
	s.apply(body)
	if err := s.check(q); err != nil {
		return reply{}, err
	}
	if v.portUsed(&s, old) {
		return reply{}, fail(http.StatusUnprocessableEntity, "source_port_already_used", "port 80 is already used")
	}
	return v.begin(q, "update_service", func() {
		v.Services = slices.Clone(v.Services)
		v.Services[slices.Index(v.Services, old)] = &s
	})
}

func deleteService(q *request, v *LoadBalancer) (reply, error) {
	var body struct {
		ListenPort *int `json:"listen_port"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	old := v.service(body.ListenPort)
	if old == nil {
		return reply{}, notFound("the load balancer has no service on that listen port")
	}
	return v.begin(q, "delete_service", func() { v.Services = without(v.Services, old) })
}
