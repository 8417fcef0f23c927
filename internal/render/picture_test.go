package render

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

var (
	nodeLine  = regexp.MustCompile(`^ +[nmb]\d+(\(\["[^"]*"\]\)|\(?\[+"[^"]*"\]+\)?|\("[^"]*"\)|\{\{"[^"]*"\}\})(:::(created|changed|pending|lost))?$`)
	edgeLine  = regexp.MustCompile(`^ +[nmb]\d+ (---|-->|~~~) [nmbw]\d+$`)
	otherLine = regexp.MustCompile(`^flowchart LR$|^  subgraph w\d+\["[^"]*"\]$|^    direction TB$|^  end$|^  classDef [a-z]+ fill:#\w+,stroke:#\w+,color:#\w+$`)
	badLabel  = regexp.MustCompile("\"[^\"]*[`#;:<>&|\\\\*\\[\\]{}][^\"]*\"")
	ganttLine = regexp.MustCompile(`^gantt$|^  dateFormat x$|^  axisFormat %H:%M:%S$|^  todayMarker off$|^  section [^:#;]+$|^  [^:#;]+ :(crit, )?\d+, \d+$`)
)

// checkFlowchart reads a diagram line by line, and counts.
func checkFlowchart(t *testing.T, diagram string) {
	t.Helper()
	nodes, edges := 0, 0
	for line := range strings.SplitSeq(strings.TrimSpace(diagram), "\n") {
		switch {
		case nodeLine.MatchString(line):
			nodes++
		case edgeLine.MatchString(line):
			edges++
		case !otherLine.MatchString(line):
			t.Errorf("not a line of a flowchart: %q", line)
		}
		if badLabel.MatchString(line) {
			t.Errorf("a label that means something: %q", line)
		}
	}
	if nodes == 0 || nodes > mermaidNodes || edges > mermaidEdges || len(diagram) >= 50_000 {
		t.Errorf("%d nodes, %d edges, %d bytes", nodes, edges, len(diagram))
	}
}

// madeUp is a fleet of so many machines, networks and waves.
func madeUp(machines, networks, waves, changed int) plans.Plan {
	p := plans.Plan{Complete: true, Topology: &plans.Topology{}}
	for i := range networks {
		p.Topology.Networks = append(p.Topology.Networks, plans.TopologyNetwork{Name: fmt.Sprintf("net-%d", i), IPRange: "10.0.0.0/16"})
	}
	for i := range waves {
		p.Topology.Waves = append(p.Topology.Waves, fmt.Sprintf("@wave-%d", i))
	}
	for i := range machines {
		m := plans.TopologyMachine{Name: fmt.Sprintf("m-%03d", i), Server: i%5 != 0 || i%7 == 3, Host: i%7 != 3}
		if m.Host {
			m.Wave = 1 + i%(waves+1)
		}
		for n := range networks {
			if (i+n)%3 == 0 {
				m.Networks = append(m.Networks, fmt.Sprintf("net-%d", n))
			}
		}
		p.Topology.Machines = append(p.Topology.Machines, m)
		if i < changed {
			p.This.Hosts = append(p.This.Hosts, plans.Host{Name: m.Name, Action: plans.Update})
		}
	}
	p.Topology.Balancers = []plans.TopologyBalancer{{Name: "front", Networks: []string{"net-0", "nowhere"}, Targets: []string{"m-000", "m-001", "gone"}}}
	p.This.Resources = []plans.Resource{{Kind: plans.KindServer, Name: "left", Action: plans.Destroy}}
	return p
}

func TestPicture(t *testing.T) {
	for _, c := range []struct {
		machines, networks, waves, changed int
		has, note                          string
	}{
		{1, 1, 0, 1, `["hosts"]`, ""},
		{12, 2, 2, 3, `["wave 2 - @wave-1"]`, ""},
		{41, 2, 2, 3, "machines · m-", "What stays as it is"},
		{300, 3, 4, 2, "machines · m-", "What stays as it is"},
		{300, 3, 4, 250, "machines · m-", "Machines to which the same happens"},
		{300, 40, 4, 250, "", "too large"},
		{300, 150, 4, 250, "", "too large for a picture: 301 machines, 150 networks, 1 load balancer."},
		{0, 0, 0, 0, "leaves the fleet", ""},
	} {
		diagram, note := picture(madeUp(c.machines, c.networks, c.waves, c.changed))
		if !strings.Contains(note, c.note) || c.note == "" && note != "" || !strings.Contains(diagram, c.has) || (diagram == "") != (c.has == "") {
			t.Errorf("%+v: note %q, picture\n%s", c, note, diagram)
		}
		if diagram != "" {
			checkFlowchart(t, diagram)
		}
	}
	for _, text := range append(seeds(t), "1.", "- x", "end", `"]; click m0 "x`, "%%{init: {}}%%", strings.Repeat("𝔉", 100)) {
		p := madeUp(30, 2, 2, 10)
		poison(reflect.ValueOf(p.Topology).Elem(), text, false)
		diagram, _ := picture(p)
		checkFlowchart(t, diagram)
	}
	if diagram, note := picture(plans.Plan{}); diagram+note != "" {
		t.Errorf("a picture of nothing: %s%s", diagram, note)
	}
}

func TestMarks(t *testing.T) {
	p := plans.Plan{This: plans.Part{
		Resources: []plans.Resource{
			{Kind: plans.KindServer, Name: "a", Action: plans.Replace},
			{Kind: plans.KindServer, Name: "noted", Action: plans.Update, Note: "does nothing"},
			{Kind: plans.KindSubnet, Name: "private/10.0.0.0/24", Action: plans.Create},
		},
		Hosts: []plans.Host{{Name: "a", Action: plans.Update}, {Name: "b", Action: plans.Update}},
	}, Pending: plans.Part{Hosts: []plans.Host{{Name: "b", Action: plans.Update}, {Name: "c", Action: plans.Update}, {Name: "d", Action: plans.Destroy}}},
		Current: &plans.Current{Hosts: map[string]fleet.Published{"b": {Held: true}, "a": {Held: true}, "e": {Held: true}, "c": {}}}}
	all := marks(p)
	for name, want := range map[string]mark{"a": markReplace, "b": markHeld, "e": markHeld, "c": markPending, "d": markDestroy, "noted": markNone} {
		if got := all[plans.KindServer][name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := all[plans.KindNetwork]["private"]; got != markChange {
		t.Errorf("the network is %q", got)
	}
}

func TestGantt(t *testing.T) {
	at := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	result := func(hosts, steps int, name string) plans.Result {
		r := plans.Result{Started: at}
		for i := range hosts {
			h := plans.HostResult{Host: fmt.Sprintf("%s%d", name, i), Outcome: fleet.Deployed}
			for s := range steps {
				h.Steps = append(h.Steps, plans.StepTime{Step: name, Started: at.Add(time.Duration(s) * time.Minute), Duration: time.Minute})
			}
			r.Hosts = append(r.Hosts, h)
		}
		return r
	}
	for _, c := range []struct{ hosts, steps, tasks int }{{0, 0, 0}, {1, 1, 1}, {6, 10, 60}, {6, 11, 6}, {60, 8, 60}, {61, 1, 0}} {
		chart := gantt(result(c.hosts, c.steps, "x"))
		if n := strings.Count(chart, " :"); n != c.tasks {
			t.Errorf("%+v: %d tasks\n%s", c, n, chart)
		}
	}
	for _, text := range append(seeds(t), "a:b;c#d,e", "section x", "") {
		for line := range strings.SplitSeq(strings.TrimSpace(gantt(result(2, 2, text))), "\n") {
			if !ganttLine.MatchString(line) {
				t.Errorf("%q gives the line %q", text, line)
			}
		}
	}
	odd := plans.Result{Hosts: []plans.HostResult{{Host: "a", Steps: []plans.StepTime{{Step: "push"}, {Step: "look", Started: at, Duration: -1}}}}}
	if chart := gantt(odd); chart != "" {
		t.Errorf("times that make no sense are drawn: %s", chart)
	}
	r := plans.Result{Hosts: []plans.HostResult{{Host: "a", Steps: []plans.StepTime{{Step: "look", Started: at, Duration: 1}, {Step: "push", Started: at, Duration: time.Minute}}}}}
	if chart := gantt(r); strings.Contains(chart, "look") || !strings.Contains(chart, "push") {
		t.Errorf("short steps are drawn: %s", chart)
	}
}
