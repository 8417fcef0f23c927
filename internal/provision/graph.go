package provision

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// node is what is done in one go: a step, or one power cycle of a server with
// all steps that want it off.
type node struct {
	steps  []owned
	cycle  string // the server that is switched off and on, "" for none
	before []int  // nodes that come first
}

// owned is a step and the change it is part of.
type owned struct {
	step
	change int // index of the change
}

// graph gives the nodes of one half and their order. Changes that skip says are
// not made; it is an error if the rest wait for each other in a circle.
func graph(changes []*change, ph phase, skip func(int) bool) ([]*node, error) {
	g := &grapher{cycles: map[string]int{}, givers: map[string][]int{}}
	for i, c := range changes {
		if _, steps := c.in(ph); !skip(i) {
			g.chain(i, c.ref(), steps)
		}
	}
	for i := range g.all {
		for _, word := range g.all[i].after {
			for _, giver := range g.givers[word] {
				if g.all[giver].change != g.all[i].change { // within a change the chain says it all
					g.edge(giver, i)
				}
			}
		}
	}
	return g.contracted(changes)
}

// grapher orders steps before it puts those of one power cycle together.
type grapher struct {
	all    []owned
	before [][]int          // steps that come before a step
	givers map[string][]int // steps that give a word
	cycles map[string]int   // node of a server's power cycle
}

func (g *grapher) edge(first, second int) { g.before[second] = append(g.before[second], first) }

// chain takes in the steps of one change, one after another.
func (g *grapher) chain(change int, of ref, steps []step) {
	for k, s := range steps {
		s.holds = append(slices.Clone(s.holds), of)
		if s.off != "" {
			s.holds = append(s.holds, ref{plans.KindServer, s.off})
		}
		g.all = append(g.all, owned{s, change})
		g.before = append(g.before, nil)
		this := len(g.all) - 1
		if k > 0 {
			g.edge(this-1, this)
		}
		for _, word := range s.gives {
			g.givers[word] = append(g.givers[word], this)
		}
	}
}

func (g *grapher) contracted(changes []*change) ([]*node, error) {
	order, err := sortSteps(g, changes)
	if err != nil {
		return nil, err
	}
	var nodes []*node
	at := make([]int, len(g.all)) // node of each step
	for _, i := range order {
		s := g.all[i]
		n, cycles := g.cycles[s.off]
		if s.off == "" || !cycles {
			n = len(nodes)
			nodes = append(nodes, &node{cycle: s.off})
			if s.off != "" {
				g.cycles[s.off] = n
			}
		}
		nodes[n].steps = append(nodes[n].steps, s)
		at[i] = n
	}
	for i, befores := range g.before {
		for _, b := range befores {
			if at[b] != at[i] && !slices.Contains(nodes[at[i]].before, at[b]) {
				nodes[at[i]].before = append(nodes[at[i]].before, at[b])
			}
		}
	}
	if circle := circleOf(nodes); len(circle) > 0 {
		return nil, waiting(nodes, circle, changes)
	}
	return nodes, nil
}

// sortSteps gives the steps in an order in which they could be done one by one.
func sortSteps(g *grapher, changes []*change) ([]int, error) {
	left := make([]*node, len(g.all)) // a node per step: the same search for circles
	for i, s := range g.all {
		left[i] = &node{steps: []owned{s}, before: g.before[i]}
	}
	order := topological(left)
	if len(order) < len(left) {
		return nil, waiting(left, circleOf(left), changes)
	}
	return order, nil
}

// topological orders nodes, the first of the list first where there is a
// choice; nodes in a circle, or behind one, are missing.
func topological(nodes []*node) []int {
	done := make([]bool, len(nodes))
	var order []int
	for progress := true; progress; {
		progress = false
		for i, n := range nodes {
			if !done[i] && !slices.ContainsFunc(n.before, func(b int) bool { return !done[b] }) {
				done[i], progress = true, true
				order = append(order, i)
			}
		}
	}
	return order
}

func circleOf(nodes []*node) []int {
	order := topological(nodes)
	var circle []int
	for i := range nodes {
		if !slices.Contains(order, i) {
			circle = append(circle, i)
		}
	}
	return circle
}

// waiting is the refusal of changes of which each wants the other one first:
// two servers that exchange their addresses, for example.
func waiting(nodes []*node, circle []int, changes []*change) error {
	var names []string
	for _, i := range circle {
		for _, s := range nodes[i].steps {
			c := changes[s.change]
			if name := fmt.Sprintf("%s %q", kindName(c.Kind), c.Name); !slices.Contains(names, name) && c.Kind != plans.KindSubnet {
				names = append(names, name)
			}
		}
	}
	return &problem.Problem{
		Summary: "these changes wait for one another: " + strings.Join(names, ", "),
		Detail:  "Each wants something (a name, an address) that another one has and gives up only when it has got its own.",
		Hints:   []string{"Take two deploys: first one that frees what is exchanged, then this one."},
		Code:    problem.Refused,
	}
}
