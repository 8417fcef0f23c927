package planner

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

func TestUsers(t *testing.T) {
	one, oneText := key(t, 1, "deploy")
	two, twoText := key(t, 2, "alice@laptop")
	n, m := 1000, 1001
	h := compare(t, Known{}, func(s *plans.System) {
		s.Users = map[string]plans.UserFacts{
			"root":  {Keys: []string{one, two}},
			"alice": {UID: &n, Normal: true, Groups: []string{"wheel"}, Keys: []string{`restrict,command="x" ` + two, "garbage", "file keys/bob.pub"}},
			"nginx": {},
		}
	})
	want := []plans.User{
		{
			Name: "alice", Action: plans.Create, KeysAdded: []string{twoText + ` (restrict,command="x")`, "not a key: garbage", "not a key: file keys/bob.pub"},
			KeysRemoved: []string{}, Changes: []string{"group wheel added"},
		},
		{Name: "nginx", Action: plans.Create, System: true, KeysAdded: []string{}, KeysRemoved: []string{}, Changes: []string{}},
		{Name: "root", Action: plans.Update, KeysAdded: []string{twoText}, KeysRemoved: []string{}, Changes: []string{}},
	}
	if diff := cmp.Diff(want, h.Users); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !slices.Equal(h.Risks, []plans.Risk{plans.RiskAccess}) {
		t.Errorf("risks are %v", h.Risks)
	}

	var r review
	r.users(map[string]plans.UserFacts{"a": {UID: &n, Group: "users", Groups: []string{"video"}, Shell: "/nix/store/00000000000000000000000000000000-bash-5/bin/bash", Keys: []string{one}}, "gone": {}},
		map[string]plans.UserFacts{"a": {UID: &m, Group: "staff", Normal: true, Shell: "/nix/store/11111111111111111111111111111111-zsh-5/bin/zsh"}})
	want = []plans.User{
		{
			Name: "a", Action: plans.Update, KeysAdded: []string{}, KeysRemoved: []string{oneText},
			Changes: []string{"group video removed", "kind system user → normal user", "primary group users → staff", "shell /nix/store/…-bash-5/bin/bash → /nix/store/…-zsh-5/bin/zsh", "uid 1000 → 1001"},
		},
		{Name: "gone", Action: plans.Destroy, System: true, KeysAdded: []string{}, KeysRemoved: []string{}, Changes: []string{}},
	}
	if diff := cmp.Diff(want, r.Users); diff != "" || !r.access {
		t.Errorf("access %v (-want +got):\n%s", r.access, diff)
	}

	// A service's account is nobody who gets in; another build of a shell is no change.
	r = review{}
	r.users(map[string]plans.UserFacts{"a": {Shell: "/nix/store/00000000000000000000000000000000-bash/bin/bash"}}, map[string]plans.UserFacts{"a": {Shell: "/nix/store/11111111111111111111111111111111-bash/bin/bash"}, "nginx": {}})
	if r.access || len(r.Users) != 1 {
		t.Errorf("access %v, users %+v", r.access, r.Users)
	}
}

func TestLockout(t *testing.T) {
	deploy, _ := key(t, 1, "deploy")
	other, _ := key(t, 2, "other")
	login := Known{Logins: map[string]Login{"web": {Keys: []string{deploy}}}}
	for _, c := range []struct {
		name  string
		known Known
		edit  func(s *plans.System)
		want  []string
	}{
		{"nothing of that", login, func(s *plans.System) { s.SSHD.Settings["X11Forwarding"] = "yes" }, nil},
		{"sshd off", login, func(s *plans.System) { s.SSHD.Enabled = false }, []string{"the SSH daemon is off"}},
		{"other port", Known{}, func(s *plans.System) { s.SSHD.Ports = []int{2222} }, []string{"SSH listens on port 2222, and deployment.targetPort does not say so"}},
		{"other port, told, behind the firewall", Known{}, func(s *plans.System) { s.SSHD.Ports = []int{2222}; s.Deployment.TargetPort = 2222 }, []string{"the firewall does not let port 2222 in"}},
		{"other port, told and open", Known{}, func(s *plans.System) {
			s.SSHD.Ports = []int{22, 2222}
			s.Deployment.TargetPort = 2222
			s.Firewall.Ports.TCP = []string{"2000-3000"}
		}, nil},
		{"deploy's port", Known{Logins: map[string]Login{"web": {Port: 22}}}, func(s *plans.System) { s.SSHD.Ports = []int{2222} }, []string{"SSH does not listen on port 22"}},
		{"firewall", login, func(s *plans.System) { s.Firewall.Ports.TCP = []string{"80"} }, []string{"the firewall does not let port 22 in"}},
		{"one interface lets it in", login, func(s *plans.System) {
			s.Firewall.Ports.TCP = nil
			s.Firewall.Interfaces = map[string]plans.FirewallPorts{"wg0": {TCP: []string{"all"}}}
		}, nil},
		{"root may not", login, func(s *plans.System) { s.SSHD.Settings["PermitRootLogin"] = "no" }, []string{"root may not log in (PermitRootLogin no)"}},
		{"no keys at all", login, func(s *plans.System) { s.SSHD.Settings["PubkeyAuthentication"] = "no" }, []string{"SSH keys are not accepted (PubkeyAuthentication no)"}},
		{"AllowUsers", login, func(s *plans.System) { s.SSHD.Settings["AllowUsers"] = "alice bob" }, []string{"user root is not in AllowUsers"}},
		{"AllowUsers with it", login, func(s *plans.System) { s.SSHD.Settings["AllowUsers"] = "alice root" }, nil},
		{"AllowUsers with a pattern", login, func(s *plans.System) { s.SSHD.Settings["AllowUsers"] = "alice ro*" }, nil},
		{"AllowUsers from an address", login, func(s *plans.System) { s.SSHD.Settings["AllowUsers"] = "root@192.0.2.*" }, nil},
		{"AllowGroups", login, func(s *plans.System) { s.SSHD.Settings["AllowGroups"] = "wheel" }, []string{"user root is in no group of AllowGroups"}},
		{"DenyGroups", login, func(s *plans.System) {
			s.SSHD.Settings["DenyGroups"] = "nobody admins"
			s.Services.Groups = map[string][]string{"admins": {"root"}}
		}, []string{"a group of user root is in DenyGroups"}},
		{"listens elsewhere", login, func(s *plans.System) { s.Services.SSHListen = []string{"10.0.0.1:2222"} }, nil},
		{"one of several keys stays", Known{Logins: map[string]Login{"web": {Keys: []string{deploy, other}}}}, func(s *plans.System) { s.Users["root"] = plans.UserFacts{Keys: []string{other}} }, nil},
		{"none of several keys stays", Known{Logins: map[string]Login{"web": {Keys: []string{deploy, other}}}}, func(s *plans.System) {
			third, _ := key(t, 3, "third")
			s.Users["root"] = plans.UserFacts{Keys: []string{third}}
		}, []string{"user root accepts none of the deploy keys"}},
		{"DenyUsers", login, func(s *plans.System) { s.SSHD.Settings["DenyUsers"] = "root" }, []string{"user root is in DenyUsers"}},
		{"key replaced", login, func(s *plans.System) { s.Users["root"] = plans.UserFacts{Keys: []string{other}} }, []string{"user root does not accept the deploy key"}},
		{"key may be in a file", login, func(s *plans.System) { s.Users["root"] = plans.UserFacts{Keys: []string{other, "file x.pub"}} }, nil},
		{"keys gone, deploy key not known", Known{}, func(s *plans.System) { s.Users["root"] = plans.UserFacts{} }, []string{"user root has no SSH key left"}},
		{"user gone", Known{Logins: map[string]Login{"web": {User: "root", Keys: []string{other}}}}, func(s *plans.System) { s.StateVersion = "26.05" }, nil}, // was so before
	} {
		t.Run(c.name, func(t *testing.T) {
			h := compare(t, c.known, c.edit)
			if diff := cmp.Diff(c.want, h.Lockout); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(c.want) > 0 && !slices.Contains(h.Risks, plans.RiskAccess) {
				t.Errorf("risks are %v", h.Risks)
			}
		})
	}
}

// A deploy that calls where the running system does not listen yet cannot
// bring the system that does.
func TestSSHMoves(t *testing.T) {
	moved := func(s *plans.System) {
		s.SSHD.Ports = []int{2222}
		s.Firewall.Ports.TCP = []string{"2222"}
		s.Deployment.TargetPort = 2222
		s.Services.SSHListen = []string{"10.0.0.1:2222"}
	}
	h := compare(t, Known{Logins: map[string]Login{"web": {Port: 2222}}}, moved)
	want := []string{
		"port 22 → 2222", "listens on all addresses → 10.0.0.1:2222",
		"the deploy calls port 2222, where what runs now does not answer: it logs in at the old port until the switch",
	}
	if diff := cmp.Diff(want, h.SSHMoves); diff != "" || h.Lockout != nil {
		t.Errorf("lockout %q, moves (-want +got):\n%s", h.Lockout, diff)
	}
}

// A new server has the keys that it was made with, whatever the system says;
// that root exists is no news.
func TestNewHostWithoutKeys(t *testing.T) {
	deploy, _ := key(t, 2, "deploy")
	s := healthy(t)
	s.Users = map[string]plans.UserFacts{"root": {Group: "root"}, "sshd": {Group: "sshd"}}
	hosts, _, _ := Compare(nil, evaluations(s), Known{Logins: map[string]Login{"web": {Keys: []string{deploy}}}})
	if len(hosts) != 1 || len(hosts[0].Lockout) != 0 || len(hosts[0].Users) != 1 || !hosts[0].Users[0].System || slices.Contains(hosts[0].Risks, plans.RiskAccess) {
		t.Errorf("got %+v", hosts)
	}
}

func TestLockoutOfANewHost(t *testing.T) {
	deploy, _ := key(t, 2, "deploy")
	s := healthy(t)
	hosts, _, _ := Compare(nil, evaluations(s), Known{Logins: map[string]Login{"web": {User: "admin", Keys: []string{deploy}}}})
	if len(hosts) != 1 || !slices.Contains(hosts[0].Lockout, "user admin does not exist") {
		t.Errorf("got %+v", hosts)
	}
}
