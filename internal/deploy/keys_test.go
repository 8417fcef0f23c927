package deploy

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// place is where every key of these tests goes.
func place(k nix.Key) nix.Key {
	k.KeyFacts = plans.KeyFacts{Path: "/run/keys/k", User: "root", Group: "root", Permissions: "0600", UploadAt: "pre-activation"}
	return k
}

func TestKeyring(t *testing.T) {
	root, work := t.TempDir(), t.TempDir()
	dir := filepath.Join(root, "fleet")
	write := func(file, text string) {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "committed"), "from the commit")
	write(filepath.Join(work, "committed"), "from the work tree")
	write(filepath.Join(work, "secrets", "ignored"), "not in git")
	write(filepath.Join(work, "..", filepath.Base(work)+"-outside"), "beside the fleet")
	t.Cleanup(func() { _ = os.Remove(work + "-outside") })
	for _, c := range []struct {
		name string
		key  nix.Key
		want string // content, or with ! part of the error
	}{
		{"text", nix.Key{Text: secret.New("in the hive\n")}, "in the hive\n"},
		{"a file of the tree", nix.Key{File: filepath.Join(dir, "committed")}, "from the commit"},
		{"a file that is not committed", nix.Key{File: filepath.Join(dir, "secrets", "ignored")}, "not in git"},
		{"a file elsewhere", nix.Key{File: filepath.Join(work, "committed")}, "from the work tree"},
		{"no file", nix.Key{File: filepath.Join(dir, "nothing")}, "!keyFile cannot be read"},
		{"a command, in the fleet's folder", nix.Key{Command: []string{"cat", "committed"}}, "from the commit"},
		{"its spaces stay", nix.Key{Command: []string{"printf", " a\n\n"}}, " a\n\n"},
		{"a command that fails", nix.Key{Command: []string{"sh", "-c", "echo printed; echo locked >&2; exit 3"}}, "!keyCommand sh ended with exit code 3: locked"},
		{"no such command", nix.Key{Command: []string{"no-such-program"}}, "!keyCommand no-such-program does not run"},
		{"too much", nix.Key{Command: []string{"head", "-c", "1100000", "/dev/zero"}}, "!more than 1024 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var masked []string
			ring := keyring{
				tree: tree{Root: root, Dir: dir}, work: work, printed: map[string]secret.String{},
				mask: func(s secret.String) { masked = append(masked, s.Reveal()) },
			}
			key, err := ring.key(t.Context(), "k", place(c.key))
			if want, fails := strings.CutPrefix(c.want, "!"); fails {
				if err == nil || !strings.Contains(problem.Text(err), want) || strings.Contains(problem.Text(err), "printed") {
					t.Errorf("got %v, want %q", err, want)
				}
				return
			}
			if err != nil || key.Content.Reveal() != c.want || len(masked) != 1 || masked[0] != c.want {
				t.Errorf("got %q, masked %q, %v", key.Content.Reveal(), masked, err)
			}
		})
	}
}

// A command that several hosts share runs once.
func TestKeyCommandRunsOnce(t *testing.T) {
	dir := t.TempDir()
	ring := keyring{tree: tree{Root: dir, Dir: dir}, printed: map[string]secret.String{}}
	key := place(nix.Key{Command: []string{"sh", "-c", "echo run >>runs; cat runs"}})
	for range 3 {
		got, err := ring.key(t.Context(), "k", key)
		if err != nil || got.Content.Reveal() != "run\n" {
			t.Errorf("got %q, %v", got.Content.Reveal(), err)
		}
	}
}

func TestKeyCommandIsCancelled(t *testing.T) {
	ring := keyring{tree: tree{Root: t.TempDir(), Dir: t.TempDir()}, printed: map[string]secret.String{}}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := ring.key(ctx, "k", place(nix.Key{Command: []string{"sleep", "60"}})); err == nil || time.Since(start) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestApplyAll(t *testing.T) {
	for _, c := range []struct {
		allowed bool
		on      fleet.Selector
		refused bool
	}{
		{true, fleet.Selector{}, false},
		{false, fleet.Selector{}, true},
		{false, selector(t, "web"), false},
		{false, selector(t, "*"), false},
	} {
		err := checkApplyAll(nix.Settings{AllowApplyAll: c.allowed}, c.on)
		if (err != nil) != c.refused || c.refused && problem.CodeOf(err) != problem.Refused {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestWithoutLocal(t *testing.T) {
	hosts := map[string]plans.Deployment{"laptop": {LocalOnly: true, Tags: []string{"desk"}}, "web": {}}
	rest, skipped, err := withoutLocal(selector(t, "*"), []string{"laptop", "web"}, hosts)
	if err != nil || len(rest) != 1 || rest[0] != "web" || len(skipped) != 1 || skipped[0].Host != "laptop" || skipped[0].Outcome != fleet.Skipped || skipped[0].Reason == "" {
		t.Errorf("got %v, %+v, %v", rest, skipped, err)
	}
	if _, _, err := withoutLocal(selector(t, "web,laptop"), []string{"laptop", "web"}, hosts); err == nil || problem.CodeOf(err) != problem.Usage || !strings.Contains(err.Error(), "laptop") {
		t.Errorf("by name: %v", err)
	}
	if _, err := (&targets{}).of("laptop", hosts["laptop"]); err == nil || !strings.Contains(err.Error(), "deployed from itself alone") {
		t.Errorf("target: %v", err)
	}
}
