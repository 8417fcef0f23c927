package generation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// maxRecords is what a host keeps.
const maxRecords = 500

// Records gives the host's newest n records, newest first. n of 0 gives all.
func (h *Host) Records(ctx context.Context, n int) ([]fleet.Record, error) {
	w := h.wire()
	defer w.close()
	return h.records(ctx, w, n)
}

func (h *Host) records(ctx context.Context, w *wire, n int) ([]fleet.Record, error) {
	if n <= 0 {
		n = maxRecords
	}
	out, err := w.run(ctx, recordsCommand(n))
	if err != nil {
		return nil, &problem.Problem{Summary: fmt.Sprintf("cannot read the history of %s", h.name), Cause: err}
	}
	return parseRecords(out), nil
}

// parseRecords reads JSON lines, oldest first, and turns them round. A line
// that is no record is left out.
func parseRecords(out string) []fleet.Record {
	var records []fleet.Record
	for line := range strings.Lines(out) {
		var r fleet.Record
		if json.Unmarshal([]byte(line), &r) == nil && r.ID != "" {
			records = append(records, r)
		}
	}
	slices.Reverse(records)
	return records
}

// Confirmed gives the systems that a host can be rolled back to: those whose
// deployment was confirmed, newest first, each once, as far as they are still
// in the host's store. Last, with Outcome Unchanged, comes what ran before the
// first deployment. Old is what the system came after when it was deployed,
// also if the newest record is a rollback to it.
func (h *Host) Confirmed(ctx context.Context) ([]fleet.Record, error) {
	w := h.wire()
	defer w.close()
	records, err := h.records(ctx, w, 0)
	if err != nil {
		return nil, err
	}
	confirmed := confirmed(records)
	if len(confirmed) == 0 {
		return nil, nil
	}
	systems := make([]storepath.Path, 0, len(confirmed))
	for _, r := range confirmed {
		systems = append(systems, r.System)
	}
	out, err := w.run(ctx, presentCommand(systems))
	if err != nil {
		return nil, &problem.Problem{Summary: fmt.Sprintf("cannot look into the store of %s", h.name), Cause: err}
	}
	present := strings.Fields(out)
	return slices.DeleteFunc(confirmed, func(r fleet.Record) bool {
		return !slices.Contains(present, r.System.String())
	}), nil
}

func confirmed(records []fleet.Record) []fleet.Record {
	var list []fleet.Record
	var first fleet.Record
	add := func(r fleet.Record) {
		if !r.System.IsZero() && !slices.ContainsFunc(list, func(o fleet.Record) bool { return o.System == r.System }) {
			list = append(list, r)
		}
	}
	for i, r := range records {
		if r.Outcome == fleet.Deployed {
			first = r
			r.Old = cameAfter(records[i:])
			add(r)
		}
	}
	add(fleet.Record{
		ID: "initial", Kind: fleet.RecordDeploy, Outcome: fleet.Unchanged, System: first.Old, At: first.At,
		Reason: "ran before the first deployment",
	})
	return list
}

// cameAfter gives what ran before the system of the first of records (newest
// first) was deployed. A rollback's own Old is what it went away from.
func cameAfter(records []fleet.Record) storepath.Path {
	for _, r := range records {
		if r.Outcome == fleet.Deployed && r.Kind != fleet.RecordRollback && r.System == records[0].System && r.Old != r.System {
			return r.Old
		}
	}
	return storepath.Path{}
}

// previous picks where a rollback goes that names nothing: what the running
// system came after, so that a second rollback goes further back and never to
// what the first one went away from. A host that runs something else than was
// confirmed last goes back to that.
func previous(confirmed []fleet.Record, running storepath.Path) (fleet.Record, bool) {
	if len(confirmed) == 0 {
		return fleet.Record{}, false
	}
	top := confirmed[0]
	if top.System != running {
		return top, true
	}
	if i := slices.IndexFunc(confirmed, func(r fleet.Record) bool { return r.System == top.Old }); i >= 0 {
		return confirmed[i], true
	}
	// It came after something that was switched to by hand.
	if top.Kind != fleet.RecordRollback && len(confirmed) > 1 {
		return confirmed[1], true
	}
	return fleet.Record{}, false
}

// Target picks the record of confirmed (as Confirmed gives it) that a rollback
// from running goes to: for "previous" or "" the system before it, a number is
// a generation, anything else the beginning of a commit of at least four
// characters.
func Target(confirmed []fleet.Record, running storepath.Path, to string) (fleet.Record, error) {
	generation, notNumber := strconv.Atoi(to)
	if to == "" || to == "previous" {
		if r, ok := previous(confirmed, running); ok {
			return r, nil
		}
		confirmed = nil // no other is meant
	}
	for _, r := range confirmed {
		switch {
		case notNumber == nil && r.Generation == generation && generation > 0:
			return r, nil
		case len(to) >= 4 && strings.HasPrefix(r.Commit, to):
			return r, nil
		}
	}
	var known []string
	for _, r := range confirmed {
		known = append(known, fmt.Sprintf("generation %d, commit %.12s, %s", r.Generation, r.Commit, r.System.Base()))
	}
	p := &problem.Problem{
		Summary: fmt.Sprintf("no confirmed system %q to go back to", to),
		Detail:  strings.Join(known, "\n"),
		Hints:   []string{"Name previous, a generation or a commit of the list above."},
		Code:    problem.Refused,
	}
	if to == "" || to == "previous" {
		p.Summary = "there is no older confirmed system to go back to"
		p.Hints = []string{"Name a generation or a commit with --to; flotilla history shows them."}
	}
	return fleet.Record{}, p
}

// Hold keeps the host where it is until Release. The time is the host's.
func (h *Host) Hold(ctx context.Context, hold fleet.Hold) error {
	return h.tell(ctx, holdCommand(hold.By, hold.Reason), "hold")
}

// Release lets deploys reach the host again.
func (h *Host) Release(ctx context.Context) error {
	return h.tell(ctx, releaseCommand(), "release")
}

// Root keeps the garbage collector from a system that was pushed. Call it
// before the push's own protection ends.
func (h *Host) Root(ctx context.Context, system storepath.Path) error {
	return h.tell(ctx, rootCommand(system), "make a garbage collector root on")
}

func (h *Host) tell(ctx context.Context, c command, what string) error {
	w := h.wire()
	defer w.close()
	if _, err := w.run(ctx, c); err != nil {
		return &problem.Problem{Summary: fmt.Sprintf("cannot %s %s: %s", what, h.name, said(err)), Cause: err}
	}
	return nil
}
