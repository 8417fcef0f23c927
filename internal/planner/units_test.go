package planner

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

type unitSet = map[string]plans.UnitText

// u is an enabled unit; wanted are the units that want it.
func u(text string, wanted ...string) plans.UnitText {
	return plans.UnitText{Text: text, Enabled: true, WantedBy: wanted}
}

func masked() plans.UnitText { return plans.UnitText{} }

func dropIn(text string) plans.UnitText {
	return plans.UnitText{Text: text, Enabled: true, DropIn: true}
}

func forecastText(old, new unitSet, live liveState) []string {
	var got []string
	for _, e := range units(plans.System{Units: old}, plans.System{Units: new}, live) {
		got = append(got, fmt.Sprintf("%s %s (%s): %s", e.Effect, e.Name, e.Certainty, e.Why))
	}
	return got
}

const (
	app     = "[Unit]\nDescription=App\n[Service]\nExecStart=/nix/store/00000000000000000000000000000000-app/bin/app\n"
	rebuilt = "[Unit]\nDescription=App\n[Service]\nExecStart=/nix/store/11111111111111111111111111111111-app/bin/app\n"
)

// pair is a unit in both systems.
func pair(name, old, new string) (unitSet, unitSet) {
	return unitSet{name: u(old)}, unitSet{name: u(new)}
}

func TestChangedUnits(t *testing.T) {
	for _, c := range []struct {
		name, unit, old, new string
		want                 string // effect, certainty and reason; "" for nothing at all
	}{
		{"same text", "app.service", app, app, ""},
		{"store path", "app.service", app, rebuilt, "restart (if running): ExecStart (app) changed"},
		{"added line", "app.service", app, app + "User=app\n", "restart (if running): User changed"},
		{"order of keys and comments", "app.service", "[Service]\nA=1\nB=2\n", "# c\n[Service]\nB=2\n; c\nA = 1\n", "nothing (will): changed in what needs no restart"},
		{"order of repeated keys", "app.service", "[Service]\nEnvironment=A\nEnvironment=B\n", "[Service]\nEnvironment=B\nEnvironment=A\n", "restart (if running): Environment changed"},
		{"empty value clears", "app.service", "[Service]\nExecStart=a\n", "[Service]\nExecStart=z\nExecStart=\nExecStart=a\n", "nothing (will): changed in what needs no restart"},
		{"joined lines", "app.service", "[Service]\nExecStart=a b\n", "[Service]\nExecStart=a \\\n  b\n", "restart (if running): ExecStart changed"},
		{"Install is skipped", "app.service", app, app + "[Install]\nWantedBy=x.target\n", "nothing (will): changed in what needs no restart"},
		{"Description", "app.service", app, strings.Replace(app, "App", "Application", 1), "nothing (will): changed in what needs no restart"},
		{"ignored keys", "app.service", app, strings.Replace(app, "[Unit]\n", "[Unit]\nDocumentation=x\nOnFailure=y.service\nRefuseManualStart=yes\nCollectMode=inactive\nSourcePath=/x\nAllowIsolate=1\nStopWhenUnneeded=1\n", 1), "nothing (will): changed in what needs no restart"},
		{"After is not ignored", "app.service", app, strings.Replace(app, "[Unit]\n", "[Unit]\nAfter=db.service\n", 1), "restart (if running): After changed"},
		{"section of ignored keys", "app.service", "[Service]\nA=1\n", "[Unit]\nDescription=x\n[Service]\nA=1\n", "nothing (will): changed in what needs no restart"},
		{"new section", "app.service", app, app + "[X-Own]\nA=1\n", "restart (if running): section X-Own changed"},
		{"new section with ExecReload only", "app.service", "[Unit]\nAfter=x\n", "[Unit]\nAfter=x\n[Service]\nExecReload=r\n", "restart (if running): section Service changed"},
		{"removed section", "app.service", app + "[X-Own]\nA=1\n", app, "restart (if running): section X-Own changed"},
		{"restart trigger", "app.service", "[Unit]\nX-Restart-Triggers=/nix/store/a\n" + app, "[Unit]\nX-Restart-Triggers=/nix/store/b\n" + app, "restart (if running): restart trigger changed"},
		{"reload trigger", "app.service", "[Unit]\nX-Reload-Triggers=a\n" + app, "[Unit]\nX-Reload-Triggers=b\n" + app, "reload (if running): reload trigger changed"},
		{"new reload trigger", "app.service", app, "[Unit]\nX-Reload-Triggers=b\n" + app, "reload (if running): reload trigger changed"},
		{"reload trigger removed", "app.service", "[Unit]\nX-Reload-Triggers=b\n" + app, app, "nothing (will): changed in what needs no restart"},
		{"reload trigger and more", "app.service", "[Unit]\nX-Reload-Triggers=a\n" + app, "[Unit]\nX-Reload-Triggers=b\n" + rebuilt, "restart (if running): ExecStart (app) changed"},
		{"ExecReload", "app.service", app + "ExecReload=a\n", app + "ExecReload=b\n", "reload (if running): ExecReload changed"},
		{"ExecReload removed", "app.service", app + "ExecReload=a\n", app, "nothing (will): changed in what needs no restart"},
		{"reloadIfChanged", "app.service", app, rebuilt + "X-ReloadIfChanged=true\n", "reload (if running): ExecStart (app), X-ReloadIfChanged changed"},
		{"restartIfChanged off", "app.service", app + "X-RestartIfChanged=false\n", rebuilt + "X-RestartIfChanged=false\n", "not restarted (if running): ExecStart (app) changed"},
		{"odd boolean is false", "app.service", app + "X-RestartIfChanged=maybe\n", rebuilt + "X-RestartIfChanged=maybe\n", "not restarted (if running): ExecStart (app) changed"},
		{"last boolean counts", "app.service", app + "X-RestartIfChanged=false\nX-RestartIfChanged=1\n", rebuilt + "X-RestartIfChanged=false\nX-RestartIfChanged=1\n", "restart (if running): ExecStart (app) changed"},
		{"RefuseManualStop", "app.service", "[Unit]\nRefuseManualStop=true\n" + app, "[Unit]\nRefuseManualStop=true\n" + rebuilt, "not restarted (if running): ExecStart (app) changed"},
		{"X-OnlyManualStart", "app.service", "[Unit]\nX-OnlyManualStart=true\n" + app, "[Unit]\nX-OnlyManualStart=true\n" + rebuilt, "not restarted (if running): ExecStart (app) changed"},
		{"stopIfChanged off", "sshd.service", app + "X-StopIfChanged=false\n", rebuilt + "X-StopIfChanged=false\n", "restart (if running): ExecStart (app) changed"},
		{"rebuilt files are named", "app.service", "[Service]\nExecStart=/nix/store/00000000000000000000000000000000-app/bin/app -c /nix/store/00000000000000000000000000000000-app.conf\n", "[Service]\nExecStart=/nix/store/00000000000000000000000000000000-app/bin/app -c /nix/store/11111111111111111111111111111111-app.conf\n", "restart (if running): ExecStart (app.conf) changed"},
		{"many keys", "app.service", "[Service]\nA=1\n", "[Service]\nB=1\nC=1\nD=1\nE=1\n", "restart (if running): A, B, C, … changed"},
		{"timer", "app.timer", "[Timer]\nOnCalendar=daily\n", "[Timer]\nOnCalendar=hourly\n", "restart (if running): OnCalendar changed"},
		{"path", "app.path", "[Path]\nPathExists=/a\n", "[Path]\nPathExists=/b\n", "nothing (will): PathExists changed"},
		{"slice", "app.slice", "[Slice]\nCPUWeight=1\n", "[Slice]\nCPUWeight=2\n", "nothing (will): CPUWeight changed"},
		{"target", "app.target", "[Unit]\nWants=a\n", "[Unit]\nWants=b\n", "nothing (will): Wants changed"},
		{"multi-user.target", "multi-user.target", "[Unit]\nWants=a\n", "[Unit]\nWants=b\n", "nothing (will): Wants changed"},
		{"target that stops", "app.target", "[Unit]\nWants=a\n", "[Unit]\nWants=b\nX-StopOnReconfiguration=true\n", "restart (if running): Wants, X-StopOnReconfiguration changed"},
		{"socket", "app.socket", "[Socket]\nListenStream=1\n", "[Socket]\nListenStream=2\n", "nothing (will): ListenStream changed; listens as before until its service restarts, or a reboot"},
		{"mount options", "data.mount", "[Mount]\nWhat=a\nOptions=ro\n", "[Mount]\nWhat=a\nOptions=rw\n", "reload (if running): Options changed"},
		{"mount device", "data.mount", "[Mount]\nWhat=a\n", "[Mount]\nWhat=b\n", "restart (if running): What changed"},
		{"root", "-.mount", "[Mount]\nWhat=a\n", "[Mount]\nWhat=b\n", "reload (if running): What changed"},
		{"nix", "nix.mount", "[Mount]\nWhat=a\n", "[Mount]\nWhat=b\n", "reload (if running): What changed"},
		{"template", "app@.service", app, rebuilt, "restart (if running): ExecStart (app) changed (all instances)"},
		{"text not known", "app.service", "", app, "restart (unknown): its text is known on one side only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want []string
			if c.want != "" {
				word, rest, _ := strings.Cut(c.want, " (")
				want = []string{word + " " + c.unit + " (" + rest}
			}
			old, new := pair(c.unit, c.old, c.new)
			if diff := cmp.Diff(want, forecastText(old, new, liveState{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnitsThatComeAndGo(t *testing.T) {
	const multi = "multi-user.target"
	for _, c := range []struct {
		name     string
		old, new unitSet
		live     liveState
		want     []string
	}{
		{name: "new, wanted", new: unitSet{"a.service": u(app, multi)}, want: []string{"start a.service (will): new, wanted by multi-user.target"}},
		{name: "new, wanted by a target that may be off", new: unitSet{"a.service": u(app, "graphical.target")}, want: []string{"start a.service (if running): new, wanted by graphical.target"}},
		{name: "new, target seen off", new: unitSet{"a.service": u(app, "graphical.target")}, live: liveState{looked: true, active: []string{multi}}, want: []string{"start a.service (unknown): new, wanted by graphical.target"}},
		{name: "new, target seen on", new: unitSet{"a.service": u(app, "graphical.target")}, live: liveState{looked: true, active: []string{"graphical.target"}}, want: []string{"start a.service (will): new, wanted by graphical.target"}},
		{name: "new, wanted by nobody", new: unitSet{"a.service": u(app)}, want: []string{"nothing a.service (will): new, wanted by no target"}},
		{name: "new, wanted by a service", new: unitSet{"a.service": u(app, "b.service")}, want: []string{"start a.service (unknown): new, wanted by b.service"}},
		{
			name: "new with timer", new: unitSet{"a.service": u(app), "a.timer": u("[Timer]\nOnCalendar=daily\n", "timers.target")},
			want: []string{"start a.timer (will): new, wanted by timers.target", "nothing a.service (will): new, started by a.timer"},
		},
		{name: "new template", new: unitSet{"a@.service": u(app)}, want: []string{"nothing a@.service (will): new template"}},
		{name: "new and masked", new: unitSet{"a.service": masked()}},
		{name: "unmasked", old: unitSet{"a.service": masked()}, new: unitSet{"a.service": u(app, multi)}, want: []string{"start a.service (will): new, wanted by multi-user.target"}},
		{name: "removed", old: unitSet{"a.service": u(app, multi)}, want: []string{"stop a.service (if running): removed"}},
		{name: "masked", old: unitSet{"a.service": u(app)}, new: unitSet{"a.service": masked()}, want: []string{"stop a.service (if running): masked"}},
		{name: "removed, seen running", old: unitSet{"a.service": u(app)}, live: liveState{looked: true, active: []string{"a.service"}}, want: []string{"stop a.service (will): removed"}},
		{name: "removed, seen stopped", old: unitSet{"a.service": u(app)}, live: liveState{looked: true}, want: []string{"nothing a.service (will): removed; not running"}},
		{name: "stays on removal", old: unitSet{"a.service": u("[Unit]\nX-StopOnRemoval=false\n" + app)}, want: []string{"nothing a.service (will): removed, keeps running"}},
		{name: "removed target", old: unitSet{"a.target": u("[Unit]\n")}, want: []string{"stop a.target (if running): removed"}},
		{name: "now wanted", old: unitSet{"a.service": u(app)}, new: unitSet{"a.service": u(app, multi)}, want: []string{"start a.service (unknown): now wanted by multi-user.target"}},
		{name: "now wanted, seen running", old: unitSet{"a.service": u(app)}, new: unitSet{"a.service": u(app, multi)}, live: liveState{looked: true, active: []string{"a.service", multi}}, want: []string{"nothing a.service (will): now wanted by multi-user.target; runs already"}},
		{name: "no longer wanted", old: unitSet{"a.service": u(app, multi)}, new: unitSet{"a.service": u(app)}, want: []string{"nothing a.service (will): no longer wanted by multi-user.target; keeps running until a reboot"}},
		{name: "drop-in added", new: unitSet{"a.service": dropIn("[Service]\nA=1\n")}, want: []string{"restart a.service (unknown): settings added to a unit of a package"}},
		{name: "drop-in removed", old: unitSet{"a.service": dropIn("[Service]\nA=1\n")}, want: []string{"restart a.service (unknown): settings removed from a unit of a package"}},
		{name: "drop-in changed", old: unitSet{"a.service": dropIn("[Service]\nA=1\n")}, new: unitSet{"a.service": dropIn("[Service]\nA=2\n")}, want: []string{"restart a.service (if running): A changed"}},
		{name: "instance's drop-in removed", old: unitSet{"a@x.service": dropIn("[Service]\nA=1\n")}, want: []string{"stop a@x.service (if running): the instance is removed"}},
		{
			name: "template under a drop-in", old: unitSet{"a@.service": u(app), "a@x.service": dropIn("[Service]\nA=1\n")}, new: unitSet{"a@.service": u(rebuilt), "a@x.service": dropIn("[Service]\nA=1\n")},
			want: []string{"restart a@.service (if running): ExecStart (app) changed (all instances)", "restart a@x.service (if running): ExecStart (app) changed"},
		},
		{
			name: "instances seen", old: unitSet{"a@.service": u(app)}, new: unitSet{"a@.service": u(rebuilt)}, live: liveState{looked: true, active: []string{"a@1.service", "a@2.service", "b.service"}},
			want: []string{"restart a@1.service (will): ExecStart (app) changed", "restart a@2.service (will): ExecStart (app) changed", "nothing a@.service (will): ExecStart (app) changed (template)"},
		},
		{
			name: "changed, seen", old: unitSet{"a.service": u(app), "b.service": u(app)}, new: unitSet{"a.service": u(rebuilt), "b.service": u(rebuilt)}, live: liveState{looked: true, active: []string{"a.service"}},
			want: []string{"restart a.service (will): ExecStart (app) changed", "nothing b.service (will): ExecStart (app) changed; not running"},
		},
		{
			name: "socket takes part", old: unitSet{"a.service": u(app), "a.socket": u("[Socket]\nListenStream=1\n")}, new: unitSet{"a.service": u(rebuilt), "a.socket": u("[Socket]\nListenStream=2\n")},
			want: []string{"restart a.service (if running): ExecStart (app) changed; a.socket starts it again", "restart a.socket (if running): a.service restarts"},
		},
		{
			name: "named socket, not activated by it", old: unitSet{"a.service": u(app), "s.socket": u("[Socket]\n")}, new: unitSet{"a.service": u(rebuilt + "Sockets=s.socket\nX-NotSocketActivated=yes\n"), "s.socket": u("[Socket]\n")},
			want: []string{"restart a.service (if running): ExecStart (app), Sockets, X-NotSocketActivated changed", "restart s.socket (if running): a.service restarts"},
		},
		{
			name: "restarted in place leaves its socket", old: unitSet{"a.service": u(app + "X-StopIfChanged=no\n"), "a.socket": u("[Socket]\n")}, new: unitSet{"a.service": u(rebuilt + "X-StopIfChanged=no\n"), "a.socket": u("[Socket]\n")},
			want: []string{"restart a.service (if running): ExecStart (app) changed"},
		},
		{
			name: "what requires it goes down too",
			old:  unitSet{"db.service": u(app), "app.service": u("[Unit]\nRequires=db.service\n", multi), "job.service": u("[Unit]\nBindsTo=app.service\n"), "other.service": u("[Unit]\nWants=db.service\nAfter=db.service\n")},
			new:  unitSet{"db.service": u(rebuilt), "app.service": u("[Unit]\nRequires=db.service\n", multi), "job.service": u("[Unit]\nBindsTo=app.service\n"), "other.service": u("[Unit]\nWants=db.service\nAfter=db.service\n")},
			want: []string{
				"stop job.service (if running): bound to app.service, which goes down",
				"restart app.service (if running): requires db.service, which goes down",
				"restart db.service (if running): ExecStart (app) changed",
			},
		},
		{
			name: "a restart in place restarts its parts",
			old:  unitSet{"db.service": u(app + "X-StopIfChanged=0\n"), "part.service": u("[Unit]\nPartOf=db.service\n")},
			new:  unitSet{"db.service": u(rebuilt + "X-StopIfChanged=0\n"), "part.service": u("[Unit]\nPartOf=db.service\n")},
			want: []string{
				"restart db.service (if running): ExecStart (app) changed",
				"restart part.service (if running): part of db.service, which goes down",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, forecastText(c.old, c.new, c.live)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMounts(t *testing.T) {
	entry := func(text string) map[string]plans.EtcEntry { return map[string]plans.EtcEntry{"fstab": {Text: &text}} }
	old := plans.System{Etc: entry("# x\n/dev/a / ext4 rw 0 1\n/dev/n /nix ext4 rw 0 0\n/dev/b /data ext4 rw 0 2\n/dev/c /gone xfs x-systemd.automount 0 2\n/dev/d /opt/my-app ext4 ro 0 2\n/dev/s none swap defaults 0 0\n")}
	new := plans.System{Etc: entry("/dev/z / ext4 rw 0 1\n/dev/n /nix ext4 ro 0 0\n/dev/e /data ext4 rw 0 2\n/dev/d /opt/my-app ext4 rw 0 2\n/dev/f /new ext4 rw 0 2\n/dev/g /usb vfat noauto 0 0\n/dev/t none swap defaults 0 0\n")}
	var got []string
	for _, e := range units(old, new, liveState{}) {
		got = append(got, fmt.Sprintf("%s %s: %s", e.Effect, e.Name, e.Why))
	}
	want := []string{
		`stop dev-s.swap: gone from fstab`, `stop gone.automount: gone from fstab`, `stop gone.mount: gone from fstab`,
		`restart data.mount: device or type changed`,
		`reload nix.mount: mount options changed`, `reload opt-my\x2dapp.mount: mount options changed`,
		`start dev-t.swap: new in fstab`, `start new.mount: new in fstab`,
		`not restarted -.mount: / is mounted anew at the next boot`,
		`nothing usb.mount: new in fstab, not mounted by itself`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Over random systems: a system against itself changes nothing; each unit
// whose definition differs is told; the answer is always the same.
func TestUnitsOfRandomSystems(t *testing.T) {
	const seeds = 2000
	told := 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		old, new := randomUnits(r), randomUnits(r)
		live := liveState{}
		if r.IntN(2) == 0 {
			live.looked = true
			for name := range old {
				if r.IntN(2) == 0 {
					live.active = append(live.active, name)
				}
			}
		}
		if got := forecastText(old, maps.Clone(old), live); got != nil {
			t.Fatalf("seed %d: a system against itself: %v", seed, got)
		}
		got := units(plans.System{Units: old}, plans.System{Units: new}, live)
		if again := units(plans.System{Units: old}, plans.System{Units: new}, live); !cmp.Equal(got, again) {
			t.Fatalf("seed %d: two answers:\n%v\n%v", seed, got, again)
		}
		byName := unitsByName(got)
		if len(byName) != len(got) {
			t.Fatalf("seed %d: a unit is told twice: %v", seed, got)
		}
		for _, name := range keysOfBoth(old, new) {
			a, inOld := there(old, name)
			b, inNew := there(new, name)
			if !inOld && !inNew || inOld == inNew && cmp.Equal(a, b) {
				continue
			}
			told++
			if e, ok := byName[name]; !ok || e.Why == "" {
				t.Fatalf("seed %d: %s changed and is not told with its reason:\nold %+v\nnew %+v\ngot %+v", seed, name, a, b, got)
			}
		}
		for _, e := range got {
			if e.Certainty == plans.Will && live.looked && !slices.Contains(live.active, e.Name) && (e.Effect == plans.EffectStop || e.Effect == plans.EffectReload) {
				t.Fatalf("seed %d: %+v of a unit that does not run", seed, e)
			}
		}
	}
	if told < seeds {
		t.Errorf("only %d changed units in %d systems: the test shows little", told, seeds)
	}
}

func unitsByName(list []plans.Unit) map[string]plans.Unit {
	m := map[string]plans.Unit{}
	for _, e := range list {
		m[e.Name] = e
	}
	return m
}

func randomUnits(r *rand.Rand) unitSet {
	lines := []string{"ExecStart=a", "ExecStart=b", "ExecStart=", "ExecReload=r", "X-RestartIfChanged=no", "X-StopIfChanged=no", "X-ReloadIfChanged=yes", "Environment=A", "[Unit]", "[Service]", "[Install]", "X-StopOnRemoval=no", "Description=d", "Requires=a.service", "PartOf=b.service", "X-Reload-Triggers=t", "# note", "[Mount]", "Options=o"}
	set := unitSet{}
	for _, name := range []string{"a.service", "b.service", "c@.service", "c@1.service", "d.socket", "d.service", "e.timer", "f.target", "g.mount", "h.path"} {
		if r.IntN(4) == 0 {
			continue
		}
		text := "[Unit]\n"
		for range r.IntN(6) {
			text += lines[r.IntN(len(lines))] + "\n"
		}
		one := plans.UnitText{Text: text, Enabled: r.IntN(8) > 0, DropIn: r.IntN(8) == 0}
		if r.IntN(2) == 0 {
			one.WantedBy = []string{[]string{"multi-user.target", "graphical.target", "a.service"}[r.IntN(3)]}
		}
		set[name] = one
	}
	return set
}

func FuzzParseUnit(f *testing.F) {
	for _, s := range []string{app, "[Unit]\nA=1\\\n 2\n;c\nB=\n", "[", "[]\n=x\n", "A=1\n[Install]\nB=2\n", "[Unit]\nA=\\", "\r\n[Service]\r\nA = 1\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		one := parseUnit(s)
		if v, why := compareUnits(one, parseUnit(s)); v != same || why != nil {
			t.Errorf("%q differs from itself: %v %v", s, v, why)
		}
		if _, ok := one["Install"]; ok {
			t.Errorf("%q keeps [Install]", s)
		}
		for section, keys := range one {
			for key, values := range keys {
				if len(values) == 0 || slices.Contains(values, "") {
					t.Errorf("%q: %s/%s is %q", s, section, key, values)
				}
			}
		}
	})
}
