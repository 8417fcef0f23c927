package deploy

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// maxBetween is how many commits between the deployed revision and the merged
// one are looked at: more wait for no deploy.
const maxBetween = 200

// deployedTrees are the revisions that the account may be as.
type deployedTrees struct {
	view   *view
	newest tree            // the newest that labels, or the caller, name; HEAD if none does
	own    map[string]tree // by server: what was deployed to it last, where that is another
	known  bool            // newest was named
}

// driftedResources finds what was changed at the provider. Which revision a
// resource was brought to is known for hosts alone, and a deploy of some hosts
// or a rollback makes them differ. So a resource has drifted if it is as none
// of the revisions from the deployed to the merged one declares it; a server
// may also be as its own deployed revision, and what an unfinished deploy has
// left in place as an older one.
func (v *view) driftedResources(ctx context.Context, w *workspace, opts DriftOptions, d *plans.Drift) {
	trees := v.deployed(ctx, w, opts.Deployed, d)
	d.Looked.Account = true
	if !trees.known && emptyAccount(v.account) {
		d.Notes = append(d.Notes, plans.Gap{Subject: "account", Text: "Nothing of this fleet exists at the provider: it was not deployed yet."})
		return
	}
	if trees.known {
		d.Deployed = trees.newest.Revision
	}
	found := trees.differences(ctx, opts.On, trees.newest)
	if len(found) > 0 && trees.newest.Revision.Commit != v.tree.Revision.Commit {
		found = inBoth(found, trees.differences(ctx, opts.On, v.tree))
	}
	if len(found) > 0 {
		var err error
		if found, err = trees.between(ctx, w, opts.On, found); err != nil {
			d.Missing = append(d.Missing, gap("history since the deployed revision", err))
		}
	}
	found = trees.byOwn(ctx, opts.On, found)
	for i, r := range found {
		found[i].Note = v.lostLabel(r)
	}
	d.Resources = found
	d.Notes = append(d.Notes, v.foreign()...)
	if !trees.known && len(found) > 0 {
		d.Notes = append(d.Notes, plans.Gap{Subject: "account", Text: "No label tells which revision is deployed, so what exists is held against the merged one: what waits for a deploy shows as drift."})
	}
}

// deployed finds the revisions that labels, or the caller, name. One that cannot
// be read leaves a gap.
func (v *view) deployed(ctx context.Context, w *workspace, given string, d *plans.Drift) *deployedTrees {
	t := &deployedTrees{view: v, newest: v.tree, own: map[string]tree{}}
	trees := map[string]tree{}
	missing := func(commit string, err error) {
		d.Missing = append(d.Missing, gap("deployed revision "+short(plans.Revision{Commit: commit}), err))
	}
	get := func(commit string) tree {
		if old, done := trees[commit]; done || commit == "" {
			return old
		}
		old, err := w.deployedTree(ctx, commit)
		if err != nil {
			missing(commit, err)
			old = tree{Empty: true}
		}
		trees[commit] = old
		return old
	}
	get(given)
	for _, name := range slices.Sorted(maps.Keys(v.account.Servers)) {
		if commit := v.account.Servers[name].Published.Commit; commit != "" {
			if old := get(commit); !old.Empty {
				t.own[name] = old
			}
		}
	}
	for _, commit := range slices.Sorted(maps.Keys(trees)) {
		old := trees[commit]
		if old.Empty {
			continue
		}
		if !t.known {
			t.newest, t.known = old, true
			continue
		}
		later, err := w.repo.Contains(ctx, old.Revision.Commit, t.newest.Revision.Commit)
		if err != nil {
			missing(commit, err)
		}
		if later {
			t.newest = old
		}
	}
	return t
}

// differences is what would lead from what exists to a revision.
func (t *deployedTrees) differences(ctx context.Context, on fleet.Selector, to tree) []plans.Resource {
	account := t.view.account
	if !reflect.DeepEqual(references(to.Fleet), references(t.view.tree.Fleet)) {
		// What it refers to may be gone, which is no business of another revision.
		if other, err := t.view.client.Account(ctx, to.Fleet); err == nil {
			account = other
		}
	}
	desired, actual := limit(on, t.view.tags, to.Fleet, account)
	return slices.DeleteFunc(provision.Diff(desired, actual, provision.Options{}), func(r plans.Resource) bool { return !provision.Changes(r) })
}

// between holds what differs against the revisions after the newest deployed
// one: labels do not tell of a deploy of the infrastructure alone, nor of what
// the infrastructure was brought to before hosts were rolled back. With an error
// what is left may still be as one of the revisions that could not be read.
func (t *deployedTrees) between(ctx context.Context, w *workspace, on fleet.Selector, found []plans.Resource) ([]plans.Resource, error) {
	file := filepath.Join(t.view.tree.Prefix, configFile)
	commit := t.view.tree.Revision.Commit
	for range maxBetween {
		if commit == t.newest.Revision.Commit || len(found) == 0 {
			return found, nil
		}
		parent, err := w.repo.FirstParent(ctx, commit)
		if err != nil || parent == "" {
			return found, err
		}
		changed, err := w.repo.Changed(ctx, parent, commit)
		if err != nil {
			return found, err
		}
		if slices.Contains(changed, file) {
			if old, err := w.export(ctx, plans.Revision{Commit: parent}); err == nil && !old.Empty {
				found = inBoth(found, t.differences(ctx, on, old))
			}
		}
		commit = parent
	}
	return found, nil
}

// byOwn leaves out servers that are as their own deployed revision declares
// them, and what an older one of these declares and is to go once a deploy ends
// well everywhere.
func (t *deployedTrees) byOwn(ctx context.Context, on fleet.Selector, found []plans.Resource) []plans.Resource {
	for _, name := range slices.Sorted(maps.Keys(t.own)) {
		old := t.own[name]
		if old.Revision.Commit == t.newest.Revision.Commit || len(found) == 0 {
			continue
		}
		still := t.differences(ctx, on, old)
		found = slices.DeleteFunc(found, func(r plans.Resource) bool {
			of := r.Kind == plans.KindServer && r.Name == name || r.Action == plans.Destroy
			return of && find(still, r) == nil
		})
	}
	return found
}

// inBoth gives those of found that differ in other as well.
func inBoth(found, other []plans.Resource) []plans.Resource {
	return slices.DeleteFunc(found, func(r plans.Resource) bool { return find(other, r) == nil })
}

// references names what a fleet refers to without owning it.
func references(f fleet.Fleet) []string {
	var all []string
	add := func(section, name string, existing bool) {
		if existing {
			all = append(all, section+"/"+name)
		}
	}
	for name, r := range f.Networks {
		add("networks", name, r.Existing)
	}
	for name, r := range f.SSHKeys {
		add("ssh_keys", name, r.Existing)
	}
	for name, r := range f.Firewalls {
		add("firewalls", name, r.Existing)
	}
	for name, r := range f.PlacementGroups {
		add("placement_groups", name, r.Existing)
	}
	for name, r := range f.Volumes {
		add("volumes", name, r.Existing)
	}
	for name, r := range f.PrimaryIPs {
		add("primary_ips", name, r.Existing)
	}
	slices.Sort(all)
	return all
}

// emptyAccount tells that nothing of the fleet exists.
func emptyAccount(a fleet.Account) bool {
	owned := len(a.Servers) + len(a.LoadBalancers)
	count := func(is bool) {
		if is {
			owned++
		}
	}
	for _, r := range a.Networks {
		count(r.Owned)
	}
	for _, r := range a.SSHKeys {
		count(r.Owned)
	}
	for _, r := range a.Firewalls {
		count(r.Owned)
	}
	for _, r := range a.PlacementGroups {
		count(r.Owned)
	}
	for _, r := range a.Volumes {
		count(r.Owned)
	}
	for _, r := range a.PrimaryIPs {
		count(r.Owned)
	}
	return owned == 0
}

// lostLabel tells of what is missing only because the fleet's label is.
func (v *view) lostLabel(r plans.Resource) string {
	if r.Action != plans.Create {
		return ""
	}
	for _, u := range v.account.Unmanaged {
		if u.Name == r.Name && u.Section == string(r.Kind)+"s" && u.Fleet == "" {
			return fmt.Sprintf("The project has %s %q without the label of a fleet. If it is this one: flotilla adopt %s", noun(u.Section), u.Name, u.Name)
		}
	}
	return ""
}

// foreign tells of what others have made in the project or of the fleet's
// resources, and no deploy touches.
func (v *view) foreign() []plans.Gap {
	account, there := v.account, v.tree.Fleet
	account.Unmanaged, account.Servers = nil, maps.Clone(account.Servers)
	there.Servers = map[string]fleet.Server{}
	for name, have := range account.Servers {
		s, declared := v.tree.Fleet.Servers[name]
		if !declared {
			continue
		}
		s.ServerType, have.Status = have.ServerType, "" // drift of its own
		there.Servers[name], account.Servers[name] = s, have
	}
	gaps := provision.Warnings(there, account, fleet.Catalog{})
	if line := unmanaged(v.tree.Fleet, v.account); line != "" {
		gaps = append(gaps, plans.Gap{Subject: "account", Text: line})
	}
	return gaps
}
