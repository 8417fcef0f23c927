package planner

import (
	"cmp"
	"fmt"
	"maps"
	glob "path"
	"slices"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

const sshPort = 22

// sshd compares the SSH daemon's settings; each change is one of access.
func (r *review) sshd(old, new plans.System) {
	put := func(name, a, b string) {
		if a != b {
			r.Settings = append(r.Settings, plans.Attribute{Name: "services.openssh." + name, Old: a, New: b, Known: true})
			r.access = true
		}
	}
	put("enable", truth(old.SSHD.Enabled), truth(new.SSHD.Enabled))
	put("ports", numbers(old.SSHD.Ports), numbers(new.SSHD.Ports))
	put("listenAddresses", strings.Join(old.Services.SSHListen, ", "), strings.Join(new.Services.SSHListen, ", "))
	for _, name := range keysOfBoth(old.SSHD.Settings, new.SSHD.Settings) {
		put("settings."+name, withoutHashes(old.SSHD.Settings[name]), withoutHashes(new.SSHD.Settings[name]))
	}
	if !old.SSHD.Enabled || !new.SSHD.Enabled {
		return
	}
	if a, b := numbers(old.SSHD.Ports), numbers(new.SSHD.Ports); a != b {
		r.SSHMoves = append(r.SSHMoves, "port "+orNone(a)+" → "+orNone(b))
	}
	if a, b := everywhere(old.Services.SSHListen), everywhere(new.Services.SSHListen); a != b {
		r.SSHMoves = append(r.SSHMoves, "listens on "+a+" → "+b)
	}
}

// everywhere names what a daemon listens on.
func everywhere(addresses []string) string {
	if len(addresses) == 0 {
		return "all addresses"
	}
	return strings.Join(addresses, ", ")
}

func numbers(list []int) string {
	var words []string
	for _, n := range list {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, ", ")
}

// Lockout gives the reasons why the deploy could not log in any more. What was
// already so before (old; nil for a new host, or one of which it is not known)
// is not this change's doing.
func Lockout(old *plans.System, new plans.System, login Login) []string {
	if old == nil && len(new.Users[login.user()].Keys) == 0 && login.user() == "root" {
		login.Keys = nil // a new server brings the keys that it was made with
	}
	reasons := shut(new, login)
	// Where the way in is another now, what was before says nothing.
	if old != nil && old.Deployment.TargetUser == new.Deployment.TargetUser && old.Deployment.TargetPort == new.Deployment.TargetPort {
		reasons = added(shut(*old, login), reasons)
	}
	if old != nil && len(login.Keys) == 0 && len(old.Users[login.user()].Keys) > 0 && len(new.Users[login.user()].Keys) == 0 {
		reasons = append(reasons, fmt.Sprintf("user %s has no SSH key left", login.user()))
	}
	return reasons
}

// lockout notes what a deploy would refuse, and a port that has moved away.
func (r *review) lockout(old *plans.System, new plans.System, login Login) {
	reasons := Lockout(old, new, login)
	r.Lockout = reasons
	if old != nil && old.Deployment.TargetPort != new.Deployment.TargetPort && len(shutPort(*old, login)) > 0 && len(shutPort(new, login)) == 0 {
		r.SSHMoves = append(r.SSHMoves, fmt.Sprintf("the deploy calls port %d, where what runs now does not answer: it logs in at the old port until the switch", login.port(new)))
	}
	r.access = r.access || len(reasons) > 0
}

// moves notes how the way in changes outside of the system.
func (r *review) moves(how []string) {
	r.SSHMoves = append(r.SSHMoves, how...)
	r.access = r.access || len(how) > 0
}

// port is where the deploy calls.
func (l Login) port(s plans.System) int {
	return cmp.Or(l.Port, s.Deployment.TargetPort, sshPort)
}

func (l Login) user() string {
	if l.User == "" {
		return "root"
	}
	return l.User
}

// shut gives the reasons why a login fails, as far as facts tell.
func shut(s plans.System, login Login) []string {
	if !s.SSHD.Enabled {
		return []string{"the SSH daemon is off"}
	}
	return slices.Concat(shutPort(s, login), shutUser(s, login.user()), shutKeys(s, login))
}

// shutPort tells whether the daemon cannot be reached where the deploy calls.
func shutPort(s plans.System, login Login) []string {
	var reasons []string
	port := login.Port
	if port == 0 {
		port = s.Deployment.TargetPort
	}
	switch {
	case port != 0 && len(s.SSHD.Ports) > 0 && !slices.Contains(s.SSHD.Ports, port) && !listensOn(s.Services.SSHListen, port):
		reasons = append(reasons, fmt.Sprintf("SSH does not listen on port %d", port))
	case port == 0 && len(s.SSHD.Ports) > 0 && !slices.Contains(s.SSHD.Ports, sshPort) && !listensOn(s.Services.SSHListen, sshPort):
		reasons = append(reasons, fmt.Sprintf("SSH listens on port %s, and deployment.targetPort does not say so", numbers(s.SSHD.Ports)))
	}
	port = login.port(s)
	if !letsIn(s.Firewall, port) {
		reasons = append(reasons, fmt.Sprintf("the firewall does not let port %d in", port))
	}
	return reasons
}

func listensOn(addresses []string, port int) bool {
	return slices.ContainsFunc(addresses, func(a string) bool { return strings.HasSuffix(a, ":"+strconv.Itoa(port)) })
}

// shutUser tells whether the daemon refuses the user, whatever the key.
func shutUser(s plans.System, name string) []string {
	var reasons []string
	set := func(key string) string { return s.SSHD.Settings[key] }
	if name == "root" && set("PermitRootLogin") == "no" {
		reasons = append(reasons, "root may not log in (PermitRootLogin no)")
	}
	if set("PubkeyAuthentication") == "no" {
		reasons = append(reasons, "SSH keys are not accepted (PubkeyAuthentication no)")
	}
	one := []string{name}
	if v := set("AllowUsers"); v != "" && !matchesOne(v, one, true) {
		reasons = append(reasons, fmt.Sprintf("user %s is not in AllowUsers", name))
	}
	if matchesOne(set("DenyUsers"), one, false) {
		reasons = append(reasons, fmt.Sprintf("user %s is in DenyUsers", name))
	}
	groups := allGroups(members(s)[name])
	if name == "root" {
		groups = append(groups, "root")
	}
	if v := set("AllowGroups"); v != "" && !matchesOne(v, groups, true) {
		reasons = append(reasons, fmt.Sprintf("user %s is in no group of AllowGroups", name))
	}
	if matchesOne(set("DenyGroups"), groups, false) {
		reasons = append(reasons, fmt.Sprintf("a group of user %s is in DenyGroups", name))
	}
	return reasons
}

// matchesOne tells whether a pattern list of sshd_config names one of the
// names. For a pattern that also asks where the user comes from, doubt counts.
func matchesOne(patterns string, names []string, doubt bool) bool {
	for pattern := range strings.FieldsSeq(patterns) {
		user, _, from := strings.Cut(pattern, "@")
		for _, name := range names {
			if ok, err := glob.Match(user, name); (ok || err != nil) && (!from || doubt) {
				return true
			}
		}
	}
	return false
}

// shutKeys tells whether the user accepts none of the deploy's keys.
func shutKeys(s plans.System, login Login) []string {
	var wanted []string
	for _, key := range login.Keys {
		if f := fingerprint(key); f != "" {
			wanted = append(wanted, f)
		}
	}
	if len(wanted) == 0 || len(s.Users) == 0 {
		return nil
	}
	name := login.user()
	user, exists := s.Users[name]
	if !exists && name != "root" {
		return []string{fmt.Sprintf("user %s does not exist", name)}
	}
	if slices.ContainsFunc(user.Keys, func(line string) bool {
		f := fingerprint(line)
		return f == "" || slices.Contains(wanted, f) // a file whose keys are not known may hold it
	}) {
		return nil
	}
	if len(wanted) > 1 {
		return []string{fmt.Sprintf("user %s accepts none of the deploy keys", name)}
	}
	return []string{fmt.Sprintf("user %s does not accept the deploy key", name)}
}

// members is a system's users with the groups that name them as members.
func members(s plans.System) map[string]plans.UserFacts {
	users := maps.Clone(s.Users)
	for _, group := range slices.Sorted(maps.Keys(s.Services.Groups)) {
		for _, name := range s.Services.Groups[group] {
			if u, ok := users[name]; ok && !slices.Contains(u.Groups, group) {
				u.Groups = append(slices.Clone(u.Groups), group)
				users[name] = u
			}
		}
	}
	return users
}
