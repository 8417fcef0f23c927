package provision

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

func samePrefix(a, b string) bool {
	p, errP := netip.ParsePrefix(a)
	q, errQ := netip.ParsePrefix(b)
	if errP != nil || errQ != nil {
		return a == b
	}
	return p.Masked() == q.Masked()
}

func overlaps(a, b string) bool {
	p, errP := netip.ParsePrefix(a)
	q, errQ := netip.ParsePrefix(b)
	return errP == nil && errQ == nil && p.Overlaps(q)
}

// widens tells whether b is a with a shorter mask and the same first address.
func widens(a, b string) bool {
	p, errP := netip.ParsePrefix(a)
	q, errQ := netip.ParsePrefix(b)
	return errP == nil && errQ == nil && p.Masked().Addr() == q.Masked().Addr() && q.Bits() < p.Bits()
}

func sameAddress(a, b string) bool {
	p, errP := netip.ParseAddr(a)
	q, errQ := netip.ParseAddr(b)
	if errP != nil || errQ != nil {
		return a == b
	}
	return p == q
}

// samePublicKey compares keys without their comments.
func samePublicKey(a, b string) bool {
	return slices.Equal(firstFields(a), firstFields(b))
}

func firstFields(key string) []string {
	fields := strings.Fields(key)
	return fields[:min(len(fields), 2)]
}

// shortKey is a public key as people tell keys apart: type, end and comment.
func shortKey(key string) string {
	fields := strings.Fields(key)
	const tail = 12
	if len(fields) > 1 && len(fields[1]) > tail {
		fields[1] = "…" + fields[1][len(fields[1])-tail:]
	}
	return strings.Join(fields, " ")
}

// normalAddresses puts addresses in order, each once and in one form.
func normalAddresses(all []string) []string {
	var out []string
	for _, text := range all {
		if a, err := netip.ParseAddr(text); err == nil {
			text = a.String()
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func inRange(ipRange, address string) bool {
	p, errP := netip.ParsePrefix(ipRange)
	a, errA := netip.ParseAddr(address)
	return errP == nil && errA == nil && p.Contains(a)
}

// foreignLabel tells a label of another tool: it has a prefix.
func foreignLabel(key string) bool { return strings.Contains(key, "/") }

// labelChanges gives the labels that differ, for a resource that is made anew.
func labelChanges(have, want map[string]string) []plans.Attribute {
	var changes []plans.Attribute
	for _, key := range sorted(want) {
		if old, ok := have[key]; !ok || old != want[key] {
			changes = append(changes, known("labels."+key, old, want[key]))
		}
	}
	for _, key := range sorted(have) {
		if _, ok := want[key]; !ok && !foreignLabel(key) {
			changes = append(changes, known("labels."+key, have[key], ""))
		}
	}
	return changes
}
