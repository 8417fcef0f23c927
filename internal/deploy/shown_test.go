package deploy

import (
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

func resource(action plans.Action, attributes ...plans.Attribute) plans.Resource {
	return plans.Resource{Kind: plans.KindServer, Name: "db", Action: action, Attributes: attributes}
}

func attribute(name, value string) plans.Attribute {
	return plans.Attribute{Name: name, New: value, Known: true}
}

// A deploy of a plan makes no change that the plan does not show, or shows as
// a lesser one.
func TestNotShown(t *testing.T) {
	bigger, elsewhere := attribute("server_type", "cx32"), attribute("location", "fsn1")
	off := bigger
	off.Powers = true
	later := plans.Attribute{Name: "ipv4"}
	for name, c := range map[string]struct {
		change        plans.Resource
		this, pending []plans.Resource
		want          string // "": shown
	}{
		"the same":                    {resource(plans.Update, bigger), []plans.Resource{resource(plans.Update, bigger)}, nil, ""},
		"only pending":                {resource(plans.Update, bigger), nil, []plans.Resource{resource(plans.Update, bigger)}, ""},
		"half here, half there":       {resource(plans.Create, bigger, elsewhere), []plans.Resource{resource(plans.Update, bigger)}, []plans.Resource{resource(plans.Create, elsewhere)}, ""},
		"addresses come later":        {resource(plans.Create, later), []plans.Resource{resource(plans.Create, later)}, nil, ""},
		"not at all":                  {resource(plans.Update, bigger), nil, nil, "would be changed"},
		"as a note":                   {resource(plans.Update, bigger), []plans.Resource{resource(plans.Update)}, nil, "would be changed"},
		"another attribute":           {resource(plans.Update, bigger, elsewhere), []plans.Resource{resource(plans.Update, bigger)}, nil, "would get location fsn1"},
		"another value":               {resource(plans.Update, attribute("server_type", "cx42")), []plans.Resource{resource(plans.Update, bigger)}, nil, "would get server_type cx42"},
		"powered off now":             {resource(plans.Update, off), []plans.Resource{resource(plans.Update, bigger)}, nil, "would get server_type"},
		"created, not changed":        {resource(plans.Create, bigger), []plans.Resource{resource(plans.Update, bigger)}, nil, "would be created"},
		"less: changed, not replaced": {resource(plans.Update, bigger), []plans.Resource{resource(plans.Replace, bigger)}, nil, ""},
		"ends are for provision":      {resource(plans.Destroy, attribute("ipv4", "")), nil, nil, ""},
		"a note is no change":         {resource(plans.Update), nil, nil, ""},
	} {
		p := plans.Plan{This: plans.Part{Resources: c.this}, Pending: plans.Part{Resources: c.pending}}
		refused := notShown([]plans.Resource{c.change}, p)
		if c.want == "" {
			if len(refused) != 0 {
				t.Errorf("%s: refused: %v", name, refused)
			}
			continue
		}
		if len(refused) != 1 || !strings.Contains(refused[0].Error(), c.want) || problem.CodeOf(refused[0]) != problem.Refused {
			t.Errorf("%s: got %v, want %q", name, refused, c.want)
		}
	}
}

func TestOtherSystems(t *testing.T) {
	a, b := path(t, "a"), path(t, "b")
	p := plans.Plan{
		This:    plans.Part{Hosts: []plans.Host{{Name: "web", New: a}, {Name: "late", New: a, AfterApply: true}}},
		Pending: plans.Part{Hosts: []plans.Host{{Name: "web", New: b}, {Name: "db", New: b}}},
	}
	for host, want := range map[string]int{"web": 0, "late": 0, "db": 1, "unchanged": 0} {
		if got := otherSystems([]plans.System{{Host: host, OutPath: a}}, p); len(got) != want {
			t.Errorf("%s: %v", host, got)
		}
	}
	if shownHost(p, "unchanged") || !shownHost(p, "db") {
		t.Error("shownHost is wrong")
	}
}

func path(t *testing.T, name string) storepath.Path {
	t.Helper()
	p, err := storepath.Parse("/nix/store/" + strings.Repeat(name, 32) + "-nixos-system")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlanFits(t *testing.T) {
	well := tree{Revision: plans.Revision{Commit: "1111"}, Fleet: fleet.Fleet{Name: "acme"}}
	good := plans.Plan{Version: plans.Version, Fleet: "acme", Head: well.Revision, Complete: true}
	if err := planFits(&good, well); err != nil {
		t.Error(err)
	}
	if err := planFits(nil, well); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*plans.Plan){
		"the plan has the form":       func(p *plans.Plan) { p.Version = "0" },
		"one of the fleet":            func(p *plans.Plan) { p.Fleet = "other" },
		"the plan shows commit 2222,": func(p *plans.Plan) { p.Head.Commit = "2222" },
		"not complete":                func(p *plans.Plan) { p.Complete = false },
	} {
		p := good
		change(&p)
		if err := planFits(&p, well); err == nil || !strings.Contains(err.Error(), want) || problem.CodeOf(err) != problem.Refused {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestNameClashes(t *testing.T) {
	f := fleet.Fleet{
		Servers: map[string]fleet.Server{"web": {}}, Volumes: map[string]fleet.Volume{"data": {}, "theirs": {Existing: true}},
		Networks: map[string]fleet.Network{"private": {}},
	}
	account := fleet.Account{Unmanaged: []fleet.Unmanaged{
		{Section: "servers", Name: "web"}, {Section: "volumes", Name: "data", Fleet: "other"},
		{Section: "volumes", Name: "theirs"}, {Section: "firewalls", Name: "private"}, {Section: "servers", Name: "builder"},
	}}
	err := nameClashes(f, account)
	text := problem.Text(err)
	for _, want := range []string{`a server "web"`, "flotilla adopt web", `a volume "data" that belongs to the fleet "other"`} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	if len(problem.All(err)) != 2 {
		t.Errorf("got %d problems:\n%s", len(problem.All(err)), text)
	}
	if got := gapsOf("account", err); len(got) != 2 {
		t.Errorf("gaps: %v", got)
	}
	account.Unmanaged = append(account.Unmanaged, fleet.Unmanaged{Section: "servers", Name: "a"}, fleet.Unmanaged{Section: "servers", Name: "b"}, fleet.Unmanaged{Section: "servers", Name: "c"})
	if got := unmanaged(f, account); !strings.Contains(got, "1 firewall (private), 4 servers (a, b, builder, …), 1 volume (theirs).") {
		t.Errorf("unmanaged: %q", got)
	}
	if got := adoptable(f, account); len(got) != 1 || got[0] != "web" {
		t.Errorf("adoptable: %v", got)
	}
}
