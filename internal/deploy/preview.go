package deploy

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/config"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// infrastructure names the top-level keys of flotilla.yaml that a plan takes
// from the head: what is only compared and evaluated. All others (how to log
// in, what is asked with which token, policy, and what will be added one day)
// say what Flotilla itself does, and come from the base.
func infrastructure() []string {
	return []string{
		"hive", "flake", "networks", "ssh_keys", "firewalls", "placement_groups", "primary_ips", "volumes", "servers", "load_balancers", "moved",
	}
}

// preview is the fleet that a change which nobody merged is planned with: the
// head's infrastructure, and everything else as the base has it.
func preview(base, head fleet.Fleet) fleet.Fleet {
	f := base
	if f.Name == "" { // the base has no flotilla.yaml
		f.Name = head.Name
	}
	f.Hive = head.Hive
	f.Networks, f.SSHKeys, f.Servers = head.Networks, head.SSHKeys, head.Servers
	f.Firewalls, f.PlacementGroups, f.Volumes = head.Firewalls, head.PlacementGroups, head.Volumes
	f.PrimaryIPs, f.LoadBalancers, f.Moved = head.PrimaryIPs, head.LoadBalancers, head.Moved
	return f
}

// unpreviewed names what of the head was not used, with file and line. What
// leaves a hole in the plan is missing, the rest a warning: it takes effect
// when it is merged, and a plan does nothing with it.
func unpreviewed(base, head tree) (missing, warnings []plans.Gap) {
	if base.Empty || reflect.DeepEqual(preview(base.Fleet, head.Fleet), head.Fleet) {
		return nil, nil
	}
	all, err := config.Differences(filepath.Join(base.Dir, configFile), filepath.Join(head.Dir, configFile), infrastructure()...)
	if err != nil || len(all) == 0 {
		all = []config.Difference{{Key: "what is not infrastructure", At: problem.Position{File: filepath.Join(head.Dir, configFile)}}}
	}
	for _, section := range sections(all) {
		var keys []string
		var first problem.Position
		for _, d := range all {
			if sectionOf(d) != section {
				continue
			}
			if file, err := filepath.Rel(head.Root, d.At.File); err == nil {
				d.At.File = file
			}
			if len(keys) == 0 {
				first = d.At
			}
			keys = append(keys, fmt.Sprintf("%s (%s)", d.Key, d.At))
		}
		g := plans.Gap{Subject: section, Text: listed(keys, 8) + ": this cannot be previewed. " + reason(section), At: first, Policy: true}
		if section == "provider" && !sameAccount(base.Fleet, head.Fleet) {
			g.Subject = "account"
			missing = append(missing, g)
		} else {
			warnings = append(warnings, g)
		}
	}
	return missing, warnings
}

func sectionOf(d config.Difference) string {
	section, _, _ := strings.Cut(d.Key, ".")
	return section
}

func sections(all []config.Difference) []string {
	var names []string
	for _, d := range all {
		if !slices.Contains(names, sectionOf(d)) {
			names = append(names, sectionOf(d))
		}
	}
	return names
}

func reason(section string) string {
	switch section {
	case "provider":
		return "What a plan asks, where and with which token, is what the base says; after the merge it is what stands here."
	case "fleet":
		return "The plan is one of the fleet as the base names it; under another name everything that exists is somebody else's."
	case "ssh":
		return "A plan logs in nowhere and looks keys up as the base says; after the merge deploys log in as it stands here."
	default:
		return "A plan acts on nothing of it; deploys do after the merge."
	}
}

// sameAccount tells whether two fleets ask for the same at the same provider
// with the same token.
func sameAccount(a, b fleet.Fleet) bool {
	if a.Hetzner == nil || b.Hetzner == nil {
		return a.Hetzner == b.Hetzner
	}
	x, y := *a.Hetzner, *b.Hetzner
	x.PollInterval, y.PollInterval = 0, 0
	return reflect.DeepEqual(x, y)
}

// revisions resolves base and head.
func (w *workspace) revisions(ctx context.Context, opts PlanOptions) (base, head plans.Revision, err error) {
	name := opts.Head
	if name == "" {
		name = "HEAD"
	}
	if head, err = w.repo.Resolve(ctx, name); err != nil {
		return base, head, err
	}
	if opts.Base != "" {
		base, err = w.repo.Resolve(ctx, opts.Base)
		return base, head, err
	}
	parents, err := w.repo.Parents(ctx, head.Commit)
	if err != nil {
		return base, head, err
	}
	// The commits of a pull request are its author's choice, down to their
	// parents: only what the server merged has a base before it that was reviewed.
	if opts.untrusted() && len(parents) < 2 {
		return base, head, &problem.Problem{
			Summary: fmt.Sprintf("commit %s is not the merge of a pull request, so its base is not known", short(head)),
			Hints:   []string{"Plan the merge commit of the event pull_request (actions/checkout takes it by itself), or name the base."},
			Code:    problem.Usage,
		}
	}
	if len(parents) == 0 {
		return base, head, nil
	}
	base, err = w.repo.Resolve(ctx, parents[0])
	return base, head, err
}

// staysInside refuses a tree whose fleet folder is a link out of it.
func staysInside(t tree) error {
	root, err := filepath.EvalSymlinks(t.Root)
	if err != nil {
		return err
	}
	dir, err := filepath.EvalSymlinks(t.Dir)
	if err != nil {
		return nil //nolint:nilerr // there is no such folder, and so no flotilla.yaml
	}
	if way, err := filepath.Rel(root, dir); err != nil || !filepath.IsLocal(way) {
		return &problem.Problem{
			Summary: fmt.Sprintf("%s of commit %s leads out of the repository", t.Prefix, short(t.Revision)),
			Hints:   []string{"It is a symbolic link. Make it a folder, or let it lead to one in the repository."},
			Code:    problem.Usage,
		}
	}
	return nil
}
