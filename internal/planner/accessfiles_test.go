package planner

import (
	"slices"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// A file that decides who gets in is a matter of access, whichever option made
// it: no user or sshd setting has to change for that.
func TestFilesOfAccess(t *testing.T) {
	for path, want := range map[string]bool{
		"ssh/authorized_keys.d/root": true, "ssh/sshd_config": true, "pam.d/sshd": true, "sudoers.d/ops": true, "doas.conf": true, "shadow": true, "polkit-1/rules.d/1.rules": true,
		"ssh/ssh_known_hosts": false, "ssh/ssh_config": false, "motd": false, "my/pam.d/x": false,
	} {
		text := "x"
		h := compare(t, Known{}, func(s *plans.System) { s.Etc = map[string]plans.EtcEntry{path: {Text: &text, Mode: "symlink"}} })
		if got := slices.Contains(h.Risks, plans.RiskAccess); got != want {
			t.Errorf("%s: risks %v, access wanted: %v", path, h.Risks, want)
		}
	}
}

// NixOS writes users' keys below /etc; what stands there and is no user's key
// is named.
func TestKeysThatNoUserNames(t *testing.T) {
	one, _ := key(t, 1, "deploy")
	two, _ := key(t, 2, "mallory")
	forced, own, more := two+"\n", "# made\n"+one+"\n\n", one+"\n"+two+"\n"
	for name, c := range map[string]struct {
		entry plans.EtcEntry
		want  bool
	}{
		"made of the user's keys":   {plans.EtcEntry{Source: "/nix/store/00000000000000000000000000000000-root-authorized_keys"}, false},
		"the same, read":            {plans.EtcEntry{Text: &own}, false},
		"another text":              {plans.EtcEntry{Text: &forced}, true},
		"more than the user's keys": {plans.EtcEntry{Text: &more}, true},
		"another file":              {plans.EtcEntry{Source: "/nix/store/00000000000000000000000000000000-evil"}, true},
	} {
		h := compare(t, Known{}, func(s *plans.System) {
			s.Users = map[string]plans.UserFacts{"root": {Keys: []string{one}}}
			s.Etc = map[string]plans.EtcEntry{"ssh/authorized_keys.d/root": c.entry}
		})
		got := slices.ContainsFunc(h.Files, func(f plans.File) bool { return f.Path == "ssh/authorized_keys.d/root" })
		if got != c.want || c.want && !slices.Contains(h.Risks, plans.RiskAccess) {
			t.Errorf("%s: files %+v, risks %v", name, h.Files, h.Risks)
		}
	}
}
