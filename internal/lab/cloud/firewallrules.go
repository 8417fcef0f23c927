package cloud

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxRules           = 50
	maxEffectiveRules  = 500 // every address range of a rule counts
	maxRuleRanges      = 100
	maxRuleDescription = 255
)

// FirewallRule is one rule of a firewall, in requests and answers.
type FirewallRule struct {
	Direction      string   `json:"direction"`
	SourceIPs      []string `json:"source_ips"`
	DestinationIPs []string `json:"destination_ips"`
	Protocol       string   `json:"protocol"`
	Port           *string  `json:"port"`
	Description    *string  `json:"description"`
}

// checkRules gives the rules as they are kept, ranges without host bits, or
// says what is wrong.
func checkRules(rules []FirewallRule) ([]FirewallRule, error) {
	if len(rules) > maxRules {
		return nil, invalid("rules", "a firewall can have %d rules, not %d", maxRules, len(rules))
	}
	kept, effective := []FirewallRule{}, 0
	for i, r := range rules {
		r, err := r.check("rules." + strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		effective += len(r.SourceIPs) + len(r.DestinationIPs)
		kept = append(kept, r)
	}
	if effective > maxEffectiveRules {
		return nil, invalid("rules", "there can be %d pairs of rule and address range, not %d", maxEffectiveRules, effective)
	}
	return kept, nil
}

func (r FirewallRule) check(field string) (FirewallRule, error) {
	var err error
	switch r.Direction {
	case "in":
		r.SourceIPs, err = checkRanges(field+".source_ips", r.SourceIPs)
		if err == nil && len(r.DestinationIPs) > 0 {
			err = invalid(field+".destination_ips", "must be empty for direction in")
		}
		r.DestinationIPs = []string{}
	case "out":
		r.DestinationIPs, err = checkRanges(field+".destination_ips", r.DestinationIPs)
		if err == nil && len(r.SourceIPs) > 0 {
			err = invalid(field+".source_ips", "must be empty for direction out")
		}
		r.SourceIPs = []string{}
	default:
		err = invalid(field+".direction", "must be in or out, not %q", r.Direction)
	}
	switch {
	case err != nil:
		return r, err
	case !slices.Contains([]string{"tcp", "udp", "icmp", "esp", "gre"}, r.Protocol):
		return r, invalid(field+".protocol", "must be tcp, udp, icmp, esp or gre, not %q", r.Protocol)
	case r.Description != nil && utf8.RuneCountInString(*r.Description) > maxRuleDescription:
		return r, invalid(field+".description", "must have at most %d characters", maxRuleDescription)
	case r.Protocol != "tcp" && r.Protocol != "udp":
		if r.Port != nil {
			return r, invalid(field+".port", "is only for tcp and udp")
		}
	case r.Port == nil || !goodPort(*r.Port):
		return r, invalid(field+".port", `must be a port, a range like "1024-5000", or "any"`)
	}
	return r, nil
}

func goodPort(text string) bool {
	if text == "any" {
		return true
	}
	from, to, isRange := strings.Cut(text, "-")
	first, err := strconv.ParseUint(from, 10, 16)
	if err != nil || first == 0 {
		return false
	}
	if !isRange {
		return true
	}
	last, err := strconv.ParseUint(to, 10, 16)
	return err == nil && first <= last
}

func checkRanges(field string, texts []string) ([]string, error) {
	if len(texts) == 0 {
		return nil, invalid(field, "must not be empty")
	}
	if len(texts) > maxRuleRanges {
		return nil, invalid(field, "there can be %d ranges, not %d", maxRuleRanges, len(texts))
	}
	var kept []string
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, invalid(field, "%q is not a range in CIDR notation", text)
		}
		kept = append(kept, p.Masked().String())
	}
	return kept, nil
}
