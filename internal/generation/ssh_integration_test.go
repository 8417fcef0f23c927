//go:build integration

package generation_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/remote"
)

// overSSH makes a host that lets a new key in, and the way to it with the host
// key checked.
func overSSH(t *testing.T) (*rig, *remote.Target) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	return r, &remote.Target{
		Host: "host", Address: r.addr.String(), Signers: []ssh.Signer{signer}, ConnectTimeout: 4 * time.Second, KeepAlive: time.Second,
		HostKeys: []string{r.fingerprint()},
	}
}

// fingerprint is that of the host key on the host's disk.
func (r *rig) fingerprint() string {
	r.t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(r.sh("cat /etc/ssh/ssh_host_ed25519_key.pub")))
	if err != nil {
		r.t.Fatal(err)
	}
	return remote.Fingerprint(key)
}

func (r *rig) sshHost(target *remote.Target) *generation.Host {
	h := generation.New("host", func(ctx context.Context) (generation.Session, error) {
		return remote.Dial(ctx, *target)
	}, progress.Func(func(e progress.Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e.Time.Format("05.000")+" "+string(e.Kind)+" "+string(e.Step)+" "+e.Text)
	}))
	h.Hasten()
	return h
}

// TestNetworkGone: the new system takes network and sshd away. Over real SSH,
// the host is found again once its guard has put it back.
func TestNetworkGone(t *testing.T) {
	r, target := overSSH(t)
	h := r.sshHost(target)
	if result := h.Switch(t.Context(), r.request("good")); result.Outcome != fleet.Deployed {
		t.Fatalf("%s: %s", result.Outcome, result.Reason)
	}
	request := r.request("cuts")
	request.ActivationTimeout, request.ConfirmTimeout = 8*time.Second, 4*time.Second
	// "good" leaves the network alone; only the old system brings it up again.
	r.sh(`$(cat /systems/old)/bin/switch-to-configuration test`)
	r.sh(`nix-env --profile /nix/var/nix/profiles/system --set $(cat /systems/old) && $(cat /systems/old)/bin/switch-to-configuration boot`)
	result := h.Switch(t.Context(), request)
	if result.Outcome != fleet.RolledBack || result.Runs != r.paths["old"] || !strings.Contains(result.Reason, "the guard put the host back") {
		t.Errorf("%s: %s", result.Outcome, result.Reason)
	}
	r.expect("old", "old")
}

// TestHostKey: the throw-away key goes, logins before and after are checked.
func TestHostKey(t *testing.T) {
	r, target := overSSH(t)
	r.sh("ssh-keygen -q -t rsa -b 2048 -N '' -f /etc/ssh/ssh_host_rsa_key; ssh-keygen -q -t ecdsa -N '' -f /etc/ssh/ssh_host_ecdsa_key")
	h := r.sshHost(target)
	public, err := h.PrepareHostKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := h.PrepareHostKey(t.Context()); again != public || err != nil {
		t.Errorf("a second call gives %q, %v", again, err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public))
	if err != nil {
		t.Fatal(err)
	}
	old, next := r.fingerprint(), remote.Fingerprint(key)
	if old == next {
		t.Fatal("no new key was made")
	}
	if err := h.ActivateHostKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	target.HostKeys = []string{next}
	if err := h.ActivateHostKey(t.Context()); err != nil {
		t.Errorf("again, with the new key: %v", err)
	}
	target.HostKeys = []string{old}
	if _, err := h.Look(t.Context()); err == nil {
		t.Error("the old host key is still taken")
	}
	if got := r.sh("ls /etc/ssh/ssh_host_*; stat -c %a /etc/ssh/ssh_host_ed25519_key"); got != "/etc/ssh/ssh_host_ed25519_key\n/etc/ssh/ssh_host_ed25519_key.pub\n600" {
		t.Errorf("host keys are now %q", got)
	}
}

// TestLock: one run at a time; a dead one's lock ends.
func TestLock(t *testing.T) {
	r := newRig(t)
	first, second := r.host(), r.host()
	unlock, err := first.Lock(t.Context(), "run 1", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = second.Lock(t.Context(), "run 2", time.Minute)
		if problem.CodeOf(err) != problem.Refused || !strings.Contains(err.Error(), "locked by run 1") {
			t.Fatalf("the second run gets %v", err)
		}
		if result := second.Switch(t.Context(), r.request("good")); result.Outcome != fleet.HeldBack || !strings.Contains(result.Reason, "run 1") {
			t.Errorf("a switch without the lock: %s, %s", result.Outcome, result.Reason)
		}
		time.Sleep(3500 * time.Millisecond) // longer than the lock would last if it were not renewed
	}
	if s, err := second.Look(t.Context()); err != nil || s.LockedBy != "run 1" {
		t.Errorf("look says %q, %v", s.LockedBy, err)
	}
	if err := unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	dead, kill := r.controller()
	if _, err := dead.Lock(t.Context(), "run 3", 2*time.Second); err != nil {
		t.Fatal(err)
	}
	kill()
	time.Sleep(2500 * time.Millisecond)
	unlock, err = second.Lock(t.Context(), "run 4", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	if all := strings.Join(r.events, "\n"); !strings.Contains(all, "broke the lock of run 3") {
		t.Errorf("nobody was told: %s", all)
	}
	r.mu.Unlock()
	if result := second.Switch(t.Context(), r.request("good")); result.Outcome != fleet.Deployed {
		t.Errorf("with the lock: %s, %s", result.Outcome, result.Reason)
	}
	if err := unlock(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestHistory: records, rollback by hand with a hold, generations that are kept.
func TestHistory(t *testing.T) {
	r := newRig(t)
	h := r.host()
	for _, name := range []string{"good", "good2", "good3"} {
		request := r.request(name)
		request.KeepGenerations = 2
		if result := h.Switch(t.Context(), request); result.Outcome != fleet.Deployed || result.Generation == 0 {
			t.Fatalf("%s: %+v", name, result)
		}
	}
	// Kept are the current one, the one before, and the one that was booted.
	if got := r.sh("cd /nix/var/nix/profiles; ls -d system-*-link"); got != "system-1-link\nsystem-3-link\nsystem-4-link" {
		t.Errorf("generations are %q", got)
	}
	confirmed, err := h.Confirmed(t.Context())
	if err != nil || len(confirmed) != 4 || confirmed[3].System != r.paths["old"] || confirmed[3].Outcome != fleet.Unchanged {
		t.Fatalf("confirmed are %+v, %v", confirmed, err)
	}
	record, err := generation.Target(confirmed, r.paths["good3"], "previous")
	if err != nil || record.System != r.paths["good2"] || record.Commit != "c0ffeegood2" || record.Generation != 3 {
		t.Fatalf("previous is %+v, %v", record, err)
	}
	back := r.request("good2")
	back.ID, back.Kind, back.Hold = "r-1", fleet.RecordRollback, &fleet.Hold{By: "anna", Reason: `the "release" was bad`}
	if result := h.Switch(t.Context(), back); result.Outcome != fleet.Deployed {
		t.Fatalf("%+v", result)
	}
	s := r.expect("good2", "good2")
	if s.Hold == nil || s.Hold.By != "anna" || s.Hold.Reason != `the "release" was bad` || time.Since(s.Hold.At).Abs() > time.Minute {
		t.Errorf("hold is %+v", s.Hold)
	}
	if result := h.Switch(t.Context(), r.request("good")); result.Outcome != fleet.HeldBack {
		t.Errorf("a held host: %+v", result)
	}
	if err := h.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.Hold(t.Context(), fleet.Hold{By: "ben", Reason: "maintenance"}); err != nil {
		t.Fatal(err)
	}
	if s, err := h.Look(t.Context()); err != nil || s.Hold == nil || s.Hold.By != "ben" {
		t.Errorf("hold is %+v, %v", s.Hold, err)
	}
	if err := h.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	records, err := h.Records(t.Context(), 2)
	if err != nil || len(records) != 2 || records[0].ID != "r-1" || records[0].Kind != fleet.RecordRollback || records[1].ID != "d-good3" {
		t.Errorf("records are %+v, %v", records, err)
	}
	if result := h.Switch(t.Context(), back); result.Outcome != fleet.Failed || !strings.Contains(result.Reason, "was there before") {
		t.Errorf("the same id once more: %+v", result)
	}
	again := r.request("good2")
	again.ID = "d-again"
	if result := h.Switch(t.Context(), again); result.Outcome != fleet.Unchanged {
		t.Errorf("what runs already: %+v", result)
	}
	if err := h.Root(t.Context(), r.paths["good"]); err != nil {
		t.Fatal(err)
	}
	if got := r.sh("readlink /nix/var/nix/gcroots/flotilla/candidate"); got != r.paths["good"].String() {
		t.Errorf("the root is %q", got)
	}
	// Somebody switches by hand: the way back would not be clear.
	r.sh("$(cat /systems/old)/bin/switch-to-configuration test")
	if result := h.Switch(t.Context(), r.request("good3")); result.Outcome != fleet.Failed || !strings.Contains(result.Reason, "not its boot default") {
		t.Errorf("%s: %s", result.Outcome, result.Reason)
	}
}
