package planner

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// lines gives items in short: kind, sign, name, changes, why data is at risk.
func lines(items []plans.Item) []string {
	var out []string
	for _, i := range items {
		s := string(i.Kind) + " " + string(i.Action) + " " + i.Name
		for _, c := range i.Changes {
			s += " " + c.Name + "=" + c.Old + ">" + c.New
		}
		if i.Data != "" {
			s += " !"
		}
		if len(i.UsedBy) > 0 {
			s += " by " + strings.Join(i.UsedBy, ",")
		}
		out = append(out, s+i.Note)
	}
	return out
}

func TestItems(t *testing.T) {
	pg := func(version, major, dir string) plans.Services {
		return plans.Services{PostgreSQL: plans.PostgreSQL{Version: version, Major: major, DataDir: dir}}
	}
	mount := func(m plans.Mount) plans.Services { return plans.Services{Mounts: map[string]plans.Mount{"/srv": m}} }
	disk := plans.Mount{Device: "/dev/sdb", Kind: "ext4", Options: []string{"defaults"}}
	for _, c := range []struct {
		name     string
		old, new plans.Services
		want     []string
	}{
		{"PostgreSQL, minor", pg("16.9", "16", "/d/16"), pg("16.10", "16", "/d/16"), []string{"database update PostgreSQL version=16.9>16.10"}},
		{"PostgreSQL, major", pg("16.9", "16", "/d/16"), pg("17.6", "17", "/d/17"), []string{"database update PostgreSQL version=16.9>17.6 dataDir=/d/16>/d/17 !"}},
		{"PostgreSQL, major, same folder", pg("9.5.1", "9.5", "/d"), pg("9.6.1", "9.6", "/d"), []string{"database update PostgreSQL version=9.5.1>9.6.1 !"}},
		{"PostgreSQL, other folder", pg("16.9", "16", "/d"), pg("16.9", "16", "/e"), []string{"database update PostgreSQL dataDir=/d>/e !"}},
		{"PostgreSQL, off", pg("16.9", "16", "/d"), plans.Services{}, []string{"database destroy PostgreSQL !"}},
		{"PostgreSQL, on", plans.Services{}, pg("16.9", "16", "/d"), []string{"database create PostgreSQL version=>16.9 dataDir=>/d"}},
		{"mount, options", mount(disk), mount(plans.Mount{Device: "/dev/sdb", Kind: "ext4", Options: []string{"defaults", "noatime"}}), []string{"file system update /srv options=>noatime"}},
		{"mount, device", mount(disk), mount(plans.Mount{Device: "/dev/sdc", Kind: "ext4"}), []string{"file system update /srv device=/dev/sdb>/dev/sdc !"}},
		{"mount, type", mount(disk), mount(plans.Mount{Device: "/dev/sdb", Kind: "xfs"}), []string{"file system update /srv fsType=ext4>xfs !"}},
		{"mount, gone", mount(disk), plans.Services{}, []string{"file system destroy /srv !"}},
		{"mount of memory, gone", mount(plans.Mount{Device: "none", Kind: "tmpfs"}), plans.Services{}, []string{"file system destroy /srv"}},
		{"site", plans.Services{Sites: map[string]plans.Site{"a": {Names: []string{"a"}, TLS: "yes"}, "gone": {}}}, plans.Services{Sites: map[string]plans.Site{"a": {Names: []string{"a", "b"}, TLS: "forced", ACME: "yes"}}},
			[]string{"virtual host update a names=a>a, b TLS=yes>forced ACME=>yes", "virtual host destroy gone"}},
		{"certificate", plans.Services{}, plans.Services{Certificates: map[string]plans.Certificate{"a": {Names: []string{"a"}, DNS: "hetzner"}}}, []string{"certificate create a names=>a dnsProvider=>hetzner"}},
		{"data first", mount(disk), plans.Services{Certificates: map[string]plans.Certificate{"a": {}}, Containers: map[string]plans.Container{"c": {Image: "i:1"}}},
			[]string{"file system destroy /srv !", "container create c image=>i:1", "certificate create a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := items(plans.System{Services: c.old}, plans.System{Services: c.new})
			if diff := cmp.Diff(c.want, lines(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	secret := func(digest string) plans.SecretFacts {
		return plans.SecretFacts{Path: "/run/secrets/token", Owner: "root", Digest: digest, Restarts: []string{"api.service"}, Reloads: []string{"web.service"}}
	}
	at := func(secrets map[string]plans.SecretFacts) plans.System {
		return plans.System{Services: plans.Services{Secrets: secrets}, Units: map[string]plans.UnitText{
			"api.service":    {Enabled: true},
			"web.service":    {Enabled: true},
			"direct.service": {Enabled: true, Text: "[Service]\nLoadCredential=token:/run/secrets/token\n"},
			"script.service": {Enabled: true, Files: map[string]string{"run": "cat '/run/secrets/token'"}},
			"longer.service": {Enabled: true, Text: "[Service]\nEnvironment=F=/run/secrets/token2\n"},
			"masked.service": {Text: "[Service]\nEnvironment=F=/run/secrets/token\n"},
		}}
	}
	old, moved := secret("1"), secret("1")
	moved.Owner = "api"
	all := "api.service,direct.service,script.service,web.service"
	for _, c := range []struct {
		name     string
		old, new map[string]plans.SecretFacts
		want     []string
	}{
		{"added", nil, map[string]plans.SecretFacts{"token": old}, []string{"secret create token path=>/run/secrets/token owner=>root by " + all}},
		{"owner", map[string]plans.SecretFacts{"token": old}, map[string]plans.SecretFacts{"token": moved}, []string{"secret update token owner=root>api by " + all}},
		{"content", map[string]plans.SecretFacts{"token": old}, map[string]plans.SecretFacts{"token": secret("2")}, []string{"secret update token by " + all + "its encrypted file changed"}},
		{"removed", map[string]plans.SecretFacts{"token": old}, nil, []string{"secret destroy token by direct.service,script.service"}},
		{"same", map[string]plans.SecretFacts{"token": old}, map[string]plans.SecretFacts{"token": old}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, lines(items(at(c.old), at(c.new)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}

	changed := units(at(map[string]plans.SecretFacts{"token": old}), at(map[string]plans.SecretFacts{"token": secret("2")}), liveState{})
	want := []plans.Unit{
		{Name: "api.service", Effect: plans.EffectRestart, Certainty: plans.Unsure, Why: "if the secret token changed in its file"},
		{Name: "web.service", Effect: plans.EffectReload, Certainty: plans.Unsure, Why: "if the secret token changed in its file"},
	}
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDeploymentKeys(t *testing.T) {
	units := map[string]plans.UnitText{
		"tls-key.service": {Enabled: true, Text: "[Service]\nExecStart=wait /run/keys/tls\n"},
		"web.service":     {Enabled: true, Text: "[Unit]\nAfter=tls-key.service\n"},
		"api.service":     {Enabled: true, Text: "[Service]\nExecStart=api --key /run/keys/tls\n"},
	}
	key := plans.KeyFacts{Path: "/run/keys/tls", User: "root", Permissions: "0600", Source: "keyFile"}
	other := key
	other.Permissions = "0640"
	at := func(keys map[string]plans.KeyFacts) plans.System { return plans.System{Units: units, Keys: keys} }
	with, changed := map[string]plans.KeyFacts{"tls": key}, map[string]plans.KeyFacts{"tls": other}
	for _, c := range []struct {
		old, new map[string]plans.KeyFacts
		want     []string
	}{
		{nil, with, []string{"deployment key create tls path=>/run/keys/tls user=>root permissions=>0600 source=>keyFile by api.service,web.service"}},
		{with, changed, []string{"deployment key update tls permissions=0600>0640 by api.service,web.service"}},
		{with, nil, []string{"deployment key destroy tls by api.service,web.service" + "its file /run/keys/tls stays on the host"}},
		{with, with, nil},
	} {
		if diff := cmp.Diff(c.want, lines(items(at(c.old), at(c.new)))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// A reboot takes the keys that lie in memory.
func TestRebootTakesKeys(t *testing.T) {
	keys := map[string]plans.KeyFacts{"a": {Path: "/run/keys/a"}, "b": {Path: "/var/keys/b"}}
	for kernel, want := range map[string]bool{"": false, "/nix/store/00000000000000000000000000000000-linux": true} {
		h := compare(t, Known{}, func(s *plans.System) {
			s.Keys = keys
			if kernel != "" {
				s.Boot.Kernel = kernel
			}
		})
		if got := slices.ContainsFunc(h.Notes, func(n string) bool { return strings.HasPrefix(n, "a reboot takes the deployment keys") }); got != want {
			t.Errorf("kernel %q, reboot %q: %q", kernel, h.Reboot, h.Notes)
		}
	}
}

func TestMembersOfGroups(t *testing.T) {
	h := compare(t, Known{}, func(s *plans.System) { s.Services.Groups = map[string][]string{"wheel": {"root", "nobody"}} })
	if len(h.Users) != 1 || !slices.Equal(h.Users[0].Changes, []string{"group wheel added"}) || !slices.Contains(h.Risks, plans.RiskAccess) {
		t.Errorf("users %+v, risks %v", h.Users, h.Risks)
	}
}

func TestStanding(t *testing.T) {
	host := func(name string, action plans.Action) plans.Host {
		return plans.Host{Name: name, Action: action, Notes: []string{"own"}}
	}
	hosts := []plans.Host{host("held", plans.Update), host("fresh", plans.Update), host("unnamed", plans.Update), host("new", plans.Create), host("gone", plans.Destroy), host("good", plans.Update), host("elsewhere", plans.Update), host("since", plans.Update), host("failed", plans.Update), host("again", plans.Update)}
	hosts[len(hosts)-1].New = path(t, "0", "again")
	good := fleet.Published{SystemHash: "h", Commit: "c"}
	held := good
	held.Held = true
	since := good
	since.Held, since.HeldSince, since.HeldBy = true, time.Date(2026, 11, 20, 14, 3, 59, 0, time.UTC), "ada"
	failed := good
	failed.FailedSystem, failed.FailedCommit, failed.FailedAt, failed.FailedWhy = "h2", "1a2b3c4d5e6f", since.HeldSince, "nginx.service failed"
	again := good
	again.FailedSystem = strings.Repeat("0", 32)
	plan := Assemble(Input{Hosts: hosts, PendingHosts: hosts[:1], Current: &plans.Current{Hosts: map[string]fleet.Published{
		"held": held, "fresh": {}, "unnamed": {SystemHash: "h"}, "new": {}, "gone": {}, "good": good,
		"since": since, "failed": failed, "again": again,
	}}})
	want := map[string][]string{
		"held": {"held: a deploy does not touch it until it is released (flotilla release)", "own"}, "fresh": {"no deploy of it has been confirmed yet: what it runs is not known", "own"},
		"unnamed": {"it runs a system that no commit is recorded for", "own"}, "new": {"own"}, "gone": {"own"}, "good": {"own"}, "elsewhere": {"own"},
		"since":  {"held since 2026-11-20 14:03 UTC by ada: a deploy does not touch it until it is released (flotilla release)", "own"},
		"failed": {"last attempt here failed: 1a2b3c4d, 2026-11-20 14:03 UTC, nginx.service failed", "own"},
		"again":  {"last attempt here failed (this very system: a deploy refuses it without --retry-bad)", "own"},
	}
	for _, h := range slices.Concat(plan.This.Hosts, plan.Pending.Hosts) {
		if diff := cmp.Diff(want[h.Name], h.Notes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", h.Name, diff)
		}
	}
	if len(hosts[0].Notes) != 1 {
		t.Error("the input was changed")
	}
}
