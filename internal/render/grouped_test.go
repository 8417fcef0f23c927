package render

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flotilla-nix/flotilla/internal/progress"
)

var tokenLine = regexp.MustCompile(`[0-9a-f]{32}`)

func TestGrouped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		g := NewGrouped(&out)
		web, db, all := progress.For(g, "web-1"), progress.For(g, "db"), progress.For(g, "")
		_ = all.Do(progress.Build, func() error {
			all.Log(progress.Build, "building nginx")
			time.Sleep(40 * time.Second)
			return nil
		})
		_ = all.Do(progress.Lock, func() error { return nil }) // says nothing more than its line
		_ = web.Do(progress.Push, func() error {
			db.Log(progress.Activate, "starting the following units: x.service")
			web.Count(progress.Push, 12, 12, "paths")
			return nil
		})
		web.Log(progress.Activate, "::error::not ours ##[group]x")
		web.Ended(progress.Verify, "deployed")
		_ = db.Do(progress.Confirm, func() error { return errTest("no answer\nfrom 10.0.0.1") })
		db.Ended(progress.Verify, "rolled-back: no answer")
		progress.For(g, "aux").Log(progress.Look, "never ended")
		g.Flush()
		progress.For(g, "quiet").Note(progress.Look, "is left out")
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		web.Log(progress.Activate, "too late")
		want := `fleet  build     still running, 30s
fleet  build     done, 40s
::group::fleet: build: end
::stop-commands::TOKEN
00:00:00  build     begins
00:00:00  build     | building nginx
00:00:40  build     done
::TOKEN::
::endgroup::
fleet  lock      done
web-1  push      12 paths
::group::host web-1: deployed
::stop-commands::TOKEN
00:00:40  push      begins
00:00:40  push      done
00:00:40  activate  | ::error::not ours ## [group]x
00:00:40  verify    deployed
::TOKEN::
::endgroup::
db     confirm   failed: no answer
::group::host db: rolled-back: no answer
::stop-commands::TOKEN
00:00:40  activate  | starting the following units: x.service
00:00:40  confirm   begins
00:00:40  confirm   failed: no answer
00:00:40  confirm   | from 10.0.0.1
00:00:40  verify    rolled-back: no answer
::TOKEN::
::endgroup::
::group::host aux
::stop-commands::TOKEN
00:00:40  look      | never ended
::TOKEN::
::endgroup::
quiet  look      is left out
`
		got := tokenLine.ReplaceAllString(out.String(), "TOKEN")
		got = strings.Replace(got, "in 40s", "done, 40s", 1)
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if tokens := tokenLine.FindAllString(out.String(), -1); len(tokens) != 8 || tokens[0] == tokens[2] || tokens[0] != tokens[1] {
			t.Errorf("tokens: %v", tokens)
		}
	})
}

// TestGroupedIsHarmless reads the log as the runner does: the only commands are
// ours, groups are closed, and what is stopped is resumed.
func TestGroupedIsHarmless(t *testing.T) {
	var out bytes.Buffer
	g := NewGrouped(&out)
	var wg sync.WaitGroup
	hostile := append(seeds(t), "::stop-commands::x", "::x::", "\t::add-mask::a", "\u00a0::error::x", "\u0085::error::x", "\u2028::error::x",
		"ok\r::error::x", "ok\n ::endgroup::", "##[endgroup]", "#\x1b[0m#[error]", "%0A::error::x")
	for _, s := range hostile {
		for _, host := range []string{s, "web-1", ""} {
			wg.Go(func() {
				for _, k := range []progress.Kind{progress.Begin, progress.Log, progress.Note, progress.Fail, progress.End, progress.Ended} {
					g.Event(progress.Event{Kind: k, Step: progress.Step(s), Host: host, Text: s, Time: time.Now()})
				}
			})
		}
	}
	wg.Wait()
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	checkRunner(t, out.String())
}

// checkRunner plays the runner: a command is a line that begins with "::".
func checkRunner(t *testing.T, log string) {
	t.Helper()
	open, stopped := false, ""
	for line := range strings.SplitSeq(strings.TrimSuffix(log, "\n"), "\n") {
		if strings.Contains(line, "##[") || strings.ContainsFunc(line, hidden) {
			t.Errorf("the runner or a terminal would obey %q", line)
		}
		command, is := strings.CutPrefix(strings.TrimSpace(line), "::")
		switch {
		case !is:
		case stopped != "":
			if command != stopped+"::" {
				t.Errorf("a line like a command: %q", line)
			}
			stopped = ""
		case strings.HasPrefix(command, "group::") && !open:
			open = true
		case command == "endgroup::" && open:
			open = false
		case strings.HasPrefix(command, "stop-commands::"):
			stopped = strings.TrimPrefix(command, "stop-commands::")
		default:
			t.Errorf("a command that is not ours: %q", line)
		}
	}
	if open || stopped != "" {
		t.Errorf("left open: group %v, stopped %q", open, stopped)
	}
}

// TestGroupedKeepsLittle lets one host talk without end, and many side by side.
func TestGroupedKeepsLittle(t *testing.T) {
	var out bytes.Buffer
	g := NewGrouped(&out)
	line := strings.Repeat("x", 1000)
	for range 1000 {
		progress.For(g, "web-1").Log(progress.Activate, line)
	}
	for host := range 100 {
		for range 150 {
			progress.For(g, fmt.Sprintf("host-%03d", host)).Log(progress.Activate, line)
		}
		if g.all > keptBytes+len(line)*2 {
			t.Fatalf("%d bytes kept", g.all)
		}
	}
	progress.For(g, "web-1").Ended(progress.Verify, "deployed")
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if g.all != 0 || len(g.kept) != 0 {
		t.Errorf("%d bytes of %d logs are left", g.all, len(g.kept))
	}
	if n := strings.Count(out.String(), line); n != 16_000 {
		t.Errorf("%d lines, want 16000", n)
	}
	for _, want := range []string{"::group::host web-1: it goes on", "::group::host web-1, part 5: deployed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	checkRunner(t, out.String())
}
