package render

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flotilla-nix/flotilla/internal/progress"
)

func TestPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := NewPlain(&out)
		web := progress.For(p, "web-1")
		if err := web.Do(progress.Push, func() error {
			web.Count(progress.Push, 4, 12, "paths")
			web.Count(progress.Push, 1_000_000, 3_400_000, "bytes")
			time.Sleep(65 * time.Second)
			web.Count(progress.Push, 12, 12, "paths")
			web.Count(progress.Push, 3_400_000, 3_400_000, "bytes")
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := web.Do(progress.Lock, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		web.Log(progress.Activate, "::error::\x1b[31mnot ours\x1b[0m ##[group]")
		web.Log(progress.Activate, strings.Repeat("x", logWidth+7))
		progress.For(p, "").Note(progress.Provision, "made 2 servers\nin nbg1")
		_ = web.Do(progress.Confirm, func() error { return errTest("no answer\n::warning::x") })
		p.Event(progress.Event{Kind: progress.Begin, Step: progress.Verify, Host: "web-1"})
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // a step left open prints nothing after Close
		want := strings.Join([]string{
			"web-1  push      still running, 30s, 4 of 12 paths, 1.0 MB of 3.4 MB",
			"web-1  push      still running, 1m0s, 4 of 12 paths, 1.0 MB of 3.4 MB",
			"web-1  push      12 paths, 3.4 MB, in 1m5s",
			"web-1  lock      done",
			"web-1  | ::error::not ours ## [group]",
			"web-1  | " + strings.Repeat("x", logWidth) + "… (7 more characters)",
			"fleet  provision made 2 servers",
			"fleet  | in nbg1",
			"web-1  confirm   failed: no answer",
			"web-1  | ::warning::x",
			"",
		}, "\n")
		if got := out.String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

type errTest string

func (e errTest) Error() string { return string(e) }

// TestPlainFromManyGoroutines looks for lines that were torn apart.
func TestPlainFromManyGoroutines(t *testing.T) {
	var out bytes.Buffer
	p := NewPlain(&out)
	var wg sync.WaitGroup
	for _, host := range []string{"web-1", "web-2", "db", "app"} {
		wg.Go(func() {
			for range 50 {
				progress.For(p, host).Log(progress.Push, "a line")
			}
		})
	}
	wg.Wait()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 200 {
		t.Errorf("%d lines, want 200", len(lines))
	}
	for _, l := range lines {
		if !strings.HasSuffix(l, "  | a line") {
			t.Errorf("a torn line: %q", l)
		}
	}
}

func TestJSONEvents(t *testing.T) {
	var out bytes.Buffer
	j := NewJSON(&out)
	at := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	j.Event(progress.Event{Time: at, Kind: progress.Log, Step: progress.Push, Host: "web-1", Text: "##[error]\u009b31m <b>"})
	want := `{"time":"2026-11-22T16:00:00Z","kind":"log","step":"push","host":"web-1","text":"##\u005berror]\u009b31m <b>"}` + "\n"
	if got := out.String(); got != want {
		t.Errorf("got %s want %s", got, want)
	}
}
