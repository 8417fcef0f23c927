package provision

import (
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// The words by which steps wait for one another (step.gives and step.after).

func made(k plans.ResourceKind, name string) string { return "made " + ref{k, name}.String() }
func gone(k plans.ResourceKind, name string) string { return "gone " + ref{k, name}.String() }

// nameFree: nothing of this kind has the name any more.
func nameFree(k plans.ResourceKind, name string) string { return "name free " + ref{k, name}.String() }

// ranges: the network's range and its subnets are as declared.
func ranges(network string) string { return "ranges " + network }

// unrouted: the network's routes that go are gone.
func unrouted(network string) string { return "unrouted " + network }

// joined: the servers and load balancers that are to be in the network are.
func joined(network string) string { return "joined " + network }

// left: the servers and load balancers that leave the network have left.
func left(network string) string { return "left " + network }

// unreached: no load balancer reaches targets through the network.
func unreached(network string) string { return "unreached " + network }

// memberJoined: one server or load balancer is in the network.
func memberJoined(member ref, network string) string {
	return "joined " + network + " " + member.String()
}

// addressFree: nobody has this private address any more.
func addressFree(network, ip string) string { return "address free " + network + " " + ip }

// unassigned: the primary IP is no server's any more.
func unassigned(primaryIP string) string { return "unassigned " + primaryIP }

// unapplied: the firewall is taken off where it goes.
func unapplied(firewall string) string { return "unapplied " + firewall }

// ungrouped: the servers that leave the placement group have left.
func ungrouped(group string) string { return "ungrouped " + group }

// untargeted: load balancers that no longer send traffic to the server have
// been told.
func untargeted(server string) string { return "untargeted " + server }

// orderable: nothing is known that would keep the server that takes the place
// of an old one from being made.
func orderable(server string) string { return "orderable " + server }

// keyFree: the project does not hold this public key any more.
func keyFree(publicKey string) string { return "key free " + strings.Join(firstFields(publicKey), " ") }

// kindName is a kind as people write it.
func kindName(k plans.ResourceKind) string {
	name := strings.ReplaceAll(string(k), "_", " ")
	name = strings.Replace(name, "ssh key", "SSH key", 1)
	return strings.Replace(name, "primary ip", "primary IP", 1)
}

// sections gives the section of flotilla.yaml of each kind that has one.
func section(k plans.ResourceKind) string {
	switch k {
	case plans.KindSSHKey:
		return "ssh_keys"
	case plans.KindNetwork, plans.KindSubnet, plans.KindRoute:
		return "networks"
	case plans.KindServer:
		return "servers"
	case plans.KindFirewall:
		return "firewalls"
	case plans.KindPlacementGroup:
		return "placement_groups"
	case plans.KindVolume:
		return "volumes"
	case plans.KindPrimaryIP:
		return "primary_ips"
	case plans.KindLoadBalancer:
		return "load_balancers"
	}
	return string(k)
}

// kinds that have a section of their own.
func kinds() []plans.ResourceKind {
	return []plans.ResourceKind{
		plans.KindSSHKey, plans.KindNetwork, plans.KindPlacementGroup, plans.KindFirewall,
		plans.KindPrimaryIP, plans.KindServer, plans.KindVolume, plans.KindLoadBalancer,
	}
}
