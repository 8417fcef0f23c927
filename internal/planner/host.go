package planner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// review is a host's change in the making.
type review struct {
	plans.Host
	access bool // who gets in, or with which rights, changes
}

// created is a host that did not exist: nothing runs there yet, so there are
// no effects on units, and what it opens and who may log in is all new.
func created(s plans.System, known Known) plans.Host {
	r := review{Host: plans.Host{Name: s.Host, Action: plans.Create, New: s.OutPath}}
	if s.Partial != "" {
		r.Notes = []string{unknownContents}
		return r.finish()
	}
	nothing := plans.System{Firewall: plans.Firewall{Enabled: true}}
	if root, ok := s.Users["root"]; ok { // on every host; who may log in as it is news
		root.Keys, root.Groups = nil, nil
		nothing.Users = map[string]plans.UserFacts{"root": root}
	}
	r.AfterApply = afterApply(s, known.Facts)
	r.Packages = packages(nothing.Packages, s.Packages)
	r.Ports = ports(nothing.Firewall, s.Firewall)
	r.users(nothing.Users, members(s))
	r.Settings = settings(nothing, s)
	r.Items = items(nothing, s)
	r.access = r.access || keysDecideAccess(nil, s.Keys)
	r.lockout(nil, s, known.Logins[s.Host])
	return r.finish()
}

// removed is a host that leaves the hive. What becomes of its machine is a
// matter of its server.
func removed(s plans.System) plans.Host {
	r := review{Host: plans.Host{Name: s.Host, Action: plans.Destroy, Old: s.OutPath}}
	r.Notes = []string{"no longer in the hive: it is not deployed to any more; its system keeps running while its server exists"}
	return r.finish()
}

// changed compares two systems of a host. differs is false if there is
// nothing to tell and nothing to deploy.
func changed(old, new plans.System, known Known) (h plans.Host, differs bool) {
	r := review{Host: plans.Host{Name: new.Host, Action: plans.Update, Old: old.OutPath, New: new.OutPath}}
	r.AfterApply = afterApply(new, known.Facts)
	if old.Partial != "" || new.Partial != "" {
		r.Settings = deploymentSettings(old, new)
		r.Notes = []string{unknownContents}
		return r.finish(), old.OutPath != new.OutPath || old.DrvPath != new.DrvPath || len(r.Settings) > 0
	}
	if old.DrvPath != new.DrvPath || old.OutPath != new.OutPath || new.DrvPath.IsZero() { // else nothing in it changes
		r.contents(old, new, known)
	}
	r.Reboot = reboot(old.Boot, new.Boot)
	if r.Reboot != "" && volatile(new.Keys) {
		r.Notes = append(r.Notes, "a reboot takes the deployment keys below /run: a deploy puts them back, and so does flotilla deploy --goal keys")
	}
	r.Settings = settings(old, new)
	r.Items = items(old, new)
	r.access = r.access || keysDecideAccess(old.Keys, new.Keys)
	r.sshd(old, new)
	r.lockout(&old, new, known.Logins[new.Host])
	r.moves(known.Moves[new.Host])
	differs = old.OutPath != new.OutPath || old.DrvPath != new.DrvPath || r.Reboot != "" ||
		len(r.Settings)+len(r.Items)+len(r.Units)+len(r.Packages)+len(r.Ports)+len(r.Users)+len(r.Files) > 0
	return r.finish(), differs
}

// contents compares what is in two systems.
func (r *review) contents(old, new plans.System, known Known) {
	active, looked := known.Running[new.Host]
	r.Units = units(old, new, liveState{looked: looked, active: active})
	r.Packages = packages(old.Packages, new.Packages)
	r.Ports = ports(old.Firewall, new.Firewall)
	r.users(members(old), members(new))
	r.Files = bounded(append(files(explained(old), explained(new)), generatedFiles(old.Units, new.Units)...))
	r.access = r.access || slices.ContainsFunc(r.Files, plans.File.DecidesAccess)
}

// finish fills in the risks, and makes lists that JSON shows as [].
func (r *review) finish() plans.Host {
	h := r.Host
	h.Units, h.Packages, h.Ports, h.Users, h.Files = notNil(h.Units), notNil(h.Packages), notNil(h.Ports), notNil(h.Users), notNil(h.Files)
	h.Settings, h.Notes = notNil(h.Settings), notNil(h.Notes)
	h.Risks = notNil(r.risks())
	return h
}

// settings compares what is neither unit nor file: names, deployment settings, images.
func settings(old, new plans.System) []plans.Attribute {
	var list []plans.Attribute
	put := func(name, a, b string) {
		if a != b {
			list = append(list, plans.Attribute{Name: name, Old: a, New: b, Known: true})
		}
	}
	put("networking.hostName", old.HostName, new.HostName)
	put(stateVersion, old.StateVersion, new.StateVersion)
	list = append(list, deploymentSettings(old, new)...)
	return list
}

func deploymentSettings(old, new plans.System) []plans.Attribute {
	var list []plans.Attribute
	put := func(name, a, b string) {
		if a != b {
			list = append(list, plans.Attribute{Name: name, Old: a, New: b, Known: true})
		}
	}
	a, b := old.Deployment, new.Deployment
	put("deployment.targetHost", a.TargetHost, b.TargetHost)
	put("deployment.targetUser", a.TargetUser, b.TargetUser)
	put("deployment.targetPort", number(a.TargetPort), number(b.TargetPort))
	put("deployment.tags", sortedWords(a.Tags), sortedWords(b.Tags))
	put("deployment.buildOnTarget", truth(a.BuildOnTarget), truth(b.BuildOnTarget))
	put("deployment.allowLocalDeployment", truth(a.AllowLocalDeployment), truth(b.AllowLocalDeployment))
	if !old.DrvPath.IsZero() { // defaults of a host that is new are no news
		put("deployment.replaceUnknownProfiles", strconv.FormatBool(a.ReplaceUnknownProfiles), strconv.FormatBool(b.ReplaceUnknownProfiles))
		put("deployment.privilegeEscalationCommand", strings.Join(a.PrivilegeEscalationCommand, " "), strings.Join(b.PrivilegeEscalationCommand, " "))
	}
	put("deployment.sshOptions", strings.Join(a.SSHOptions, " "), strings.Join(b.SSHOptions, " "))
	return list
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func truth(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func sortedWords(words []string) string {
	words = slices.Clone(words)
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ", ")
}

// reboot says why the new system runs in full only after a reboot, "" if it
// does without. Kernel, initrd, modules and parameters are what NixOS's own
// check compares.
func reboot(old, new plans.Boot) string {
	var why []string
	if old.Kernel != new.Kernel {
		switch {
		case new.Kernel == "" || old.Kernel == "":
			why = append(why, "kernel")
		case old.KernelVersion != new.KernelVersion:
			why = append(why, fmt.Sprintf("kernel %s → %s", old.KernelVersion, new.KernelVersion))
		default:
			why = append(why, "kernel (same version, other build)")
		}
	}
	if old.Modules != new.Modules {
		why = append(why, "kernel modules")
	}
	if old.Initrd != new.Initrd {
		why = append(why, "initrd")
	}
	if !slices.Equal(old.Params, new.Params) {
		var parts []string
		for _, p := range added(old.Params, new.Params) {
			parts = append(parts, "+"+p)
		}
		for _, p := range added(new.Params, old.Params) {
			parts = append(parts, "-"+p)
		}
		if len(parts) == 0 {
			parts = []string{"order"}
		}
		why = append(why, "kernel parameters ("+strings.Join(parts, " ")+")")
	}
	return strings.Join(why, ", ")
}

// unknownContents is said of a system of which only its path is known.
const unknownContents = "what changes in the system could not be evaluated"

const stateVersion = "system.stateVersion"
