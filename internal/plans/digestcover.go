package plans

import (
	"slices"
	"strings"
)

// Unreviewed gives what would be done and was not seen: for each subject the
// part of its digest that nothing seen covers, nil if there is none.
//
// What was seen of a subject counts together, whichever pull request showed
// it. A change is covered when its action, every risk class and every thing it
// names is:
//
//   - No change is always fine. A change that names nothing (packages, files,
//     another build) is fine where any change of the subject was seen.
//   - Actions: replace, rebuild and update are covered by themselves and by what
//     is worse (destroy > replace > rebuild > update); an update also by create;
//     create by create and replace; destroy by destroy alone.
//   - Risks: each by itself; replace, data, power-off, reboot and a stopped unit
//     by destroy; data, power-off, reboot and a stopped unit by replace; reboot
//     and a stopped unit by power-off; a stopped unit by reboot. Access and open
//     ports by nothing else, but that of what was seen to be destroyed and made
//     anew it is enough that what it names was seen.
//   - Named things: each by itself. A unit's restart by its stop; its reload by
//     its restart or stop; its start by its restart or reload. An attribute's
//     value by the same attribute with a value that only apply would tell. What a
//     user loses by the user's removal; another uid, shell, primary group or kind
//     of one by the removal and the creation of the same name.
func Unreviewed(would, seen []Digest) []Digest {
	known := map[string]*sum{}
	for _, d := range seen {
		if known[d.Subject] == nil {
			known[d.Subject] = &sum{actions: map[Action]bool{}, risks: map[Risk]bool{}, what: map[string]bool{}}
		}
		known[d.Subject].add(d)
	}
	var left []Digest
	for _, d := range normal(would) {
		if rest, ok := known[d.Subject].rest(d); !ok {
			left = append(left, rest)
		}
	}
	return left
}

// sum is all that was seen of one subject; nil: nothing was.
type sum struct {
	actions map[Action]bool
	risks   map[Risk]bool
	what    map[string]bool
}

func (s *sum) add(d Digest) {
	s.actions[d.Action] = true
	for _, r := range d.Risks {
		s.risks[r] = true
	}
	for _, w := range d.What {
		s.what[w] = true
	}
}

// rest gives what of a change is not covered; ok: all is.
func (s *sum) rest(d Digest) (rest Digest, ok bool) {
	if s == nil || !s.coversAction(d.Action) {
		return d, false
	}
	rest = Digest{Subject: d.Subject, Action: d.Action, What: []string{}, Risks: []Risk{}}
	host := strings.HasPrefix(d.Subject, "host/")
	for _, w := range d.What {
		if s.coversThing(w) {
			continue
		}
		rest.What = append(rest.What, w)
		if !host {
			rest.Risks = append(rest.Risks, d.Risks...) // which of them is this one's is not known
		} else if r := riskOf(w); slices.Contains(d.Risks, r) {
			rest.Risks = append(rest.Risks, r)
		}
	}
	for _, r := range d.Risks {
		anew := !host && s.actions[Create] && s.actions[Destroy] && (r == RiskAccess || r == RiskPort)
		if !s.coversRisk(r) && !anew {
			rest.Risks = append(rest.Risks, r)
		}
	}
	rest.Risks = byWorst(rest.Risks)
	return rest, len(rest.What)+len(rest.Risks) == 0
}

func (s *sum) coversAction(a Action) bool {
	var by []Action
	switch a {
	case Create:
		by = []Action{Create, Replace}
	case Update:
		by = []Action{Update, Create, Rebuild, Replace, Destroy}
	case Rebuild:
		by = []Action{Rebuild, Replace, Destroy}
	case Replace:
		by = []Action{Replace, Destroy}
	case Destroy:
		by = []Action{Destroy}
	}
	return slices.ContainsFunc(by, func(b Action) bool { return s.actions[b] })
}

func (s *sum) coversRisk(r Risk) bool {
	by := []Risk{r}
	switch r {
	case RiskStop:
		by = append(by, RiskReboot, RiskPowerOff, RiskReplace, RiskDestroy)
	case RiskReboot:
		by = append(by, RiskPowerOff, RiskReplace, RiskDestroy)
	case RiskPowerOff, RiskData:
		by = append(by, RiskReplace, RiskDestroy)
	case RiskReplace:
		by = append(by, RiskDestroy)
	case RiskDestroy, RiskAccess, RiskPort:
	}
	return slices.ContainsFunc(by, func(b Risk) bool { return s.risks[b] })
}

func (s *sum) coversThing(what string) bool {
	if s.what[what] {
		return true
	}
	verb, rest, _ := strings.Cut(what, " ")
	var by []string
	switch verb {
	case "set":
		name, _, _ := strings.Cut(rest, " = ")
		by = []string{setAny + name}
	case string(EffectRestart):
		by = []string{"stop " + rest}
	case string(EffectReload):
		by = []string{"restart " + rest, "stop " + rest}
	case string(EffectStart):
		by = []string{"restart " + rest, "reload " + rest}
	case "user":
		name, change, _ := strings.Cut(rest, " ")
		loses := strings.HasSuffix(change, " removed")
		again := s.what["user "+name+" created"] && !strings.HasSuffix(change, " added") && change != normalUser
		if loses || again {
			by = []string{"user " + name + " removed"}
		}
	}
	return slices.ContainsFunc(by, func(b string) bool { return s.what[b] })
}

// riskOf gives the risk class that a thing named of a host belongs to; "" if
// it has none.
func riskOf(what string) Risk {
	verb, rest, _ := strings.Cut(what, " ")
	switch verb {
	case "stop":
		return RiskStop
	case "open":
		return RiskPort
	case "reboot":
		return RiskReboot
	case "data":
		return RiskData
	case "user", "lock", "move":
		return RiskAccess
	case "file":
		if strings.HasPrefix(rest, "system ") { // "file system /srv …" is an item
			return RiskData
		}
		return RiskAccess
	case "set":
		switch {
		case strings.HasPrefix(rest, "services.openssh."):
			return RiskAccess
		case strings.HasPrefix(rest, "system.stateVersion"):
			return RiskData
		}
	}
	return ""
}
