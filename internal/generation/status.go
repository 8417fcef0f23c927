package generation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// state is where a deployment stands, as the host keeps it.
type state string

const (
	stateNone       state = "none" // there never was one
	stateArmed      state = "armed"
	stateActivating state = "activating"
	stateCommitting state = "committing"
	stateReturning  state = "returning"
	stateDone       state = "done"
	stateReturned   state = "returned"
	stateDisarmed   state = "disarmed"
)

// ended tells whether nothing more happens by itself.
func (s state) ended() bool {
	return s == stateNone || s == stateDone || s == stateReturned || s == stateDisarmed
}

// status is what the host says of a deployment.
type status struct {
	state       state
	rc          *int // exit code of the activation
	busy        []string
	decision    string // commit, return, disarm or ""
	how         string // guard (""), asked, reboot, commit
	why         string
	unbootable  bool
	down        []string
	left        time.Duration // until the guard
	sameBoot    bool
	armed       bool
	running     storepath.Path
	profile     storepath.Path
	bootDefault storepath.Path
	generation  int
	old, new    storepath.Path // by settle alone
	was         storepath.Path // the profile before; by settle alone
	id          string         // by settle alone
	told        bool
	locked      string // holder; by settle alone
	action      string // by settle alone
	size        int64  // of the log
	log         string
}

// parseStatus reads the answer to status and settle. What follows the line
// "log" is the log's text.
func parseStatus(out string) (status, error) {
	var s status
	var f fields
	rest := out
	for rest != "" {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		key, value, _ := strings.Cut(line, " ")
		if value == "" {
			continue
		}
		switch key {
		case "state":
			s.state = state(value)
		case "rc":
			n := int(f.number(key, value))
			s.rc = &n
		case "busy":
			s.busy = append(s.busy, value)
		case "decision":
			s.decision = value
		case "how":
			s.how = value
		case "why":
			f.keep(key, json.Unmarshal([]byte(value), &s.why))
		case "unbootable":
			s.unbootable = true
		case "down":
			s.down = append(s.down, plain(value))
		case "left":
			s.left = time.Duration(f.number(key, value)) * time.Second
		case "same-boot":
			s.sameBoot = true
		case "armed":
			s.armed = true
		case "told":
			s.told = true
		case "running":
			s.running, _ = storepath.Parse(value) // zero: it runs none
		case "profile":
			s.profile, _ = storepath.Parse(value)
		case "boot-default":
			s.bootDefault, _ = storepath.Parse(value)
		case "generation":
			s.generation = int(f.number(key, value))
		case "old":
			s.old = f.path(key, value)
		case "new":
			s.new = f.path(key, value)
		case "was":
			s.was = f.path(key, value)
		case "id":
			s.id = value
			f.keep(key, checkID(value))
		case "locked":
			s.locked = plain(value)
		case "action":
			s.action = value
		case "log":
			s.size = f.number(key, value)
			s.log, rest = rest, ""
		}
	}
	if s.state == "" && s.locked == "" {
		return status{}, fmt.Errorf("the answer has no state (%d bytes)", len(out))
	}
	return s, errors.Join(f.errs...)
}

func (s status) isBusy(unit string) bool {
	for _, b := range s.busy {
		if b == unit {
			return true
		}
	}
	return false
}

// boots is the boot default as far as it can be read, else what the profile says.
func (s status) boots() storepath.Path {
	if s.bootDefault.IsZero() {
		return s.profile
	}
	return s.bootDefault
}

// status asks once.
func (a *attempt) status(ctx context.Context, wait time.Duration) (status, error) {
	out, err := a.wire.run(ctx, statusCommand(a.req.ID, a.offset, wait))
	if err != nil {
		return status{}, err
	}
	s, err := parseStatus(out)
	if err != nil {
		return status{}, err
	}
	a.take(s.log)
	return s, nil
}

// take hands on new lines of the log. A line without its end waits.
func (a *attempt) take(text string) {
	a.offset += int64(len(text))
	a.part += text
	for {
		line, rest, found := strings.Cut(a.part, "\n")
		if !found {
			return
		}
		a.part = rest
		a.line(line)
	}
}

func (a *attempt) line(text string) {
	a.touched.read(text)
	text = plain(text)
	a.host.report.Log(a.step, text)
	a.log = append(a.log, text)
	if len(a.log) > maxLog {
		a.log = a.log[1:]
	}
}
