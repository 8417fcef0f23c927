package render

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// headline counts what a plan does: "2 to create, 1 to change, 1 host to
// switch"; "" when there is nothing.
func headline(parts ...plans.Part) string {
	resources, hosts := map[plans.Action]int{}, map[plans.Action]int{}
	for _, p := range parts {
		for _, r := range p.Resources {
			if changes(r) {
				resources[r.Action]++
			}
		}
		for _, h := range p.Hosts {
			hosts[h.Action]++
		}
	}
	var out []string
	add := func(n int, one, many string) {
		switch {
		case n == 1:
			out = append(out, "1 "+one)
		case n > 1:
			out = append(out, fmt.Sprintf("%d %s", n, many))
		}
	}
	add(resources[plans.Create], "to create", "to create")
	add(resources[plans.Update], "to change", "to change")
	add(resources[plans.Rebuild], "to rebuild", "to rebuild")
	add(resources[plans.Replace], "to replace", "to replace")
	add(resources[plans.Destroy], "to destroy", "to destroy")
	add(hosts[plans.Create], "new host", "new hosts")
	add(hosts[plans.Update], "host to switch", "hosts to switch")
	add(hosts[plans.Replace]+hosts[plans.Rebuild], "host to set up again", "hosts to set up again")
	add(hosts[plans.Destroy], "host to remove", "hosts to remove")
	other := 0 // actions that this version does not know are changes all the same
	for _, counts := range []map[plans.Action]int{resources, hosts} {
		for a, n := range counts {
			if symbol(a) == "?" {
				other += n
			}
		}
	}
	add(other, "other change", "other changes")
	return strings.Join(out, ", ")
}

// effects counts what the switches of a plan do, "" if they do nothing that is
// counted: "stops 1 unit, restarts 12 units on 3 hosts, 1 reboot".
func effects(parts ...plans.Part) string {
	units, reboots, hosts := map[plans.Effect]int{}, 0, 0
	opened := 0
	for _, p := range parts {
		for _, h := range p.Hosts {
			if h.Action == plans.Create {
				continue // its first system disturbs nobody
			}
			touched := false
			for _, u := range h.Units {
				units[u.Effect]++
				touched = touched || u.Effect == plans.EffectStop || u.Effect == plans.EffectRestart || u.Effect == plans.EffectReload || u.Effect == plans.EffectStart
			}
			if h.Reboot != "" {
				reboots++
			}
			opened += len(ports(h.Ports, true))
			if touched {
				hosts++
			}
		}
	}
	var out []string
	for _, e := range []plans.Effect{plans.EffectStop, plans.EffectRestart, plans.EffectReload, plans.EffectStart} {
		if n := units[e]; n > 0 {
			out = append(out, fmt.Sprintf("%ss %s", e, plural(n, "unit")))
		}
	}
	if len(out) > 0 && hosts > 1 {
		out[len(out)-1] += " on " + plural(hosts, "host")
	}
	if opened > 0 {
		out = append(out, "opens "+plural(opened, "port"))
	}
	if reboots > 0 {
		out = append(out, "needs "+plural(reboots, "reboot"))
	}
	return strings.Join(out, ", ")
}

// riskRank orders risks, worst first.
func riskRank(r plans.Risk) int {
	order := []plans.Risk{plans.RiskDestroy, plans.RiskReplace, plans.RiskData, plans.RiskAccess,
		plans.RiskPort, plans.RiskReboot, plans.RiskPowerOff, plans.RiskStop}
	if i := slices.Index(order, r); i >= 0 {
		return i
	}
	return len(order)
}

func worstRisk(risks []plans.Risk) int {
	worst := 1000
	for _, r := range risks {
		worst = min(worst, riskRank(r))
	}
	return worst
}

// byRisk gives resources with the risky ones first, else in plan order.
func byRisk(resources []plans.Resource) []plans.Resource {
	sorted := slices.Clone(resources)
	slices.SortStableFunc(sorted, func(a, b plans.Resource) int {
		return cmp.Compare(worstRisk(a.Risks), worstRisk(b.Risks))
	})
	return sorted
}

// group is hosts that change in the same way.
type group struct {
	Names []string
	Host  plans.Host // the first of them; Files holds each distinct diff once
	Files []groupFile
}

// groupFile is one file of a group. Hosts is nil when all hosts share the diff.
type groupFile struct {
	plans.File
	Hosts []string
}

// groupHosts brings hosts together that differ in name, store paths and the
// texts of the same files only. Risky groups come first.
func groupHosts(hosts []plans.Host) []group {
	var order []string
	byKey := map[string][]plans.Host{}
	for _, h := range hosts {
		k := groupKey(h)
		if _, ok := byKey[k]; !ok {
			order = append(order, k)
		}
		byKey[k] = append(byKey[k], h)
	}
	groups := make([]group, 0, len(order))
	for _, k := range order {
		groups = append(groups, newGroup(byKey[k]))
	}
	slices.SortStableFunc(groups, func(a, b group) int {
		return cmp.Compare(worstRisk(a.Host.Risks), worstRisk(b.Host.Risks))
	})
	return groups
}

func groupKey(h plans.Host) string {
	k := h
	k.Name, k.Old, k.New = "", storepath.Path{}, storepath.Path{}
	k.Files = slices.Clone(h.Files)
	for i := range k.Files {
		k.Files[i].Diff = ""
	}
	b, err := json.Marshal(k)
	if err != nil { // plain values: cannot happen; alone in its group then
		return h.Name
	}
	return string(b)
}

func newGroup(hosts []plans.Host) group {
	g := group{Host: hosts[0]}
	for _, h := range hosts {
		g.Names = append(g.Names, h.Name)
	}
	for i, f := range hosts[0].Files {
		var diffs []string
		who := map[string][]string{}
		for _, h := range hosts {
			d := h.Files[i].Diff
			if _, ok := who[d]; !ok {
				diffs = append(diffs, d)
			}
			who[d] = append(who[d], h.Name)
		}
		for _, d := range diffs {
			file := groupFile{File: f}
			file.Diff = d
			if len(diffs) > 1 {
				file.Hosts = who[d]
			}
			g.Files = append(g.Files, file)
		}
	}
	return g
}

// unitGroup is units with the same effect, equally sure.
type unitGroup struct {
	Verb  string
	Units []plans.Unit
}

// unitGroups orders units by what hurts most.
func unitGroups(units []plans.Unit) []unitGroup {
	var out []unitGroup
	for _, e := range []plans.Effect{plans.EffectStop, plans.EffectRestart, plans.EffectReload,
		plans.EffectStart, plans.EffectSkip, plans.EffectNothing} {
		for _, c := range []plans.Certainty{plans.Will, plans.IfRunning, plans.Unsure} {
			g := unitGroup{Verb: verb(e, c)}
			for _, u := range units {
				if u.Effect == e && certainty(u.Certainty) == c {
					g.Units = append(g.Units, u)
				}
			}
			if len(g.Units) > 0 {
				out = append(out, g)
			}
		}
	}
	return out
}

// certainty reads a word that this version does not know as unsure.
func certainty(c plans.Certainty) plans.Certainty {
	if c == plans.Will || c == plans.IfRunning {
		return c
	}
	return plans.Unsure
}

func verb(e plans.Effect, c plans.Certainty) string {
	switch {
	case e == plans.EffectSkip:
		return "changed, not restarted"
	case e == plans.EffectNothing:
		return "changed, keeps running"
	case c == plans.Will:
		return string(e) + "s"
	case c == plans.IfRunning:
		return string(e) + "s if running"
	default:
		return "may " + string(e)
	}
}

// portText is "443/tcp" or "80/tcp on eth1".
func portText(p plans.Port) string {
	s := p.Port + "/" + p.Protocol
	if p.Interface != "" {
		s += " on " + p.Interface
	}
	return s
}

func ports(all []plans.Port, opened bool) []string {
	var out []string
	for _, p := range all {
		if p.Opened == opened {
			out = append(out, portText(p))
		}
	}
	return out
}

// mergeGaps brings gaps with the same text together.
type gapGroup struct {
	Subjects []string
	Text     string
}

func mergeGaps(gaps []plans.Gap) []gapGroup {
	var out []gapGroup
	for _, g := range gaps {
		i := slices.IndexFunc(out, func(o gapGroup) bool { return o.Text == g.Text })
		if i < 0 {
			out = append(out, gapGroup{Text: g.Text})
			i = len(out) - 1
		}
		if !slices.Contains(out[i].Subjects, g.Subject) {
			out[i].Subjects = append(out[i].Subjects, g.Subject)
		}
	}
	return out
}

// totals says in words how much changes on one host.
func totals(h plans.Host) string {
	var out []string
	counts := map[plans.Effect]int{}
	for _, u := range h.Units {
		counts[u.Effect]++
	}
	for _, e := range []plans.Effect{plans.EffectStop, plans.EffectRestart, plans.EffectReload, plans.EffectStart} {
		if n := counts[e]; n > 0 {
			out = append(out, fmt.Sprintf("%ss %s", e, plural(n, "unit")))
		}
	}
	if n := len(ports(h.Ports, true)); n > 0 {
		out = append(out, "opens "+plural(n, "port"))
	}
	if n := len(ports(h.Ports, false)); n > 0 {
		out = append(out, "closes "+plural(n, "port"))
	}
	for _, c := range []struct {
		n    int
		word string
	}{{len(h.Users), "user"}, {len(h.Items), "item"}, {len(h.Packages), "package"}, {len(h.Files), "file"}, {len(h.Settings), "setting"}} {
		if c.n > 0 {
			out = append(out, plural(c.n, c.word))
		}
	}
	if h.Reboot != "" {
		out = append(out, "needs a reboot")
	}
	if len(out) == 0 {
		return "nothing that a review would name"
	}
	return strings.Join(out, ", ")
}
