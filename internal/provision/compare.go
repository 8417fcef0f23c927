package provision

import (
	"net/netip"
	"slices"
	"strings"
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
