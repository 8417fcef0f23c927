package deploy

import (
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

func TestCheckPins(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKB3UuyhOXwNBqOgbwfSy+3lfbBeh+JxlJmRKj4ZU4kT"
	if _, err := fingerprints(map[string]string{"web": "not a key"}); err == nil || problem.CodeOf(err) != problem.Usage {
		t.Errorf("not a key: %v", err)
	}
	pins, err := fingerprints(map[string]string{"web": key})
	if err != nil || len(pins["web"]) != 52 {
		t.Fatalf("got %v, %v", pins, err)
	}
	f := fleet.Fleet{Servers: map[string]fleet.Server{"web": {}}}
	owned := func(hostKey string) fleet.Account {
		return fleet.Account{Servers: map[string]fleet.AccountServer{"web": {Published: fleet.Published{HostKey: hostKey}}}}
	}
	for name, c := range map[string]struct {
		names   []string
		account fleet.Account
		fleet   fleet.Fleet
		want    string // "": accepted
	}{
		"taken over now":       {[]string{"web"}, fleet.Account{}, f, ""},
		"taken over before":    {nil, owned(""), f, ""},
		"the same again":       {nil, owned(pins["web"]), f, ""},
		"another key is known": {nil, owned("other"), f, "knows another host key"},
		"not taken over":       {[]string{"db"}, fleet.Account{}, f, "no server of that name"},
		"not declared":         {[]string{"web"}, fleet.Account{}, fleet.Fleet{}, "no server of that name"},
	} {
		err := checkPins(pins, c.names, c.account, c.fleet)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A server that was taken over keeps its host key; only a throw-away one is
// replaced.
func TestIsFresh(t *testing.T) {
	made := fleet.AccountServer{KeysDigest: "digest", Published: fleet.Published{HostKey: "key"}}
	running, half := made, made
	running.Published.SystemHash = "hash"
	half.Published.SystemHash, half.Published.NextHostKey = "hash", "next"
	for name, c := range map[string]struct {
		server fleet.AccountServer
		want   bool
	}{
		"new": {made, true}, "deployed": {running, false}, "interrupted": {half, true},
		"taken over": {fleet.AccountServer{Published: fleet.Published{HostKey: "key"}}, false}, "without a key": {fleet.AccountServer{}, false},
	} {
		if got := isFresh(c.server); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
