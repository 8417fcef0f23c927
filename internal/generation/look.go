package generation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// seen is what look tells beyond fleet.HostState.
type seen struct {
	fleet.HostState
	valid      bool   // the running system is valid in the store
	switchable bool   // and has a switch-to-configuration
	lockToken  string // of the lock, "" if free
}

// Look reads what the host is and runs. Where the boot loader cannot be read,
// BootDefault is zero.
func (h *Host) Look(ctx context.Context) (fleet.HostState, error) {
	w := h.wire()
	defer w.close()
	var s seen
	err := h.report.Do(progress.Look, func() (err error) {
		s, err = h.look(ctx, w)
		return err
	})
	return s.HostState, err
}

func (h *Host) look(ctx context.Context, w *wire) (seen, error) {
	out, err := w.run(ctx, lookCommand())
	if err != nil {
		return seen{}, &problem.Problem{Summary: fmt.Sprintf("cannot look at %s", h.name), Cause: err}
	}
	s, err := parseLook(out)
	if err != nil {
		return seen{}, &problem.Problem{Summary: fmt.Sprintf("cannot read what %s says of itself", h.name), Cause: err}
	}
	return s, nil
}

// fields reads "key value" lines.
type fields struct {
	errs []error
}

func (f *fields) path(key, value string) storepath.Path {
	p, err := storepath.Parse(value)
	f.keep(key, err)
	return p
}

func (f *fields) number(key, value string) int64 {
	n, err := strconv.ParseInt(value, 10, 64)
	f.keep(key, err)
	return n
}

func (f *fields) keep(key string, err error) {
	if err != nil {
		f.errs = append(f.errs, fmt.Errorf("%s: %w", key, err))
	}
}

// parseLook reads the answer to look.
func parseLook(out string) (seen, error) {
	var s seen
	var f fields
	unfinished := func() *fleet.Unfinished {
		if s.Unfinished == nil {
			s.Unfinished = &fleet.Unfinished{}
		}
		return s.Unfinished
	}
	complete := false
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if value == "" && key != "end" {
			continue // not known
		}
		switch key {
		case "nixos":
			s.NixOS = value == "yes"
		case "running":
			s.Running = f.path(key, value)
		case "booted":
			// A host that was not booted from a system has something else there.
			s.Booted, _ = storepath.Parse(value)
		case "boot-default":
			s.BootDefault, _ = storepath.Parse(value)
		case "valid":
			s.valid = true
		case "switchable":
			s.switchable = true
		case "profile":
			s.Profile = f.path(key, value)
		case "generation":
			s.Generation = int(f.number(key, value))
		case "boot-id":
			s.BootID = value
		case "uptime":
			seconds, err := strconv.ParseFloat(value, 64)
			f.keep(key, err)
			s.Uptime = time.Duration(seconds * float64(time.Second))
		case "free-nix":
			s.FreeNix = f.number(key, value) * 1024
		case "free-boot":
			s.FreeBoot = f.number(key, value) * 1024
		case "systemd":
			s.SystemdState = value
		case "failed":
			s.FailedUnits = append(s.FailedUnits, value)
		case "active":
			s.ActiveUnits = append(s.ActiveUnits, value)
		case "hold":
			s.Hold = &fleet.Hold{}
			f.keep(key, json.Unmarshal([]byte(value), s.Hold))
		case "last":
			// A line that the power cut short is no reason to refuse the host.
			var r fleet.Record
			if json.Unmarshal([]byte(value), &r) == nil {
				s.Last = &r
			}
		case "bad":
			s.FailedSystems = append(s.FailedSystems, f.path(key, value))
		case "key-missing":
			s.MissingKeys = append(s.MissingKeys, plain(value))
		case "lock":
			s.lockToken, s.LockedBy, _ = strings.Cut(value, " ")
			s.LockedBy = plain(s.LockedBy)
		case "unfinished":
			unfinished().ID, unfinished().State, _ = strings.Cut(value, " ")
		case "unfinished-old":
			unfinished().Old = f.path(key, value)
		case "unfinished-new":
			unfinished().New = f.path(key, value)
		case "unfinished-boot":
			unfinished().BootID = value
		case "unfinished-armed":
			unfinished().Armed = true
		case "end":
			complete = true
		}
	}
	if !complete {
		return seen{}, fmt.Errorf("the answer is not complete (%d bytes)", len(out))
	}
	return s, errors.Join(f.errs...)
}
