package deploy

import (
	"crypto/ed25519"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

func TestLogins(t *testing.T) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	var base, head tree
	base.Fleet.SSH = fleet.SSH{User: "root", Port: 22, Key: fleet.EnvRef{Env: "KEY"}}
	base.Fleet.SSHKeys = map[string]fleet.SSHKey{"a": {PublicKey: "key a"}, "b": {PublicKey: "key b"}, "theirs": {Existing: true}}
	base.Fleet.Servers = map[string]fleet.Server{"web": {SSHKeys: []string{"b", "theirs"}}}
	head.Fleet.SSH = fleet.SSH{User: "deploy", Port: 2222, Key: fleet.EnvRef{Env: "OTHER"}}
	hosts := map[string]plans.Evaluation{
		"web": {}, "new": {}, "own": {System: plans.System{Deployment: plans.Deployment{TargetUser: "admin", TargetPort: 22}}},
	}
	known := map[string]plans.Evaluation{"web": {}, "own": {}}

	without := &Flow{Getenv: func(string) string { return "" }}
	got := without.logins(t.Context(), base, head, known, hosts)
	if l := got["web"]; l.User != "deploy" || l.Port != 2222 || !slices.Equal(l.Keys, []string{"key b"}) {
		t.Errorf("web: %+v", l)
	}
	if l := got["own"]; l.User != "admin" || l.Port != 22 || !slices.Equal(l.Keys, []string{"key a", "key b"}) {
		t.Errorf("own: %+v", l)
	}
	if l := got["new"]; len(l.Keys) != 0 {
		t.Errorf("nothing is known of the keys of a new host: %+v", l)
	}

	with := &Flow{Getenv: func(name string) string {
		if name == "KEY" { // that of the base
			return string(pem.EncodeToMemory(block))
		}
		return ""
	}}
	want := string(ssh.MarshalAuthorizedKey(public))
	for host, l := range with.logins(t.Context(), base, head, known, hosts) {
		if !slices.Equal(l.Keys, []string{want}) || strings.Contains(want, "PRIVATE") {
			t.Errorf("%s: %q", host, l.Keys)
		}
	}
	broken := &Flow{Getenv: func(string) string { return "no key" }}
	if l := broken.logins(t.Context(), base, head, known, hosts)["new"]; len(l.Keys) != 0 {
		t.Errorf("a key that cannot be read: %+v", l)
	}
}
