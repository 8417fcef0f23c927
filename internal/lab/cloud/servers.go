package cloud

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

const (
	statusInitializing = "initializing"
	statusRunning      = "running"
	statusOff          = "off"
	statusStarting     = "starting"
	statusStopping     = "stopping"
	statusRebuilding   = "rebuilding"
	statusDeleting     = "deleting"

	maxUserData = 32 << 10
	// firstAddress is the number of the first public address that servers get.
	firstAddress = 10
)

// Server is a server as the lab keeps it; wire makes the API's form of it.
type Server struct {
	Meta
	Status         string       `json:"status"`
	ServerType     string       `json:"server_type"`
	Image          string       `json:"image"` // os label of the image
	ImageID        int64        `json:"image_id"`
	Location       string       `json:"location"`
	IPv4           netip.Addr   `json:"ipv4"`
	IPv4ID         int64        `json:"ipv4_id"` // 0: not public
	IPv6           netip.Prefix `json:"ipv6"`
	IPv6ID         int64        `json:"ipv6_id"` // 0: none
	Private        []Attachment `json:"private"`
	UserData       string       `json:"user_data"`
	SSHKeys        []string     `json:"ssh_keys"`
	PlacementGroup int64        `json:"placement_group"`
	Protected      bool         `json:"protected"`
	Disk           int          `json:"disk"` // GB; stays when the type changes without it
	Backups        bool         `json:"backups"`
	Rescue         bool         `json:"rescue"` // the next boot would be into the rescue system
}

// Attachment is a server's place in a network.
type Attachment struct {
	Network    int64        `json:"network"`
	IP         netip.Addr   `json:"ip"`
	AliasIPs   []netip.Addr `json:"alias_ips"`
	MACAddress string       `json:"mac_address"`
}

func (s *Server) subject() Subject { return Subject{ID: s.ID, Type: "server"} }

func (s *Server) attachment(network int64) *Attachment {
	for i := range s.Private {
		if s.Private[i].Network == network {
			return &s.Private[i]
		}
	}
	return nil
}

func (s *Server) detach(network int64) {
	s.Private = slices.DeleteFunc(slices.Clone(s.Private), func(a Attachment) bool { return a.Network == network })
}

func (s *Server) attach(network int64, ip netip.Addr) {
	mac := fmt.Sprintf("86:00:00:%02x:%02x:%02x", s.ID>>8&0xff, s.ID&0xff, network&0xff)
	s.Private = append(slices.Clone(s.Private), Attachment{Network: network, IP: ip, AliasIPs: []netip.Addr{}, MACAddress: mac})
}

// private gives the addresses in private networks with the networks' masks.
func (s *Server) private(o *objects) []netip.Prefix {
	addresses := []netip.Prefix{}
	for _, at := range s.Private {
		if n := o.network(at.Network); n != nil {
			addresses = append(addresses, netip.PrefixFrom(at.IP, n.IPRange.Bits()))
		}
	}
	return addresses
}

func (s *Server) machine(o *objects) Machine {
	return Machine{ID: s.ID, Name: s.Name, OS: s.Image, IPv4: s.IPv4, UserData: s.UserData, SSHKeys: s.SSHKeys, Private: s.private(o)}
}

func serverKind() kind[*Server] {
	k := kind[*Server]{
		one: "server", many: "servers",
		all:   func(o *objects) []*Server { return o.Servers },
		show:  func(o *objects, v *Server) any { return v.wire(o) },
		match: map[string]func(*Server, string) bool{"status": func(v *Server, want string) bool { return v.Status == want }},
		busy:  func(q *request, v *Server) error { return q.unlocked(v.subject()) },
		update: func(q *request, _ *Server) error {
			var body struct {
				Name *string `json:"name"`
			}
			if err := q.decode(&body); err != nil || body.Name == nil {
				return err
			}
			return checkHostname(*body.Name)
		},
		remove:  removeServer,
		actions: serverActions(),
	}
	k.create = func(q *request) (reply, error) { return createServer(q, k) }
	return k
}

type serverRequest struct {
	Name             string            `json:"name"`
	ServerType       ref               `json:"server_type"`
	Image            ref               `json:"image"`
	Location         ref               `json:"location"`
	SSHKeys          []ref             `json:"ssh_keys"`
	UserData         string            `json:"user_data"`
	StartAfterCreate *bool             `json:"start_after_create"`
	Labels           map[string]string `json:"labels"`
	Networks         []ref             `json:"networks"`
	Volumes          []ref             `json:"volumes"`
	Automount        bool              `json:"automount"` // the lab's machines mount nothing
	Firewalls        []struct {
		Firewall ref `json:"firewall"`
	} `json:"firewalls"`
	PlacementGroup ref               `json:"placement_group"`
	PublicNet      *publicNetRequest `json:"public_net"`
}

// createServer answers with the actions create_server, attach_volume for each
// volume and, unless told not to, start_server.
func createServer(q *request, k kind[*Server]) (reply, error) {
	var body serverRequest
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	s, err := body.server(q)
	if err != nil {
		return reply{}, err
	}
	if s.Meta, err = k.fresh(q, body.Name, body.Labels); err != nil {
		return reply{}, err
	}
	extras, err := body.parts(q, s)
	if err != nil {
		return reply{}, err
	}
	if err := body.place(q, s); err != nil {
		return reply{}, err
	}
	q.obj.Servers = append(q.obj.Servers, s)
	extras.join(s)
	start := body.StartAfterCreate == nil || *body.StartAfterCreate
	m, machines := s.machine(q.obj), q.api.opt.Machines
	settled := func(status string) func(*objects, error) {
		return func(_ *objects, err error) {
			if s.Status = status; err != nil {
				s.Status = statusOff
			}
		}
	}
	jobs := []job{{
		command: "create_server", about: []Subject{s.subject()}, locks: []Subject{s.subject()},
		work: func(ctx context.Context) error { return machines.Create(ctx, m) },
		done: settled(statusOff),
	}}
	for _, v := range extras.volumes {
		jobs = append(jobs, v.attachJob(s))
	}
	if start {
		jobs[0].done = settled(statusStarting)
		jobs = append(jobs, job{
			command: "start_server", about: []Subject{s.subject()}, locks: []Subject{s.subject()},
			work: func(ctx context.Context) error { return machines.Start(ctx, m.ID) },
			done: settled(statusRunning),
		})
	}
	actions := q.begin(jobs...)
	return reply{http.StatusCreated, map[string]any{
		"server": s.wire(q.obj), "action": actions[0], "next_actions": actions[1:], "root_password": rootPassword(s),
	}}, nil
}

// server checks everything but name, labels and addresses.
func (r *serverRequest) server(q *request) (*Server, error) {
	if err := checkHostname(r.Name); err != nil {
		return nil, err
	}
	s := &Server{Status: statusInitializing, UserData: r.UserData}
	typ, ok := lookUp(serverTypes(), r.ServerType)
	if !ok {
		return nil, invalid("server_type", "server type not found")
	}
	img, err := q.obj.findImage(r.Image, typ.Architecture, typ.Disk)
	if err != nil {
		return nil, err
	}
	loc, err := r.location(q, typ)
	if err != nil {
		return nil, err
	}
	s.ServerType, s.Image, s.ImageID, s.Location, s.Disk = typ.Name, q.obj.base(img), img.ID, loc, typ.Disk
	if len(r.UserData) > maxUserData {
		return nil, invalid("user_data", "must have at most %d bytes, not %d", maxUserData, len(r.UserData))
	}
	for _, wanted := range r.SSHKeys {
		key, ok := lookUp(q.obj.SSHKeys, wanted)
		if !ok {
			return nil, invalid("ssh_keys", "SSH key not found")
		}
		s.SSHKeys = append(s.SSHKeys, strings.TrimSpace(key.PublicKey))
	}
	return s, nil
}

// place gives a new server its addresses.
func (r *serverRequest) place(q *request, s *Server) error {
	public4, public6 := r.publicVersions()
	if !public4 && !public6 && len(r.Networks) == 0 && (r.StartAfterCreate == nil || *r.StartAfterCreate) {
		return invalid("public_net", "a server without a public address and without a network cannot start")
	}
	loc, _ := lookUp(locations(), ref{name: s.Location})
	for _, wanted := range r.Networks {
		n, ok := lookUp(q.obj.Networks, wanted)
		if !ok {
			return invalid("networks", "network not found")
		}
		if s.attachment(n.ID) != nil {
			return invalid("networks", "network %s is named twice", n.Name)
		}
		if err := n.admits(q.obj, s); err != nil {
			return err
		}
		ip, err := n.address(q.obj, loc.NetworkZone, "", "")
		if err != nil {
			return err
		}
		s.attach(n.ID, ip)
	}
	return r.publish(q, s, public4, public6)
}

// removeServer frees name, addresses and volumes only when the action ends.
func removeServer(q *request, s *Server) (reply, error) {
	if s.Protected {
		return reply{}, protected("the server is protected from deletion")
	}
	before := s.Status
	s.Status = statusDeleting
	id, machines := s.ID, q.api.opt.Machines
	return actionReply(http.StatusOK, q.begin(job{
		command: "delete_server", about: []Subject{s.subject()}, locks: []Subject{s.subject()}, cuts: true,
		work: func(ctx context.Context) error { return machines.Remove(ctx, id) },
		done: func(o *objects, err error) {
			if s.Status = before; err == nil {
				o.Servers = without(o.Servers, s)
				o.release(s)
				o.leave(s.subject())
				o.untarget(s.ID)
			}
		},
	})), nil
}

func checkHostname(name string) error {
	label := `[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?`
	if len(name) > 253 || !regexp.MustCompile(`^`+label+`(?:\.`+label+`)*$`).MatchString(name) {
		return invalid("name", "%q is not a valid hostname", name)
	}
	return nil
}

// rootPassword is a random one for a server without SSH keys, as the API gives
// it; the lab's machines do not take it.
func rootPassword(s *Server) *string {
	if len(s.SSHKeys) > 0 {
		return nil
	}
	text := rand.Text()[:20]
	return &text
}
