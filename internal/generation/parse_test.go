package generation

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParseLook(t *testing.T) {
	s, err := parseLook(read(t, "look.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if !s.NixOS || !s.valid || !s.switchable || s.Running != path(t, "nixos-system-web-1") || s.Profile != s.Running || s.BootDefault != s.Running {
		t.Errorf("got %+v", s)
	}
	if s.Generation != 12 || s.FreeNix != 2048<<10 || s.Uptime.Seconds() != 4711.5 || s.SystemdState != "degraded" {
		t.Errorf("got %+v", s)
	}
	if !reflect.DeepEqual(s.FailedUnits, []string{"backup.service"}) || len(s.ActiveUnits) != 2 {
		t.Errorf("units: %v, %v", s.FailedUnits, s.ActiveUnits)
	}
	if s.Hold == nil || s.Hold.By != "anna" || s.Hold.At.IsZero() || s.LockedBy != "run 7 of ci" || s.lockToken != "TOKEN" {
		t.Errorf("hold %+v, lock %q %q", s.Hold, s.lockToken, s.LockedBy)
	}
	if s.Last == nil || s.Last.Outcome != fleet.RolledBack || len(s.FailedSystems) != 1 {
		t.Errorf("last %+v, bad %v", s.Last, s.FailedSystems)
	}
	if s.Unfinished == nil || s.Unfinished.State != "activating" || !s.Unfinished.Armed || s.Unfinished.Old.IsZero() {
		t.Errorf("unfinished %+v", s.Unfinished)
	}
	whole := read(t, "look.txt")
	if _, err := parseLook(whole[:len(whole)-5]); err == nil {
		t.Error("an answer without its end was taken")
	}
}

func TestParseStatus(t *testing.T) {
	s, err := parseStatus(read(t, "status.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if s.state != stateActivating || s.rc == nil || *s.rc != 4 || !s.isBusy("guard") || s.decision != "return" || s.why != `status "500"` ||
		!s.sameBoot || !s.armed || s.left.Seconds() != 42 || s.size != 31 || s.log != "state none\nrc 0\nthe log itself\n" || s.down[0] != "nginx.service" {
		t.Errorf("got %+v", s)
	}
}

func FuzzAnswers(f *testing.F) {
	for _, name := range []string{"look.txt", "status.txt", "units.txt"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		// What a host says must never break the controller, and an answer that
		// is taken has what decisions are made of.
		if s, err := parseLook(text); err == nil && !strings.Contains(text, "end") {
			t.Errorf("took %+v", s)
		}
		if s, err := parseStatus(text); err == nil && s.state == "" && s.locked == "" {
			t.Errorf("took %+v", s)
		}
		if u, err := parseUnits(text); err == nil {
			u.judge(&touched{})
		}
		for _, r := range parseRecords(text) {
			if r.ID == "" {
				t.Error("took a record without an id")
			}
		}
		var seen touched
		seen.read(text)
		for _, unit := range seen.up() {
			if !unitForm.MatchString(unit) {
				t.Errorf("took unit %q", unit)
			}
		}
		if got := plain(text); strings.ContainsAny(got, "\n\r\x1b\x00") || len([]rune(got)) > maxText+2 {
			t.Errorf("plain gives %q", got)
		}
	})
}

func TestUnits(t *testing.T) {
	u, err := parseUnits(read(t, "units.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var seen touched
	for _, line := range []string{
		"stopping the following units: gone.service, nginx.service",
		"NOT restarting the following changed units: dbus.service",
		"starting the following units: nginx.service, once.service, slow.service, broken.service, -rm.service, $(x).service",
		"restarting the following units: sshd.service",
	} {
		seen.read(line)
	}
	bad, wait, warnings := u.judge(&seen)
	if want := []string{"mine.service has failed", "broken.service is inactive (dead, exit-code)"}; !reflect.DeepEqual(bad, want) {
		t.Errorf("bad: %q", bad)
	}
	if !wait || !reflect.DeepEqual(u.moving(), []string{"slow.service"}) {
		t.Error("slow.service is not waited for")
	}
	if want := []string{
		"other.service has failed meanwhile; the switch did not touch it",
		"keeper.service was active before and is not now; the switch did not touch it",
	}; !reflect.DeepEqual(warnings, want) {
		t.Errorf("warnings: %q", warnings)
	}
	if !seen.begun || !seen.reachesIn() || seen.has("dbus.service") {
		t.Errorf("got %+v", seen)
	}
	if want := []string{"broken.service", "nginx.service", "once.service", "slow.service", "sshd.service"}; !reflect.DeepEqual(seen.up(), want) {
		t.Errorf("up: %q", seen.up())
	}
}

// TestNothingChanged: only what a switch says before it begins may be taken for
// "nothing was changed".
func TestNothingChanged(t *testing.T) {
	for line, begun := range map[string]bool{
		"Pre-switch check 'x' failed":                  false,
		"Failed to start x.service: reason":            true,
		"activating the configuration...":              true,
		"stopping the following units: x.service":      true,
		"the following new units were started: x.path": true,
	} {
		var seen touched
		if seen.read(line); seen.begun != begun {
			t.Errorf("%q: begun is %v", line, seen.begun)
		}
	}
}

func TestTarget(t *testing.T) {
	records := parseRecords(read(t, "history.txt"))
	if len(records) != 5 || records[0].ID != "d5" {
		t.Fatalf("got %+v", records)
	}
	list := confirmed(records)
	var ids []string
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	if !reflect.DeepEqual(ids, []string{"d5", "d3", "initial"}) {
		t.Fatalf("confirmed are %q", ids)
	}
	running := list[0].System
	for to, want := range map[string]string{"": "d3", "previous": "d3", "3": "d3", "abcd": "d3", "aaaaaaa": "d5"} {
		if r, err := Target(list, running, to); err != nil || r.ID != want {
			t.Errorf("%q: got %s, %v; want %s", to, r.ID, err, want)
		}
	}
	for _, to := range []string{"9", "abc", "ffff", "0", "-1"} {
		if r, err := Target(list, running, to); problem.CodeOf(err) != problem.Refused {
			t.Errorf("%q: got %s, %v", to, r.ID, err)
		}
	}
	if _, err := Target(nil, running, ""); problem.CodeOf(err) != problem.Refused {
		t.Error("a host without history has nothing to go back to")
	}
}

// Each rollback goes further back: never to what an earlier one went away from.
func TestTargetAfterRollbacks(t *testing.T) {
	system := func(name string) storepath.Path {
		p, err := storepath.Parse("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-" + name)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	record := func(kind fleet.RecordKind, from, to string) fleet.Record {
		return fleet.Record{ID: from + to, Kind: kind, Outcome: fleet.Deployed, System: system(to), Old: system(from)}
	}
	const deploy, back = fleet.RecordDeploy, fleet.RecordRollback
	a, b, c := record(deploy, "init", "a"), record(deploy, "a", "b"), record(deploy, "b", "c")
	for name, test := range map[string]struct {
		records []fleet.Record // oldest first
		running string
		want    string
	}{
		"first rollback":           {[]fleet.Record{a, b, c}, "c", "b"},
		"second rollback":          {[]fleet.Record{a, b, c, record(back, "c", "b")}, "b", "a"},
		"third rollback":           {[]fleet.Record{a, b, c, record(back, "c", "b"), record(back, "b", "a")}, "a", "init"},
		"all the way":              {[]fleet.Record{a, b, record(back, "b", "a"), record(back, "a", "init")}, "init", ""},
		"deployed after rollback":  {[]fleet.Record{a, b, record(back, "b", "a"), record(deploy, "a", "c")}, "c", "a"},
		"deployed again":           {[]fleet.Record{a, b, record(deploy, "b", "b")}, "b", "a"},
		"switched by hand":         {[]fleet.Record{a, b}, "a", "b"},
		"deployed after by hand":   {[]fleet.Record{a, record(deploy, "hand", "b")}, "b", "a"},
		"deployed back, then back": {[]fleet.Record{a, b, record(deploy, "b", "a")}, "a", "b"},
	} {
		slices.Reverse(test.records)
		got, err := Target(confirmed(test.records), system(test.running), "previous")
		if test.want == "" {
			if problem.CodeOf(err) != problem.Refused {
				t.Errorf("%s: got %s, %v; want a refusal", name, got.System, err)
			}
		} else if err != nil || got.System != system(test.want) {
			t.Errorf("%s: got %s, %v; want %s", name, got.System, err, test.want)
		}
	}
}

func TestID(t *testing.T) {
	for id, good := range map[string]bool{"20261122-1630-c0ffee": true, "": false, "-x": false, "../x": false, "a b": false, "a\nb": false, strings.Repeat("a", 65): false} {
		if (checkID(id) == nil) != good {
			t.Errorf("%q: %v", id, checkID(id))
		}
	}
}
