package provision

import (
	"crypto/sha256"
	"encoding/base32"
	"maps"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

const digestLength = 16

// Applied gives the account as if the fleet had been applied to an empty one:
// Diff(head, Applied(base)) is what a change does, without asking a provider.
// What a provider would decide (IDs, addresses, times) is zero.
func Applied(desired fleet.Fleet) fleet.Account {
	account := fleet.Account{
		Networks: map[string]fleet.AccountNetwork{},
		SSHKeys:  map[string]fleet.AccountSSHKey{},
		Servers:  map[string]fleet.AccountServer{},
	}
	for name, n := range desired.Networks {
		account.Networks[name] = fleet.AccountNetwork{
			IPRange: n.IPRange, Subnets: slices.Clone(n.Subnets), Labels: maps.Clone(n.Labels),
		}
	}
	for name, k := range desired.SSHKeys {
		account.SSHKeys[name] = fleet.AccountSSHKey{PublicKey: k.PublicKey, Owned: !k.Existing, Labels: maps.Clone(k.Labels)}
	}
	for name, s := range desired.Servers {
		applied := fleet.AccountServer{
			ServerType: s.ServerType, Image: s.Image, Status: "running",
			Networks: map[string]string{}, DeleteProtection: s.DeleteProtection, Labels: maps.Clone(s.Labels),
			KeysDigest: keysDigest(s.SSHKeys),
		}
		if len(s.Locations) > 0 {
			applied.Location = s.Locations[0]
		}
		for network, at := range s.Networks {
			applied.Networks[network] = at.IP
		}
		account.Servers[name] = applied
	}
	return account
}

// keysDigest is short enough for a label and says whether the names in
// ssh_keys are still those that a server was made with.
func keysDigest(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(names), "\n")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:digestLength]
}
