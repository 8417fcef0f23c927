package provision

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

const maxRules = 50 // of one firewall

// normalRule is a rule as a provider keeps it: networks without host bits, in
// order, each once.
func normalRule(r fleet.FirewallRule) fleet.FirewallRule {
	r.Direction, r.Protocol = strings.ToLower(r.Direction), strings.ToLower(r.Protocol)
	if from, to, ok := strings.Cut(r.Port, "-"); ok && from == to {
		r.Port = from
	}
	r.SourceIPs, r.DestinationIPs = normalCIDRs(r.SourceIPs), normalCIDRs(r.DestinationIPs)
	return r
}

func normalCIDRs(all []string) []string {
	var out []string
	for _, text := range all {
		p, err := netip.ParsePrefix(text)
		if a, errA := netip.ParseAddr(text); err != nil && errA == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err == nil {
			text = p.Masked().String()
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ruleText is a rule for people, and what rules are compared by.
func ruleText(r fleet.FirewallRule) string {
	r = normalRule(r)
	words := []string{r.Direction, r.Protocol}
	if r.Port != "" {
		words = append(words, r.Port)
	}
	if len(r.SourceIPs) > 0 {
		words = append(words, "from "+strings.Join(r.SourceIPs, ", "))
	}
	if len(r.DestinationIPs) > 0 {
		words = append(words, "to "+strings.Join(r.DestinationIPs, ", "))
	}
	if r.Description != "" {
		words = append(words, "("+r.Description+")")
	}
	return strings.Join(words, " ")
}

// withoutRules gives the rules of all that are not among others.
func withoutRules(all, others []fleet.FirewallRule) []fleet.FirewallRule {
	known := map[string]bool{}
	for _, r := range others {
		known[ruleText(r)] = true
	}
	var out []fleet.FirewallRule
	for _, r := range all {
		if !known[ruleText(r)] {
			known[ruleText(r)] = true
			out = append(out, r)
		}
	}
	return out
}

func sameRules(a, b []fleet.FirewallRule) bool {
	return len(withoutRules(a, b)) == 0 && len(withoutRules(b, a)) == 0
}

// widest lets through what have or want lets through. Without rules nothing
// comes in, but everything goes out: there the first rule narrows. Where both
// together are too many, it is want.
func widest(have, want []fleet.FirewallRule) []fleet.FirewallRule {
	wide := slices.Clone(want)
	for _, h := range have {
		same := func(w fleet.FirewallRule) bool {
			w.Description = h.Description
			return ruleText(w) == ruleText(h)
		}
		if !slices.ContainsFunc(wide, same) {
			wide = append(wide, h)
		}
	}
	out := func(r fleet.FirewallRule) bool { return normalRule(r).Direction == "out" }
	if !slices.ContainsFunc(have, out) || !slices.ContainsFunc(want, out) {
		wide = slices.DeleteFunc(wide, out)
	}
	if len(wide) > maxRules {
		return want
	}
	return wide
}
