package render

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// riskLine is one risk, said once for all that it concerns.
type riskLine struct {
	Risk  plans.Risk
	Label string     // "Opens"
	What  []riskItem // may be empty
	Hosts []string   // where; empty for resources
}

// riskItem is what is at risk: "server" "db" "(because of location)".
type riskItem struct{ Before, Name, After string }

// riskLines lists a part's risks, worst first, equal ones together.
func riskLines(p plans.Part) []riskLine {
	var lines []riskLine
	for _, r := range p.Resources {
		for _, risk := range r.Risks {
			lines = addRisk(lines, riskLine{Risk: risk, Label: riskLabel(risk), What: []riskItem{resourceRisk(r, risk)}}, "")
		}
	}
	for _, h := range p.Hosts {
		for _, risk := range h.Risks {
			what := hostRisk(h, risk)
			if len(what) == 0 && slices.ContainsFunc(p.Resources, func(r plans.Resource) bool {
				return r.Kind == plans.KindServer && r.Name == h.Name && slices.Contains(r.Risks, risk)
			}) {
				continue // its server says it
			}
			lines = addRisk(lines, riskLine{Risk: risk, Label: riskLabel(risk), What: what}, h.Name)
		}
	}
	slices.SortStableFunc(lines, func(a, b riskLine) int { return cmp.Compare(riskRank(a.Risk), riskRank(b.Risk)) })
	return lines
}

// addRisk joins hosts that risk the same, and resources of one risk.
func addRisk(lines []riskLine, l riskLine, host string) []riskLine {
	for i, have := range lines {
		if have.Risk != l.Risk || (len(have.Hosts) > 0) != (host != "") {
			continue
		}
		if host == "" {
			lines[i].What = append(lines[i].What, l.What...)
			return lines
		}
		if slices.Equal(have.What, l.What) {
			lines[i].Hosts = append(lines[i].Hosts, host)
			return lines
		}
	}
	if host != "" {
		l.Hosts = []string{host}
	}
	return append(lines, l)
}

func riskLabel(r plans.Risk) string {
	switch r {
	case plans.RiskDestroy:
		return "Destroys"
	case plans.RiskReplace:
		return "Replaces"
	case plans.RiskData:
		return "May lose data"
	case plans.RiskAccess:
		return "Changes access:"
	case plans.RiskPort:
		return "Opens"
	case plans.RiskReboot:
		return "Needs a reboot"
	case plans.RiskPowerOff:
		return "Powers off"
	case plans.RiskStop:
		return "Stops"
	default:
		return "Risk: " + oneLine(string(r))
	}
}

func resourceRisk(r plans.Resource, risk plans.Risk) riskItem {
	item := riskItem{Before: kindWord(r.Kind), Name: r.Name}
	if risk == plans.RiskData {
		item.Before = "of " + item.Before
	}
	// Said once: with the data if any is lost, else with the end of the thing.
	if len(r.Lost) > 0 && (risk == plans.RiskData || risk == plans.RiskDestroy && !slices.Contains(r.Risks, plans.RiskData)) {
		item.After = "(" + strings.Join(r.Lost, ", ") + ")"
	}
	if risk == plans.RiskReplace {
		var why []string
		for _, a := range r.Attributes {
			if a.Forces {
				why = append(why, a.Name)
			}
		}
		if len(why) > 0 {
			item.After = "(because of " + strings.Join(why, ", ") + ")"
		}
	}
	return item
}

// hostRisk names what on the host is the risk, as far as the plan tells.
func hostRisk(h plans.Host, risk plans.Risk) []riskItem {
	var out []riskItem
	switch risk {
	case plans.RiskPort:
		for _, p := range ports(h.Ports, true) {
			out = append(out, riskItem{Name: p})
		}
	case plans.RiskReboot:
		out = append(out, riskItem{After: "(" + h.Reboot + ")"})
	case plans.RiskAccess:
		if len(h.Lockout) > 0 {
			out = append(out, riskItem{Before: "the deploy's way in"})
		}
		for _, u := range h.Users {
			if !u.System || len(u.KeysAdded)+len(u.KeysRemoved)+len(u.Changes) > 0 {
				out = append(out, accessRisk(u)...)
			}
		}
		for _, a := range h.Settings {
			if strings.HasPrefix(a.Name, "services.openssh.") {
				out = append(out, riskItem{Name: a.Name, After: "(" + orNone(a.Old) + " → " + orNone(a.New) + ")"})
			}
		}
		if slices.ContainsFunc(h.Files, func(f plans.File) bool { return f.Unit == "" && f.Path == "sudoers" }) {
			out = append(out, riskItem{Before: "file", Name: "/etc/sudoers"})
		}
	case plans.RiskStop:
		for _, u := range h.Units {
			if u.Effect == plans.EffectStop {
				out = append(out, riskItem{Name: u.Name})
			}
		}
	case plans.RiskData:
		for _, i := range h.Items {
			if i.Data != "" {
				out = append(out, riskItem{Before: "of " + string(i.Kind), Name: i.Name, After: "(" + i.Data + ")"})
			}
		}
		for _, a := range h.Settings {
			if a.Name == "system.stateVersion" {
				out = append(out, riskItem{Before: "by", Name: a.Name, After: "(" + orNone(a.Old) + " → " + orNone(a.New) + ": it is meant to stay what it was at installation)"})
			}
		}
	case plans.RiskDestroy, plans.RiskReplace, plans.RiskPowerOff:
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// accessRisk says what changes for one user.
func accessRisk(u plans.User) []riskItem {
	var what []string
	switch u.Action {
	case plans.Create:
		what = append(what, "added")
	case plans.Destroy:
		what = append(what, "removed")
	default: // what changes says it
	}
	if n := len(u.KeysAdded); n > 0 {
		what = append(what, plural(n, "key")+" added")
	}
	if n := len(u.KeysRemoved); n > 0 {
		what = append(what, plural(n, "key")+" removed")
	}
	what = append(what, u.Changes...)
	return []riskItem{{Before: "user", Name: u.Name, After: "(" + strings.Join(what, ", ") + ")"}}
}

// markdown is the item as Markdown.
func (i riskItem) markdown() string {
	return strings.TrimSpace(strings.TrimSpace(inline(i.Before)+" "+code(i.Name)) + " " + inline(i.After))
}

// text is the item for a terminal.
func (i riskItem) text() string {
	return cut(oneLine(i.Before+" "+i.Name+" "+i.After), 3*maxName)
}
