package provision

import "slices"

// schedule says which nodes can begin.
type schedule struct {
	nodes   []*node
	options Options
	state   []nodeState
	held    map[ref]bool
	busy    int             // nodes that are being done
	down    map[string]bool // servers that do not answer
	done    int
}

type nodeState int

const (
	waits nodeState = iota
	begun
	ended
)

func newSchedule(nodes []*node, o Options) *schedule {
	return &schedule{nodes: nodes, options: o, state: make([]nodeState, len(nodes)), held: map[ref]bool{}, down: map[string]bool{}}
}

// startable begins all that can begin now, the first of the list first. When
// nothing may begin any more, it is what came about with something else.
func (s *schedule) startable(stopped bool) []int {
	var start []int
	for i, n := range s.nodes {
		if s.state[i] != waits || stopped && n.steps[0].do != nil || s.busy >= s.options.parallel() || s.tooMany(n) ||
			slices.ContainsFunc(n.before, func(b int) bool { return s.state[b] != ended }) ||
			slices.ContainsFunc(n.holds(), func(r ref) bool { return s.held[r] }) {
			continue
		}
		s.mark(i, true)
		s.state[i] = begun
		start = append(start, i)
	}
	return start
}

func (s *schedule) end(i int) {
	s.mark(i, false)
	s.state[i] = ended
	s.done++
}

func (s *schedule) mark(i int, on bool) {
	by := -1
	if on {
		by = 1
	}
	for _, r := range s.nodes[i].holds() {
		s.held[r] = on
	}
	s.busy += by
	down, up := s.nodes[i].down()
	if on && down != "" {
		s.down[down] = true
	}
	if !on {
		delete(s.down, up)
	}
}

// tooMany tells whether a node would take a server down and enough are.
func (s *schedule) tooMany(n *node) bool {
	down, _ := n.down()
	return down != "" && !s.down[down] && len(s.down) >= max(1, s.options.MaxUnavailable)
}

// idle: nothing is being done.
func (s *schedule) idle() bool { return s.busy == 0 }

func (s *schedule) finished() bool { return s.done == len(s.nodes) }

// down gives the server that does not answer from the node's beginning on, and
// the one that does again at its end.
func (n *node) down() (down, up string) {
	if n.cycle != "" {
		return n.cycle, n.cycle
	}
	return n.steps[0].down, n.steps[0].up
}

func (n *node) holds() []ref {
	var all []ref
	for _, s := range n.steps {
		all = append(all, s.holds...)
	}
	return all
}
