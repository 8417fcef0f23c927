package fleet

import (
	"cmp"
	"fmt"
	"slices"
)

// HostSettings merges the entries of the hosts: section that match a host with
// these tags. The most exact selector decides scalars (exact name, then tag,
// glob, everything); health checks concatenate, the least exact first. Two
// equally exact entries that disagree on a scalar are an error. The Selector of
// the result is the zero value.
func (f Fleet) HostSettings(host string, tags []string) (HostSettings, error) {
	var matching []HostSettings
	for _, h := range f.Hosts {
		if h.Selector.Match(host, tags) {
			matching = append(matching, h)
		}
	}
	slices.SortStableFunc(matching, func(a, b HostSettings) int { return cmp.Compare(a.Selector.Rank(), b.Selector.Rank()) })

	var merged HostSettings
	for _, h := range matching {
		merged.Health = append(merged.Health, h.Health...)
	}
	var err error
	if merged.Address, err = decide(host, "address", matching, func(h HostSettings) string { return h.Address }); err != nil {
		return HostSettings{}, err
	}
	if merged.HostKey, err = decide(host, "host_key", matching, func(h HostSettings) string { return h.HostKey }); err != nil {
		return HostSettings{}, err
	}
	return merged, nil
}

// decide gives the value of the most exact entry that has one. matching is
// sorted by rank, the least exact first.
func decide(host, key string, matching []HostSettings, get func(HostSettings) string) (string, error) {
	var from *HostSettings
	for i := len(matching) - 1; i >= 0; i-- {
		h := &matching[i]
		switch {
		case get(*h) == "":
		case from == nil:
			from = h
		case h.Selector.Rank() == from.Selector.Rank() && get(*h) != get(*from):
			return "", fmt.Errorf("host %s: hosts: gives it two values of %s: %q by %q and %q by %q, which are equally exact; set it under the host's own name",
				host, key, get(*h), h.Selector, get(*from), from.Selector)
		}
	}
	if from == nil {
		return "", nil
	}
	return get(*from), nil
}
