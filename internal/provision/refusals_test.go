package provision_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// What cannot be done is said before anything is touched, with a way out; and
// Expand, asked all the same, makes nothing.
func TestRefusals(t *testing.T) {
	stranger := func(kind plans.ResourceKind, name string, change func(*thing)) func(*fake) {
		return func(w *fake) {
			w.next++
			x := &thing{ID: w.next, Kind: kind, Name: name, Nets: map[int64]fleet.Attachment{}, Range: "10.3.0.0/16", Status: "running", Labels: map[string]string{}}
			change(x)
			w.all[w.next] = x
		}
	}
	none := func(*thing) {}
	for _, c := range []struct {
		name  string
		world func(*fake)
		edit  func(*fleet.Fleet)
		o     provision.Options
		want  []string

		soldOut string // a server type
	}{
		{name: "name of nobody's", world: stranger(plans.KindServer, "new", none), edit: func(f *fleet.Fleet) { f.Servers["new"] = f.Servers["web-1"] }, want: []string{
			`the name "new" is taken`, "It belongs to no fleet", "flotilla adopt new", "another name",
		}},
		{
			name: "name of another fleet's", world: stranger(plans.KindVolume, "new", func(x *thing) { x.Fleet = "other" }),
			edit: func(f *fleet.Fleet) { f.Volumes["new"] = fleet.Volume{Size: 10, Location: "nbg1"} }, want: []string{`belongs to the fleet "other"`, "existing: true"},
		},
		{name: "moved to a taken name", world: stranger(plans.KindServer, "www", none), edit: func(f *fleet.Fleet) {
			f.Servers["www"] = f.Servers["db"]
			delete(f.Servers, "db")
			f.Volumes = nil
			f.Moved = []fleet.Move{{Section: "servers", From: "db", To: "www"}}
		}, want: []string{`the name "www" is taken`}},
		{name: "moved onto another", edit: func(f *fleet.Fleet) {
			delete(f.Servers, "db")
			f.Volumes = nil
			f.Moved = []fleet.Move{{Section: "servers", From: "db", To: "gate"}}
		}, want: []string{`server "db" cannot be renamed to "gate"`}},
		{name: "names exchanged", edit: func(f *fleet.Fleet) {
			f.Moved = []fleet.Move{{Section: "servers", From: "web-1", To: "web-2"}, {Section: "servers", From: "web-2", To: "web-1"}}
		}, want: []string{`wait for one another: server "web-1", server "web-2"`, "two deploys"}},
		{name: "addresses exchanged", edit: func(f *fleet.Fleet) {
			f.PrimaryIPs["db"] = fleet.PrimaryIP{Type: "ipv4", Location: "nbg1"}
			server("db", func(s *fleet.Server) { s.PublicNet.IPv4 = "gate" })(f)
			server("gate", func(s *fleet.Server) { s.PublicNet.IPv4 = "db" })(f)
		}, world: func(w *fake) {
			f := base()
			f.PrimaryIPs["db"] = fleet.PrimaryIP{Type: "ipv4", Location: "nbg1"}
			server("db", func(s *fleet.Server) { s.PublicNet.IPv4 = "db" })(&f)
			if _, err := apply(context.Background(), w, f, provision.Options{}); err != nil {
				panic(err)
			}
		}, want: []string{"wait for one another", `server "db"`, `server "gate"`}},
		{name: "volume shrinks", edit: volume("pgdata", func(v *fleet.Volume) { v.Size = 10 }), want: []string{"a volume can only grow: it has 20 GB, flotilla.yaml says 10 GB"}},
		{name: "volume elsewhere", edit: func(f *fleet.Fleet) {
			f.Volumes["far"] = fleet.Volume{Size: 10, Location: "fsn1", Server: "gate"}
		}, want: []string{`volume "far" cannot be created: the volume is in fsn1 and the server gate in nbg1`}},
		{name: "server between two places", edit: func(f *fleet.Fleet) {
			f.Servers["new"] = f.Servers["web-1"]
			server("new", func(s *fleet.Server) { s.Networks = nil })(f)
			f.Volumes["a"] = fleet.Volume{Size: 10, Location: "fsn1", Server: "new"}
			f.Volumes["b"] = fleet.Volume{Size: 10, Location: "nbg1", Server: "new"}
		}, want: []string{`server "new" cannot be created: volume b is in nbg1, but volume a is in fsn1`}},
		{name: "volume of a stranger's server", world: func(w *fake) {
			stranger(plans.KindServer, "theirs", none)(w)
			w.named(plans.KindVolume, "spare").On = w.next
		}, edit: volume("spare", func(v *fleet.Volume) { v.Server = "db" }), want: []string{"which is not the fleet's"}},
		{name: "private address of a server that goes later", edit: func(f *fleet.Fleet) {
			f.Servers["new"] = f.Servers["web-1"]
			delete(f.Servers, "web-1")
			f.LoadBalancers = nil
		}, want: []string{"server web-1 has the address 10.0.1.5", "two deploys"}},
		{name: "primary IP of a server that goes later", edit: func(f *fleet.Fleet) {
			server("db", func(s *fleet.Server) { s.PublicNet.IPv4 = "gate" })(f)
			delete(f.Servers, "gate")
			network("private", func(n *fleet.Network) { n.Routes = nil })(f)
		}, want: []string{"the server gate has the primary IP gate"}},
		{name: "subnet in use", edit: network("private", func(n *fleet.Network) { n.Subnets = n.Subnets[:1] }), want: []string{
			`subnet "private/10.0.2.0/24" cannot be destroyed: web-2 is still in it`,
		}},
		{
			name: "subnet over a stranger's", world: func(w *fake) {
				n := w.named(plans.KindNetwork, "backup")
				n.Subnets, n.Foreign = append(n.Subnets, fleet.Subnet{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.8.9.0/24"}), []string{"10.8.9.0/24"}
			},
			edit: network("backup", func(n *fleet.Network) { n.Subnets = subnets("10.8.1.0/24", "10.8.8.0/23") }),
			want: []string{"the network has the subnet 10.8.9.0/24, which is not the fleet's"},
		},
		{name: "network with a stranger in it", world: func(w *fake) {
			stranger(plans.KindServer, "theirs", func(x *thing) { x.Nets[w.named(plans.KindNetwork, "backup").ID] = fleet.Attachment{IP: "10.8.1.77"} })(w)
		}, edit: network("backup", func(n *fleet.Network) { n.IPRange, n.Subnets = "10.7.0.0/16", subnets("10.7.1.0/24") }), want: []string{"theirs are in it, which are not the fleet's"}},
		{name: "firewall on a stranger", world: func(w *fake) {
			stranger(plans.KindServer, "theirs", func(x *thing) { x.Firewalls = []int64{w.named(plans.KindFirewall, "web").ID} })(w)
		}, edit: func(f *fleet.Fleet) { delete(f.Firewalls, "web") }, want: []string{"it is applied to theirs, which is not the fleet's"}},
		{name: "service of a stranger", world: func(w *fake) {
			lb := w.named(plans.KindLoadBalancer, "front")
			lb.Services, lb.Foreign = append(lb.Services, fleet.LoadBalancerService{ListenPort: 80}), []string{"80"}
		}, edit: balancer(func(l *fleet.LoadBalancer) {
			l.Services = append(l.Services, fleet.LoadBalancerService{ListenPort: 80})
		}), want: []string{
			"it has a service on port 80 that is not the fleet's",
		}},
		{
			name: "replaced where there is no room", edit: server("web-1", func(s *fleet.Server) { s.ServerType = "cax11" }), soldOut: "cax11",
			want: []string{`server "web-1" cannot be replaced: there is no room`},
		},
		{name: "no address at all", edit: func(f *fleet.Fleet) { f.Servers["new"] = fleet.Server{ServerType: "cx22", Image: "debian-13"} }, want: []string{
			"neither a public address nor a network",
		}},
		{name: "user_data too long", edit: func(f *fleet.Fleet) {
			f.Servers["new"] = fleet.Server{ServerType: "cx22", Image: "x", PublicNet: fleet.PublicNet{EnableIPv4: true}, UserData: strings.Repeat("x", 32*1024)}
		}, want: []string{"32768 bytes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := applied(t, base())
			if c.world != nil {
				c.world(w)
			}
			head := base()
			c.edit(&head)
			c.o.Catalog, c.o.AllowDestroy = catalog(), everything(base(), head)
			if c.soldOut != "" {
				c.o.Catalog.ServerTypes[c.soldOut] = fleet.CatalogType{Architecture: "arm", Disk: 40, At: map[string]fleet.CatalogAt{"nbg1": {}}}
			}
			actual := account(t, w, head)
			refusal(t, provision.Check(head, actual, c.o), c.want...)
			calls := len(w.log)
			_, _, err := provision.Expand(context.Background(), w, head, actual, c.o, progress.Discard)
			if late := strings.HasPrefix(c.name, "subnet in use") || strings.HasPrefix(c.name, "firewall on"); err == nil != late || !late && len(w.log) != calls {
				t.Errorf("Expand: %v, after %v", err, w.log[calls:])
			}
			if _, err = provision.Contract(context.Background(), w, head, actual, c.o, progress.Discard); err == nil && strings.HasPrefix(c.name, "subnet in use") {
				t.Error("Contract does it")
			}
			for _, v := range w.violations {
				t.Error(v)
			}
		})
	}
}

// Each kind that holds data or addresses needs leave by its name, says what
// would be lost, and stays when it is protected.
func TestLeaveByKind(t *testing.T) {
	for _, c := range []struct {
		section, name string
		gone          func(*fleet.Fleet)
		lost          []string
	}{
		{"servers", "db", func(f *fleet.Fleet) { delete(f.Servers, "db"); f.Volumes = map[string]fleet.Volume{} }, []string{
			"all data on the disk, 40 GB", "IPv4 88.", "IPv6 2a01:", "private address 10.0.1.4 in private", "all backups",
		}},
		{"volumes", "spare", func(f *fleet.Fleet) { delete(f.Volumes, "spare") }, []string{"all data of the volume, 10 GB"}},
		{"networks", "backup", func(f *fleet.Fleet) {
			delete(f.Networks, "backup")
			for name := range f.Servers {
				server(name, func(s *fleet.Server) { delete(s.Networks, "backup") })(f)
			}
		}, []string{"private address 10.8.1.", "of db"}},
		{"primary_ips", "gate", func(f *fleet.Fleet) {
			delete(f.PrimaryIPs, "gate")
			server("gate", func(s *fleet.Server) { s.PublicNet.IPv4 = "" })(f)
		}, []string{"IPv4 88."}},
		{"load_balancers", "front", func(f *fleet.Fleet) { f.LoadBalancers = nil }, []string{"IPv4 88.1.1.1"}},
	} {
		t.Run(c.section, func(t *testing.T) {
			start := base()
			primaryIP("gate", func(p *fleet.PrimaryIP) { p.DeleteProtection = false })(&start)
			volume("pgdata", func(v *fleet.Volume) { v.DeleteProtection = false })(&start)
			head := base()
			c.gone(&head)
			w := applied(t, start)
			allow := []string{}
			for _, r := range provision.Diff(head, account(t, w, head), provision.Options{}) { // leave for all but this one
				if r.Action == plans.Destroy && r.Name != c.name {
					allow = append(allow, "volumes/"+r.Name)
				}
			}
			refusal(t, provision.Check(head, account(t, w, head), provision.Options{AllowDestroy: allow}),
				append(c.lost, `"`+c.name+`" would be destroyed, which nobody has allowed`, "--allow-destroy "+c.name)...)
			w.named(kindOf(c.section), c.name).Protected = true
			o := provision.Options{AllowDestroy: append(allow, c.name)}
			refusal(t, provision.Check(head, account(t, w, head), o), "delete_protection is on", "delete_protection: false")
			if _, err := apply(context.Background(), w, head, o); err == nil || w.named(kindOf(c.section), c.name) == nil {
				t.Errorf("what is protected: %v", err)
			}
			w.named(kindOf(c.section), c.name).Protected = false
			if _, err := apply(context.Background(), w, head, o); err != nil {
				t.Error(problem.Text(err))
			}
			settled(t, w, head)
			w.sound(t)
		})
	}
}

func kindOf(section string) plans.ResourceKind {
	return map[string]plans.ResourceKind{
		"servers": plans.KindServer, "volumes": plans.KindVolume, "networks": plans.KindNetwork, "primary_ips": plans.KindPrimaryIP, "load_balancers": plans.KindLoadBalancer,
	}[section]
}

// A name that two things have is leave for neither.
func TestLeaveByNameOfTwo(t *testing.T) {
	f := base()
	f.Volumes["web-1"] = fleet.Volume{Size: 10, Server: "web-1"}
	w := applied(t, f)
	head := base()
	delete(head.Servers, "web-1")
	head.LoadBalancers = map[string]fleet.LoadBalancer{}
	o := provision.Options{AllowDestroy: []string{"web-1", "front"}}
	refusal(t, provision.Check(head, account(t, w, head), o), "--allow-destroy servers/web-1", "--allow-destroy volumes/web-1")
	o.AllowDestroy = []string{"servers/web-1", "volumes/web-1", "front"}
	if _, err := apply(context.Background(), w, head, o); err != nil {
		t.Error(problem.Text(err))
	}
	settled(t, w, head)
}

// What a refused destruction holds is left in place and said; the rest is done.
func TestLeftBehind(t *testing.T) {
	w := applied(t, base())
	head := base()
	head.Servers = maps.Clone(head.Servers)
	delete(head.Servers, "hidden")
	for name := range head.Servers {
		server(name, func(s *fleet.Server) { delete(s.Networks, "backup") })(&head)
	}
	delete(head.Networks, "backup")
	delete(head.Firewalls, "web")
	o := provision.Options{AllowDestroy: []string{"backup"}}
	results, err := apply(context.Background(), w, head, o)
	refusal(t, err, `server "hidden" would be destroyed, which nobody has allowed`, `network "backup" is left in place: server "hidden" still has to do with it`)
	if w.named(plans.KindNetwork, "backup") == nil || w.named(plans.KindServer, "hidden") == nil || w.named(plans.KindFirewall, "web") != nil {
		t.Error("the wrong things are left")
	}
	for _, r := range results {
		if r.Done == (r.Error != "") {
			t.Errorf("neither done nor explained: %+v", r)
		}
	}
	w.sound(t)
}

// A server whose change fails while it is off is switched on again.
func TestFailureWhileOff(t *testing.T) {
	w := applied(t, base())
	head := base()
	server("db", func(s *fleet.Server) { s.ServerType = "cx11" })(&head) // refused by the fake; without a catalog nobody knows before
	_, _, err := provision.Expand(context.Background(), w, head, account(t, w, head), provision.Options{}, progress.Discard)
	if err == nil || !strings.Contains(err.Error(), "invalid_server_type") {
		t.Errorf("got %v", err)
	}
	if s := w.serverNamed("db"); s.Status != "running" || s.SwitchedOff {
		t.Errorf("the server is %s", s.Status)
	}
	w.sound(t)
}

// A replacement whose new server could not be ordered leaves the old one alone.
func TestOrderIsCheckedBeforeTheOldServerGoes(t *testing.T) {
	w := applied(t, base())
	head := base()
	server("web-1", func(s *fleet.Server) { s.Image = "missing" })(&head)
	o := provision.Options{Replace: []string{"web-1"}, AllowDestroy: []string{"web-1"}}
	_, _, err := provision.Expand(context.Background(), w, head, account(t, w, head), o, progress.Discard)
	if err == nil || !strings.Contains(err.Error(), "no image missing") || w.serverNamed("web-1") == nil {
		t.Errorf("got %v, and the server is %+v", err, w.serverNamed("web-1"))
	}
	for _, line := range provision.Diff(base(), account(t, w, base()), provision.Options{}) {
		t.Errorf("the run that failed has changed %s %s: %+v", line.Kind, line.Name, line.Attributes)
	}
	w.sound(t)
}

// A new server that cannot be ordered keeps everything beside it from being
// made too.
func TestOrdersAreCheckedBeforeAnythingIsMade(t *testing.T) {
	w := newFake()
	head := base()
	server("web-1", func(s *fleet.Server) { s.Image = "missing" })(&head)
	_, results, err := provision.Expand(context.Background(), w, head, account(t, w, head), provision.Options{}, progress.Discard)
	if err == nil || !strings.Contains(err.Error(), "no image missing") {
		t.Errorf("got %v", err)
	}
	for _, r := range results {
		if r.Done {
			t.Errorf("%s %s was made all the same", r.Kind, r.Name)
		}
	}
	if got := account(t, w, head); len(got.Servers)+len(got.Networks)+len(got.Volumes) > 0 {
		t.Errorf("there is something now: %+v", got)
	}
	w.sound(t)
}

// A change of which only a part is made counts as neither done nor untouched.
func TestDoneInPart(t *testing.T) {
	w := applied(t, base())
	head := base()
	server("db", func(s *fleet.Server) { s.Labels, s.ServerType = map[string]string{"new": "label"}, "cx11" })(&head) // the fake refuses the type
	_, results, err := provision.Expand(context.Background(), w, head, account(t, w, head), provision.Options{}, progress.Discard)
	if text := problem.Text(err); !strings.Contains(text, "Done in part: server db.") {
		t.Errorf("got\n%s", text)
	}
	if len(results) != 1 || results[0].Done || results[0].Error == "" {
		t.Errorf("results: %+v", results)
	}
}

// A power-off whose answer was lost leaves no server off.
func TestLostAnswerOfPowerOff(t *testing.T) {
	w := applied(t, base())
	head := base()
	server("db", func(s *fleet.Server) { s.ServerType = "cx32" })(&head)
	actual := account(t, w, head)
	w.failAt, w.after = w.calls+1, true
	if _, _, err := provision.Expand(context.Background(), w, head, actual, provision.Options{}, progress.Discard); !errors.Is(err, errCut) {
		t.Errorf("got %v", err)
	}
	if last := w.log[len(w.log)-2:]; !slices.Equal(last, []string{"power off", "power on"}) || w.serverNamed("db").Status != "running" {
		t.Errorf("the server is %s after %q", w.serverNamed("db").Status, last)
	}
	w.sound(t)
}

// A cancelled run ends the power cycle that it has begun, and begins nothing.
func TestCancelWhileOff(t *testing.T) {
	w := applied(t, base())
	head := base()
	for _, name := range []string{"db", "gate", "hidden"} {
		server(name, func(s *fleet.Server) { s.ServerType = "cx32" })(&head)
	}
	actual := account(t, w, head)
	ctx, cancel := context.WithCancel(context.Background())
	stop := progress.Func(func(e progress.Event) {
		if e.Kind == progress.Begin {
			cancel()
		}
	})
	_, results, err := provision.Expand(ctx, w, head, actual, provision.Options{}, stop)
	if !errors.Is(err, context.Canceled) || problem.CodeOf(err) != problem.Cancelled {
		t.Errorf("got %v", err)
	}
	done := slices.DeleteFunc(results, func(r plans.ResourceResult) bool { return !r.Done })
	if len(done) != 1 || w.serverNamed(done[0].Name).Type != "cx32" {
		t.Errorf("done: %+v", done)
	}
	w.sound(t)
}

// A snapshot is made, and the server goes gently, where that was asked for,
// also when flotilla.yaml has the server no more.
func TestLastWishes(t *testing.T) {
	f := base()
	server("web-1", func(s *fleet.Server) { s.SnapshotBeforeDestroy, s.ShutdownBeforeDeletion = true, true })(&f)
	f.LoadBalancers = map[string]fleet.LoadBalancer{}
	w := applied(t, f)
	delete(f.Servers, "web-1")
	n := len(w.log)
	if _, err := apply(context.Background(), w, f, provision.Options{AllowDestroy: []string{"web-1"}}); err != nil {
		t.Fatal(problem.Text(err))
	}
	if got := strings.Join(w.log[n:], ", "); !strings.Contains(got, "power off, snapshot, delete server") {
		t.Errorf("calls: %s", got)
	}
	w.sound(t)
}

// What Contract does for a rebuilt server is no rebuild.
func TestContractOfWhatWasRebuilt(t *testing.T) {
	w := applied(t, base())
	head := base()
	server("db", func(s *fleet.Server) { s.Image, s.Backups = "debian-13", false })(&head)
	o := provision.Options{Rebuild: []string{"db"}, AllowDestroy: []string{"db"}}
	results, err := apply(context.Background(), w, head, o)
	if err != nil {
		t.Fatal(problem.Text(err))
	}
	if len(results) != 2 || results[0].Action != plans.Rebuild || results[1].Action != plans.Update || w.serverNamed("db").Built != 2 {
		t.Errorf("built %d times: %+v", w.serverNamed("db").Built, results)
	}
	settled(t, w, head)
}
