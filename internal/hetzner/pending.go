package hetzner

import (
	"context"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// notYet is what the methods below answer until they are written.
func notYet(what string) error {
	return &problem.Problem{Summary: what + " is not written yet"}
}

// Catalog is part of provision.Provider.
func (c *Client) Catalog(_ context.Context) (fleet.Catalog, error) {
	return fleet.Catalog{}, notYet("Catalog")
}

// Rename is part of provision.Provider.
func (c *Client) Rename(_ context.Context, _ plans.ResourceKind, _ int64, _ string) error {
	return notYet("Rename")
}

// SetLabels is part of provision.Provider.
func (c *Client) SetLabels(_ context.Context, _ plans.ResourceKind, _ int64, _ map[string]string) error {
	return notYet("SetLabels")
}

// SetDNSPtr is part of provision.Provider.
func (c *Client) SetDNSPtr(_ context.Context, _ plans.ResourceKind, _ int64, _, _ string) error {
	return notYet("SetDNSPtr")
}

// Delete is part of provision.Provider.
func (c *Client) Delete(_ context.Context, _ plans.ResourceKind, _ int64) error {
	return notYet("Delete")
}

// Adopt is part of provision.Provider.
func (c *Client) Adopt(_ context.Context, _ plans.ResourceKind, _ int64, _ []string) error {
	return notYet("Adopt")
}

// ExposeRoutes is part of provision.Provider.
func (c *Client) ExposeRoutes(_ context.Context, _ int64, _ bool) error {
	return notYet("ExposeRoutes")
}

// AddRoute is part of provision.Provider.
func (c *Client) AddRoute(_ context.Context, _ int64, _ fleet.Route) error {
	return notYet("AddRoute")
}

// DeleteRoute is part of provision.Provider.
func (c *Client) DeleteRoute(_ context.Context, _ int64, _ fleet.Route) error {
	return notYet("DeleteRoute")
}

// CreatePlacementGroup is part of provision.Provider.
func (c *Client) CreatePlacementGroup(_ context.Context, _ string, _ fleet.PlacementGroup) (int64, error) {
	return 0, notYet("CreatePlacementGroup")
}

// CreateFirewall is part of provision.Provider.
func (c *Client) CreateFirewall(_ context.Context, _ string, _ fleet.Firewall) (int64, error) {
	return 0, notYet("CreateFirewall")
}

// SetRules is part of provision.Provider.
func (c *Client) SetRules(_ context.Context, _ int64, _ []fleet.FirewallRule) error {
	return notYet("SetRules")
}

// ApplyFirewall is part of provision.Provider.
func (c *Client) ApplyFirewall(_ context.Context, _ int64, _ fleet.FirewallTarget) error {
	return notYet("ApplyFirewall")
}

// RemoveFirewall is part of provision.Provider.
func (c *Client) RemoveFirewall(_ context.Context, _ int64, _ fleet.FirewallTarget) error {
	return notYet("RemoveFirewall")
}

// CreatePrimaryIP is part of provision.Provider.
func (c *Client) CreatePrimaryIP(_ context.Context, _ string, _ fleet.PrimaryIP) (int64, error) {
	return 0, notYet("CreatePrimaryIP")
}

// SetAutoDelete is part of provision.Provider.
func (c *Client) SetAutoDelete(_ context.Context, _ int64, _ bool) error {
	return notYet("SetAutoDelete")
}

// AssignPrimaryIP is part of provision.Provider.
func (c *Client) AssignPrimaryIP(_ context.Context, _, _ int64) error {
	return notYet("AssignPrimaryIP")
}

// UnassignPrimaryIP is part of provision.Provider.
func (c *Client) UnassignPrimaryIP(_ context.Context, _ int64) error {
	return notYet("UnassignPrimaryIP")
}

// EnablePublicNet is part of provision.Provider.
func (c *Client) EnablePublicNet(_ context.Context, _ int64, _ string) error {
	return notYet("EnablePublicNet")
}

// CreateVolume is part of provision.Provider.
func (c *Client) CreateVolume(_ context.Context, _ string, _ fleet.Volume, _ int64) (int64, error) {
	return 0, notYet("CreateVolume")
}

// ResizeVolume is part of provision.Provider.
func (c *Client) ResizeVolume(_ context.Context, _ int64, _ int) error {
	return notYet("ResizeVolume")
}

// AttachVolume is part of provision.Provider.
func (c *Client) AttachVolume(_ context.Context, _, _ int64, _ bool) error {
	return notYet("AttachVolume")
}

// DetachVolume is part of provision.Provider.
func (c *Client) DetachVolume(_ context.Context, _ int64) error {
	return notYet("DetachVolume")
}

// PowerOn is part of provision.Provider.
func (c *Client) PowerOn(_ context.Context, _ int64) error {
	return notYet("PowerOn")
}

// PowerOff is part of provision.Provider.
func (c *Client) PowerOff(_ context.Context, _ int64) error {
	return notYet("PowerOff")
}

// ChangeType is part of provision.Provider.
func (c *Client) ChangeType(_ context.Context, _ int64, _ string, _ bool) error {
	return notYet("ChangeType")
}

// Rebuild is part of provision.Provider.
func (c *Client) Rebuild(_ context.Context, _ int64, _ fleet.ServerOrder, _ secret.String) error {
	return notYet("Rebuild")
}

// SetBackups is part of provision.Provider.
func (c *Client) SetBackups(_ context.Context, _ int64, _ bool) error {
	return notYet("SetBackups")
}

// Snapshot is part of provision.Provider.
func (c *Client) Snapshot(_ context.Context, _ int64, _ string) error {
	return notYet("Snapshot")
}

// ChangeAliasIPs is part of provision.Provider.
func (c *Client) ChangeAliasIPs(_ context.Context, _, _ int64, _ []string) error {
	return notYet("ChangeAliasIPs")
}

// JoinPlacementGroup is part of provision.Provider.
func (c *Client) JoinPlacementGroup(_ context.Context, _, _ int64) error {
	return notYet("JoinPlacementGroup")
}

// LeavePlacementGroup is part of provision.Provider.
func (c *Client) LeavePlacementGroup(_ context.Context, _ int64) error {
	return notYet("LeavePlacementGroup")
}

// SetDeletionLabels is part of provision.Provider.
func (c *Client) SetDeletionLabels(_ context.Context, _ int64, _, _ bool) error {
	return notYet("SetDeletionLabels")
}

// CreateLoadBalancer is part of provision.Provider.
func (c *Client) CreateLoadBalancer(_ context.Context, _ fleet.LoadBalancerOrder) (int64, error) {
	return 0, notYet("CreateLoadBalancer")
}

// ChangeLoadBalancerType is part of provision.Provider.
func (c *Client) ChangeLoadBalancerType(_ context.Context, _ int64, _ string) error {
	return notYet("ChangeLoadBalancerType")
}

// SetAlgorithm is part of provision.Provider.
func (c *Client) SetAlgorithm(_ context.Context, _ int64, _ string) error {
	return notYet("SetAlgorithm")
}

// SetPublicInterface is part of provision.Provider.
func (c *Client) SetPublicInterface(_ context.Context, _ int64, _ bool) error {
	return notYet("SetPublicInterface")
}

// AttachLoadBalancer is part of provision.Provider.
func (c *Client) AttachLoadBalancer(_ context.Context, _, _ int64, _ string) error {
	return notYet("AttachLoadBalancer")
}

// DetachLoadBalancer is part of provision.Provider.
func (c *Client) DetachLoadBalancer(_ context.Context, _, _ int64) error {
	return notYet("DetachLoadBalancer")
}

// AddService is part of provision.Provider.
func (c *Client) AddService(_ context.Context, _ int64, _ fleet.LoadBalancerService) error {
	return notYet("AddService")
}

// UpdateService is part of provision.Provider.
func (c *Client) UpdateService(_ context.Context, _ int64, _ fleet.LoadBalancerService) error {
	return notYet("UpdateService")
}

// DeleteService is part of provision.Provider.
func (c *Client) DeleteService(_ context.Context, _ int64, _ int) error {
	return notYet("DeleteService")
}

// AddTarget is part of provision.Provider.
func (c *Client) AddTarget(_ context.Context, _ int64, _ fleet.LoadBalancerTarget, _ int64) error {
	return notYet("AddTarget")
}

// RemoveTarget is part of provision.Provider.
func (c *Client) RemoveTarget(_ context.Context, _ int64, _ fleet.LoadBalancerTarget, _ int64) error {
	return notYet("RemoveTarget")
}
