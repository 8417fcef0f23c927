// Package terraform reads a Terraform configuration that uses the hcloud
// provider, and its state where there is one, into a fleet.Fleet.
//
// Its rule: what Terraform would have made is carried over exactly, the
// provider's defaults included, so that a plan after taking the servers over
// is empty; and nothing is dropped silently: what has no place in a fleet is a
// Gap with file, line and what to do instead. The way is text → folders
// (parse) → values, each evaluated when something asks for it (scope) →
// resources with their instances (instance) → fleet.Fleet (build). Input may
// be hostile: sizes, depths, counts and the work of evaluation are bounded,
// nothing is run, and no network is asked.
//
// It does not plan, does not talk to the provider, and does not write
// flotilla.yaml: its callers print the fleet.
package terraform

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Options are what an import takes beside the folder.
type Options struct {
	Fleet    string   // the fleet's name; "": made from the folder's
	State    string   // path of a terraform.tfstate of version 4; "": none
	VarFiles []string // paths of further .tfvars files; the last wins
}

// Import is what came of a folder. Fleet holds the name, the provider and the
// resources; login, rollout and hosts are empty, because Terraform knows
// nothing of them.
type Import struct {
	Fleet fleet.Fleet
	Gaps  []Gap // by file and line
}

// Gap is something that was not carried over, or not as it stands.
type Gap struct {
	At      problem.Position
	Address string // of the resource, variable … as Terraform writes it
	What    string // what is missing in the fleet and why, one line
	Instead string // what to do about it, one sentence; may be empty
}

// String is the gap in one line.
func (g Gap) String() string {
	text := g.What
	if g.Address != "" {
		text = g.Address + ": " + text
	}
	if g.At.File != "" {
		text = g.At.String() + ": " + text
	}
	if g.Instead != "" {
		text += " -> " + g.Instead
	}
	return printable(text)
}

// Read imports the folder dir. The error joins one *problem.Problem per
// mistake in the files; a folder without mistakes gives an Import, however
// much of it has no place in a fleet.
func Read(ctx context.Context, dir string, o Options) (out Import, err error) {
	defer func() {
		// The libraries that parse and evaluate are not ours: a panic of theirs must not be ours either.
		if r := recover(); r != nil {
			out, err = Import{}, &problem.Problem{
				Summary: "cannot be evaluated", At: problem.Position{File: dir}, Detail: printable(fmt.Sprint(r)),
				Hints: []string{"Run terraform validate: if that finds nothing, please report this with the file that causes it."},
			}
		}
	}()
	in, err := newImporter(ctx, dir, o)
	if err != nil {
		return Import{}, err
	}
	root := in.open()
	if err := in.err(); err != nil {
		return Import{}, err
	}
	f := newBuilder(in, root).build()
	if f.Name = o.Fleet; f.Name == "" {
		f.Name = fleetName(dir)
	}
	if err := in.err(); err != nil {
		return Import{}, err
	}
	return Import{Fleet: f, Gaps: in.sortedGaps()}, nil
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9]+`)

// fleetName makes a fleet's name from a folder's.
func fleetName(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	name := notInName.ReplaceAllString(filepath.Base(dir), "-")
	name = trimDashes(name)
	if len(name) > 32 {
		name = trimDashes(name[:32])
	}
	if name == "" {
		return "fleet"
	}
	return name
}

func trimDashes(s string) string {
	for len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	for len(s) > 0 && s[len(s)-1] == '-' {
		s = s[:len(s)-1]
	}
	return s
}
