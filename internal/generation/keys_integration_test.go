//go:build integration

package generation_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// keysOf are three keys of one round: one that a reboot takes, one that stays,
// one that comes after the activation.
func keysOf(round string) []generation.Key {
	key := func(path, mode string, late bool) generation.Key {
		name := path[strings.LastIndex(path, "/")+1:]
		return generation.Key{Name: name, Path: path, User: "root", Group: "daemon", Mode: mode, Late: late, Content: secret.New(name + " of " + round + "\n")}
	}
	return []generation.Key{key("/run/keys/gone", "0440", false), key("/var/keys/stays", "0400", false), key("/var/keys/late", "0600", true)}
}

// keys reads what is in the files, and everything else that lies beside them.
func (r *rig) keys() string {
	r.t.Helper()
	return r.sh(`for d in /run/keys /var/keys; do [ -d $d ] || continue; for f in $(ls -A $d); do printf '%s:' "$f"; tr '\n' ' ' <$d/$f; done; done`)
}

// abandon begins a deployment whose controller dies before the confirmation.
func (r *rig) abandon(q generation.Request) {
	r.t.Helper()
	h, kill := r.controller()
	struck := make(chan struct{})
	r.at(progress.Confirm, func() {
		kill()
		close(struck)
	})
	ctx, cancel := context.WithCancel(r.t.Context())
	go h.Switch(ctx, q)
	select {
	case <-struck:
	case <-time.After(time.Minute):
		r.t.Error("it never came to the confirmation")
	}
	cancel()
}

// TestKeys: keys come with a system, go with it, and stay when it stays, whoever
// dies on the way.
func TestKeys(t *testing.T) {
	const first = "gone:gone of first late:late of first stays:stays of first"
	deployed := func(t *testing.T) *rig {
		r := newRig(t)
		q := r.request("good")
		q.Keys = keysOf("first")
		if result := r.host().Switch(t.Context(), q); result.Outcome != fleet.Deployed || !slices.Equal(result.Keys, []string{"gone", "stays", "late"}) {
			t.Fatalf("%s: %s %v", result.Outcome, result.Reason, result.Keys)
		}
		if got := strings.TrimSpace(r.keys()); got != first {
			t.Fatalf("keys are %q", got)
		}
		if got := r.sh("stat -c '%a %U %G' /run/keys/gone /var/keys/stays /var/keys/late"); got != "440 root daemon\n400 root daemon\n600 root daemon" {
			t.Errorf("they are %q", got)
		}
		return r
	}

	t.Run("put back by the controller", func(t *testing.T) {
		r := deployed(t)
		q := r.request("good2")
		q.Keys, q.Confirm = keysOf("second"), unhealthy
		if result := r.host().Switch(t.Context(), q); result.Outcome != fleet.RolledBack || len(result.Keys) != 0 {
			t.Errorf("%s: %s %v", result.Outcome, result.Reason, result.Keys)
		}
		if got := r.keys(); got != first {
			t.Errorf("after the return: %q", got)
		}
		// What is right is not sent again, what is wrong is.
		q = r.request("good3")
		q.Keys = keysOf("first")
		q.Keys[1] = keysOf("third")[1]
		if result := r.host().Switch(t.Context(), q); result.Outcome != fleet.Deployed || !slices.Equal(result.Keys, []string{"stays"}) {
			t.Errorf("%s: %s %v", result.Outcome, result.Reason, result.Keys)
		}
		if got := r.keys(); got != strings.Replace(first, "stays of first", "stays of third", 1) {
			t.Errorf("in the end: %q", got)
		}
	})

	t.Run("put back by the guard", func(t *testing.T) {
		r := deployed(t)
		q := r.request("good2")
		q.Keys, q.ConfirmTimeout = keysOf("second"), 3*time.Second
		q.Keys = append(q.Keys, generation.Key{Name: "new", Path: "/var/keys/new", User: "root", Group: "root", Mode: "0400", Content: secret.New("new")})
		r.abandon(q)
		if got := r.keys(); !strings.Contains(got, "late of second") || !strings.Contains(got, "new:new") {
			t.Errorf("while it is on its own: %q", got)
		}
		for deadline := time.Now().Add(90 * time.Second); r.keys() != first; time.Sleep(time.Second) {
			if time.Now().After(deadline) {
				t.Fatalf("the guard left %q", r.keys())
			}
		}
	})

	t.Run("the power goes", func(t *testing.T) {
		r := deployed(t)
		q := r.request("good2")
		q.Keys = keysOf("second")
		r.abandon(q)
		r.power(machines.Reset)
		h := r.host()
		if told, err := h.Settle(t.Context()); err != nil || !strings.Contains(told, "rolled back by a reboot") {
			t.Errorf("%q %v", told, err)
		}
		if got := r.keys(); got != "late:late of first stays:stays of first" {
			t.Errorf("after the reboot: %q", got)
		}
		s, err := h.Look(t.Context())
		if err != nil || !slices.Equal(s.MissingKeys, []string{"/run/keys/gone"}) {
			t.Errorf("missing are %v, %v", s.MissingKeys, err)
		}
		if put, err := h.PutKeys(t.Context(), keysOf("first")); err != nil || !slices.Equal(put, []string{"gone"}) {
			t.Errorf("put %v, %v", put, err)
		}
		if got := r.keys(); got != first {
			t.Errorf("in the end: %q", got)
		}
		if s, err = h.Look(t.Context()); err != nil || len(s.MissingKeys) != 0 {
			t.Errorf("missing are %v, %v", s.MissingKeys, err)
		}
	})

	t.Run("an owner that nobody makes", func(t *testing.T) {
		r := deployed(t)
		q := r.request("good2")
		q.Keys = keysOf("second")
		q.Keys[2].User = "nobody-knows"
		result := r.host().Switch(t.Context(), q)
		if result.Outcome != fleet.RolledBack || !strings.Contains(result.Reason, "cannot be given to nobody-knows:daemon") {
			t.Errorf("%s: %s", result.Outcome, result.Reason)
		}
		if got := r.keys(); got != first {
			t.Errorf("after the return: %q", got)
		}
	})

	t.Run("refused before the activation", func(t *testing.T) {
		r := deployed(t)
		q := r.request("refuses")
		q.Keys = keysOf("second")
		if result := r.host().Switch(t.Context(), q); result.Outcome != fleet.Failed {
			t.Errorf("%s: %s", result.Outcome, result.Reason)
		}
		if got := r.keys(); got != first {
			t.Errorf("after the refusal: %q", got)
		}
	})
}
