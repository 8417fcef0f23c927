package planner

import (
	"slices"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// riskOrder has the worst first, as plans declares them.
var riskOrder = [...]plans.Risk{
	plans.RiskDestroy, plans.RiskReplace, plans.RiskData, plans.RiskAccess,
	plans.RiskPort, plans.RiskReboot, plans.RiskPowerOff, plans.RiskStop,
}

// worst ranks a list of risks; a lower number is worse.
func worst(risks []plans.Risk) int {
	for i, r := range riskOrder {
		if slices.Contains(risks, r) {
			return i
		}
	}
	return len(riskOrder)
}

// risks gives the risk classes of a host's change, worst first.
func (r *review) risks() []plans.Risk {
	has := map[plans.Risk]bool{
		plans.RiskData: r.Action == plans.Update && (slices.ContainsFunc(r.Settings, func(a plans.Attribute) bool { return a.Name == stateVersion }) ||
			slices.ContainsFunc(r.Items, func(i plans.Item) bool { return i.Data != "" })),
		plans.RiskAccess: r.access,
		plans.RiskPort:   slices.ContainsFunc(r.Ports, func(p plans.Port) bool { return p.Opened }),
		plans.RiskReboot: r.Reboot != "",
		plans.RiskStop:   slices.ContainsFunc(r.Units, func(u plans.Unit) bool { return u.Effect == plans.EffectStop }),
	}
	var list []plans.Risk
	for _, risk := range riskOrder {
		if has[risk] {
			list = append(list, risk)
		}
	}
	return list
}
