package render

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// machine is one or several machines drawn as one box.
type machine struct {
	plans.TopologyMachine
	mark  mark
	names []string // all that the box stands for
}

// pictureEach is how many machines are drawn each by itself, while there are no more.
const pictureEach = 40

// gone is the wave of machines that are no longer declared.
const gone = -1

// picture draws the fleet as a Mermaid flowchart: networks, load balancers,
// servers and hosts by wave, each with what happens to it. Of a large fleet
// boxes stand for several machines; note says so, or why there is no picture.
// Both are "" when there is nothing to draw.
func picture(p plans.Plan) (diagram, note string) {
	if p.Topology == nil || len(p.Topology.Machines)+len(p.Topology.Networks)+len(p.Topology.Balancers) == 0 {
		return "", ""
	}
	marks := marks(p)
	all := machines(*p.Topology, marks[plans.KindServer])
	for level, note := range []string{"", "What stays as it is is drawn as one box per wave and network.",
		"Machines to which the same happens are drawn as one box per wave and network.", "Machines to which the same happens are drawn as one box per wave."} {
		d := drawing{topology: *p.Topology, marks: marks, machines: together(all, level)}
		if level < 2 && len(d.machines) > pictureEach {
			continue
		}
		d.draw()
		if d.nodes <= mermaidNodes && d.edges <= mermaidEdges && d.b.Len() <= mermaidBytes {
			return d.b.String(), note
		}
	}
	return "", fmt.Sprintf("The fleet is too large for a picture: %s, %s, %s.", plural(len(all), "machine"),
		plural(len(p.Topology.Networks), "network"), plural(len(p.Topology.Balancers), "load balancer"))
}

// machines are those that are declared and those that leave.
func machines(t plans.Topology, marks map[string]mark) []machine {
	var all []machine
	declared := map[string]bool{}
	for _, m := range t.Machines {
		all = append(all, machine{TopologyMachine: m, mark: marks[m.Name], names: []string{m.Name}})
		declared[m.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		if m := marks[name]; m == markDestroy && !declared[name] {
			all = append(all, machine{TopologyMachine: plans.TopologyMachine{Name: name, Server: true, Wave: gone}, mark: m, names: []string{name}})
		}
	}
	return all
}

// together puts machines of the same key into one box, more of them the higher
// the level.
func together(all []machine, level int) []machine {
	if level == 0 {
		return all
	}
	var out []machine
	at := map[string]int{}
	for _, m := range all {
		key := fmt.Sprintf("%d %s", m.Wave, m.mark)
		if level < 3 {
			key += fmt.Sprintf(" %q", m.Networks)
		}
		if level == 1 && m.mark != markNone {
			key += " " + m.Name
		}
		i, known := at[key]
		if !known {
			at[key] = len(out)
			out = append(out, m)
			continue
		}
		have := &out[i]
		have.names = append(have.names, m.Name)
		have.Networks = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(have.Networks), m.Networks...))))
		have.Host, have.Server = have.Host || m.Host, have.Server || m.Server
	}
	return out
}

// drawing is a flowchart in the making.
type drawing struct {
	topology     plans.Topology
	marks        marked
	machines     []machine
	b            strings.Builder
	nodes, edges int
	drawn        map[string]bool // edges, so that boxes of several machines have each once
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.b, format, args...) }

func (d *drawing) draw() {
	d.printf("flowchart LR\n")
	networks := map[string]string{} // id by name
	for i, n := range d.topology.Networks {
		networks[n.Name] = fmt.Sprintf("n%d", i)
		d.node("  ", networks[n.Name], `(["%s"])`, d.marks[plans.KindNetwork][n.Name], "network "+n.Name, n.IPRange)
	}
	box := map[string]string{} // id by machine
	for i, m := range d.machines {
		for _, name := range m.names {
			box[name] = fmt.Sprintf("m%d", i)
		}
	}
	waves := map[int][]int{}
	for i, m := range d.machines {
		waves[m.Wave] = append(waves[m.Wave], i)
	}
	for i, b := range d.topology.Balancers {
		id := fmt.Sprintf("b%d", i)
		d.node("  ", id, `{{"%s"}}`, d.marks[plans.KindLoadBalancer][b.Name], "load balancer "+b.Name)
		for _, target := range b.Targets {
			if box[target] != "" {
				d.edge(id, "-->", box[target])
			}
		}
		for _, n := range b.Networks {
			d.edge(networks[n], "---", id)
		}
	}
	for _, wave := range d.order(waves) {
		d.wave(wave, waves[wave], networks)
	}
	d.b.WriteString(classes())
}

// order is the rollout's, then what has no system, then what leaves.
func (d *drawing) order(waves map[int][]int) []int {
	rank := func(wave int) int {
		switch wave {
		case 0:
			return len(d.topology.Waves) + 2
		case gone:
			return len(d.topology.Waves) + 3
		default:
			return wave
		}
	}
	return slices.SortedFunc(maps.Keys(waves), func(a, b int) int { return cmp.Compare(rank(a), rank(b)) })
}

func (d *drawing) title(wave int) string {
	switch n := len(d.topology.Waves); {
	case wave == gone:
		return "leaves the fleet"
	case wave == 0:
		return "servers without a NixOS host"
	case n == 0:
		return "hosts"
	case wave == n+1:
		return "last wave - all other hosts"
	default:
		return fmt.Sprintf("wave %d - %s", wave, d.topology.Waves[wave-1])
	}
}

// wave draws one frame. A network of all that is in it is drawn to the frame.
func (d *drawing) wave(wave int, in []int, networks map[string]string) {
	frame := fmt.Sprintf("w%d", wave+1)
	d.printf("  subgraph %s[\"%s\"]\n", frame, label(d.title(wave)))
	same := len(in) > 1
	for _, i := range in {
		m := d.machines[i]
		same = same && slices.Equal(m.Networks, d.machines[in[0]].Networks)
		shape := `["%s"]`
		switch {
		case !m.Server:
			shape = `("%s")`
		case !m.Host && wave != gone:
			shape = `[["%s"]]`
		}
		text := []string{m.Name, m.ServerType, m.Location}
		if n := len(m.names); n > 1 {
			text = []string{fmt.Sprintf("%d machines", n), m.names[0] + " … " + m.names[n-1]}
		}
		d.node("    ", fmt.Sprintf("m%d", i), shape, m.mark, text...)
	}
	if same || d.networkless(in) {
		d.grid(in)
	}
	d.printf("  end\n")
	if same {
		for _, n := range d.machines[in[0]].Networks {
			d.edge(networks[n], "---", frame)
		}
		return
	}
	for _, i := range in {
		for _, n := range d.machines[i].Networks {
			d.edge(networks[n], "---", fmt.Sprintf("m%d", i))
		}
	}
}

func (d *drawing) networkless(in []int) bool {
	return !slices.ContainsFunc(in, func(i int) bool { return len(d.machines[i].Networks) > 0 })
}

// grid puts the boxes of a frame into rows, by lines that are not seen: without
// them all would stand in one.
func (d *drawing) grid(in []int) {
	const columns = 5
	d.printf("    direction TB\n")
	for i := columns; i < len(in); i++ {
		d.edges++
		d.printf("    m%d ~~~ m%d\n", in[i-columns], in[i])
	}
}

func (d *drawing) node(indent, id, shape string, m mark, text ...string) {
	text = slices.DeleteFunc(append(text, string(m)), func(s string) bool { return s == "" })
	for i := range text {
		text[i] = label(text[i])
	}
	d.nodes++
	d.printf("%s%s"+shape, indent, id, strings.Join(text, " · "))
	if class := m.class(); class != "" {
		d.printf(":::%s", class)
	}
	d.printf("\n")
}

func (d *drawing) edge(from, line, to string) {
	if from == "" || to == "" {
		return // a name that the fleet refers to and does not declare
	}
	text := from + " " + line + " " + to
	if d.drawn[text] {
		return
	}
	if d.drawn == nil {
		d.drawn = map[string]bool{}
	}
	d.drawn[text] = true
	d.edges++
	d.printf("  %s\n", text)
}
