package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// stage is one thing that a deploy does before the next.
type stage struct {
	Text  string   // "Switches wave 1"
	Wave  string   // its selector, "" where there are no waves
	Hosts []string // empty: Text says it all
	After string   // ", once all hosts are healthy"
}

// stages is what a deploy of both parts would do, in its order: resources that
// are made or changed, hosts wave by wave, and what is destroyed.
func stages(p plans.Plan) []stage {
	resources := slices.Concat(p.This.Resources, p.Pending.Resources)
	var out []stage
	var first []string
	for _, g := range []struct {
		verb   string
		counts func(plans.Resource) bool
	}{
		{"creates", func(r plans.Resource) bool { return r.Action == plans.Create }},
		{"changes", func(r plans.Resource) bool { return r.Action == plans.Update && changes(r) }},
		{"rebuilds", func(r plans.Resource) bool { return r.Action == plans.Rebuild }},
		{"replaces", func(r plans.Resource) bool { return r.Action == plans.Replace }},
	} {
		if kinds := kindCounts(resources, g.counts); kinds != "" {
			first = append(first, g.verb+" "+kinds)
		}
	}
	if len(first) > 0 {
		text := strings.Join(first, "; ")
		out = append(out, stage{Text: strings.ToUpper(text[:1]) + text[1:]})
	}
	out = append(out, waves(p)...)
	if kinds := kindCounts(resources, func(r plans.Resource) bool { return r.Action == plans.Destroy }); kinds != "" {
		last := stage{Text: "Destroys " + kinds}
		if len(out) > 0 {
			last.After = ", once all of this went well"
		}
		out = append(out, last)
	}
	return out
}

// kindCounts is "2 servers, 1 network", each resource once.
func kindCounts(resources []plans.Resource, counts func(plans.Resource) bool) string {
	var kinds []plans.ResourceKind
	names := map[plans.ResourceKind]map[string]bool{}
	for _, r := range resources {
		if !counts(r) {
			continue
		}
		if names[r.Kind] == nil {
			kinds = append(kinds, r.Kind)
			names[r.Kind] = map[string]bool{}
		}
		names[r.Kind][r.Name] = true
	}
	out := make([]string, 0, len(kinds))
	for _, k := range kinds {
		out = append(out, plural(len(names[k]), kindWord(k)))
	}
	return strings.Join(out, ", ")
}

// waves is which hosts are switched together.
func waves(p plans.Plan) []stage {
	var order []string
	if p.Topology != nil {
		order = p.Topology.Waves
	}
	last := len(order) + 1
	waveOf := map[string]int{}
	if p.Topology != nil {
		for _, m := range p.Topology.Machines {
			waveOf[m.Name] = m.Wave
		}
	}
	byWave := map[int][]string{}
	seen := map[string]bool{}
	for _, h := range slices.Concat(p.This.Hosts, p.Pending.Hosts) {
		if h.Action == plans.Destroy || seen[h.Name] || held(p, h.Name) {
			continue
		}
		seen[h.Name] = true
		w := waveOf[h.Name]
		if w < 1 || w > last {
			w = last
		}
		byWave[w] = append(byWave[w], h.Name)
	}
	var out []stage
	for w := 1; w <= last; w++ {
		hosts := byWave[w]
		switch {
		case len(hosts) == 0:
		case len(order) == 0:
			out = append(out, stage{Text: "Switches", Hosts: hosts})
		case w == last:
			out = append(out, stage{Text: "Switches the last wave:", Hosts: hosts})
		default:
			out = append(out, stage{Text: fmt.Sprintf("Switches wave %d,", w), Wave: order[w-1], Hosts: hosts})
		}
	}
	return out
}

// held tells whether deploys leave a host alone, as the last one published it.
func held(p plans.Plan, host string) bool { return p.Current != nil && p.Current.Hosts[host].Held }

// heldNames are the hosts that would be switched if nobody held them.
func heldNames(p plans.Plan) []string {
	var names []string
	for _, h := range slices.Concat(p.This.Hosts, p.Pending.Hosts) {
		if held(p, h.Name) && !slices.Contains(names, h.Name) && h.Action != plans.Destroy {
			names = append(names, h.Name)
		}
	}
	return names
}

// stages lists what happens in order, where that is more than one thing.
func (m *planMarkdown) stages(p plans.Plan) {
	all := stages(p)
	if len(all) < 2 {
		return
	}
	m.printf("**In this order:**\n\n")
	for i, s := range all {
		if i == m.limit(12) && i < len(all)-1 {
			m.printf("%d. and %d more\n", i+1, len(all)-i)
			break
		}
		text := prose(s.Text)
		if s.Wave != "" {
			text += " " + code(s.Wave) + ":"
		}
		if len(s.Hosts) > 0 {
			text += " " + m.names(s.Hosts)
		}
		m.printf("%d. %s%s\n", i+1, text, s.After)
	}
	m.printf("\n")
	if names := heldNames(p); len(names) > 0 {
		m.printf("%s%s held and left alone until somebody releases %s.\n\n", m.names(names), isAre(len(names)), itThem(len(names)))
	}
}
