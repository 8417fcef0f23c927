package hetzner

import (
	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// advice gives what to do about an error code, and the exit code.
func advice(code hcloud.ErrorCode) ([]string, problem.Code) {
	hint := aboutProject(code)
	if hint == "" {
		hint = aboutServers(code)
	}
	if hint == "" {
		hint = aboutOthers(code)
	}
	exit := problem.Failed
	if code == hcloud.ErrorCodeProtected {
		exit = problem.Refused
	}
	if hint == "" {
		return nil, exit // the API's own words have to do
	}
	return []string{hint}, exit
}

// aboutProject is advice on what concerns any request.
func aboutProject(code hcloud.ErrorCode) string {
	switch code { //nolint:exhaustive // the others are elsewhere
	case hcloud.ErrorCodeUnauthorized:
		return "The API token is not valid: it was deleted, mistyped, or belongs to another endpoint. Make a new one in the Cloud Console (Security, API tokens)."
	case hcloud.ErrorCodeForbidden, codeTokenReadOnly:
		return "The API token may only read. A deploy needs one with read and write access."
	case hcloud.ErrorCodeResourceLimitExceeded:
		return "A limit of the account or the project is reached. Ask for a higher one in the Cloud Console (Limits), or delete what is not needed."
	case hcloud.ErrorCodeProtected:
		return "It is protected against deletion. Set delete_protection: false, deploy, and run again."
	case hcloud.ErrorCodeResourceLocked:
		return "Hetzner has locked it. Contact their support."
	case hcloud.ErrorCodeLocked, hcloud.ErrorCodeConflict:
		return "Another action holds it. Run again when that has ended; the Cloud Console shows it under Activities."
	case hcloud.ErrorCodeRateLimitExceeded:
		return "The project's requests of this hour are used up, by all tools together. Run again later: nothing is made twice."
	case hcloud.ErrorCodeMaintenance, codeUnavailable, hcloud.ErrorCodeBadGateway, hcloud.ErrorCodeTimeout, hcloud.ErrorCodeServerError:
		return "The API has trouble (https://status.hetzner.com). Run again later: nothing is made twice."
	case hcloud.ErrorCodeUniquenessError:
		return "Names are unique in a project, and so are SSH keys. Give yours another name in flotilla.yaml, or rename the other one."
	case hcloud.ErrorCodeServiceError:
		return "The API refused. What it says above tells why; often something still uses the resource."
	case hcloud.ErrorCodeResourceInUse:
		return "Something still uses it. Take it away there first."
	}
	return ""
}

// aboutServers is advice on servers and their networks.
func aboutServers(code hcloud.ErrorCode) string {
	switch code { //nolint:exhaustive // the others are elsewhere
	case hcloud.ErrorCodeResourceUnavailable, hcloud.ErrorCodePlacementError:
		return "No capacity for this server type there. Name more locations (location: [nbg1, fsn1, hel1]), take another server_type, or run again later."
	case hcloud.ErrorCodeInvalidServerType:
		return "The server_type does not fit the server's disk, its image or its location, or is no longer sold."
	case hcloud.ErrorCodeServerNotStopped:
		return "The server runs, and the change needs it off. Somebody may have switched it on meanwhile: run again."
	case hcloud.ErrorCodeIPNotAvailable:
		return "The private address is taken or lies outside of the network's subnets."
	case hcloud.ErrorCodeNoSubnetAvailable:
		return "The network has no subnet with free addresses in the server's network zone."
	case hcloud.ErrorCodeNetworksOverlap:
		return "The ranges of the server's networks overlap: give one of them another ip_range."
	case hcloud.ErrorCodePrivateNetOnlyServer:
		return "Firewalls filter public addresses only, and the server has none: take its firewalls away, or give it a public address."
	case hcloud.ErrorCodePrimaryIPAssigned, hcloud.ErrorCodePrimaryIPAlreadyAssigned:
		return "The primary IP belongs to another server or load balancer. Take it away there first."
	case hcloud.ErrorCodePrimaryIPDatacenterMismatch:
		return "A primary IP serves servers of its own location only."
	case hcloud.ErrorCodePrimaryIPVersionMismatch:
		return "The primary IP is of the other type: public_net.ipv4 wants an ipv4, public_net.ipv6 an ipv6."
	case hcloud.ErrorCodeServerIsLoadBalancerTarget:
		return "A load balancer sends traffic to the server's public IPv4: take that target away first, or use its private address."
	}
	return ""
}

// aboutOthers is advice on volumes, firewalls and load balancers.
func aboutOthers(code hcloud.ErrorCode) string {
	switch code { //nolint:exhaustive // the others are elsewhere
	case hcloud.ErrorCodeVolumeAlreadyAttached:
		return "The volume is attached to another server. Detach it there first."
	case hcloud.ErrorCodeNoSpaceLeftInLocation:
		return "The location has no room for volumes now. Run again later, or make it elsewhere."
	case codeMustUnassign:
		return "The primary IP still belongs to a server. Take it out of that server's public_net first."
	case hcloud.ErrorCodeFirewallManagedByLabelSelector:
		return "The firewall applies to the server by a label selector: change that, or the server's labels."
	case hcloud.ErrorCodeVSwitchAlreadyUsed:
		return "Another network has this vSwitch already."
	case hcloud.ErrorCodeSourcePortAlreadyUsed:
		return "The load balancer listens on that port already, for a service that the fleet did not make."
	case hcloud.ErrorCodeServerNotAttachedToNetwork, hcloud.ErrorCodeLoadBalancerNotAttachedToNetwork:
		return "Private addresses need server and load balancer in the same network."
	case hcloud.ErrorCodeTargetsWithoutUsePrivateIP, codePublicDisabled:
		return "Without a public interface every target needs use_private_ip: true."
	case hcloud.ErrorCodeMissingIPv4:
		return "The server has no public IPv4: set use_private_ip: true for the target."
	case hcloud.ErrorCodeIPNotOwned, hcloud.ErrorCodeCloudResourceIPNotAllowed:
		return "Targets by ip are dedicated servers of the same account; servers of the cloud are named by server."
	}
	return ""
}
