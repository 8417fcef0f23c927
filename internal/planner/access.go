package planner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

const sshPort = 22

// sshd compares the SSH daemon's settings; each change is one of access.
func (r *review) sshd(old, new plans.SSHD) {
	put := func(name, a, b string) {
		if a != b {
			r.Settings = append(r.Settings, plans.Attribute{Name: "services.openssh." + name, Old: a, New: b, Known: true})
			r.access = true
		}
	}
	put("enable", truth(old.Enabled), truth(new.Enabled))
	put("ports", numbers(old.Ports), numbers(new.Ports))
	for _, name := range keysOfBoth(old.Settings, new.Settings) {
		put("settings."+name, withoutHashes(old.Settings[name]), withoutHashes(new.Settings[name]))
	}
}

func numbers(list []int) string {
	var words []string
	for _, n := range list {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, ", ")
}

// lockout notes why the deploy could not log in any more. What was already
// so before (old; nil for a new host) is not this change's doing.
func (r *review) lockout(old *plans.System, new plans.System, login Login) {
	reasons := shut(new, login)
	if old != nil {
		reasons = added(shut(*old, login), reasons)
	}
	if old != nil && login.PublicKey == "" && len(old.Users[login.user()].Keys) > 0 && len(new.Users[login.user()].Keys) == 0 {
		reasons = append(reasons, fmt.Sprintf("user %s has no SSH key left", login.user()))
	}
	for _, reason := range reasons {
		r.Notes = append(r.Notes, "this would lock the deploy out: "+reason)
		r.access = true
	}
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
	var reasons []string
	port := login.Port
	if port == 0 {
		port = s.Deployment.TargetPort
	}
	switch {
	case port != 0 && len(s.SSHD.Ports) > 0 && !slices.Contains(s.SSHD.Ports, port):
		reasons = append(reasons, fmt.Sprintf("SSH does not listen on port %d", port))
	case port == 0 && len(s.SSHD.Ports) > 0 && !slices.Contains(s.SSHD.Ports, sshPort):
		reasons = append(reasons, fmt.Sprintf("SSH listens on port %s, and deployment.targetPort does not say so", numbers(s.SSHD.Ports)))
	}
	if port == 0 {
		port = sshPort
	}
	if !letsIn(s.Firewall, port) {
		reasons = append(reasons, fmt.Sprintf("the firewall does not let port %d in", port))
	}

	name := login.user()
	user, exists := s.Users[name]
	set := func(key string) (string, bool) { v, ok := s.SSHD.Settings[key]; return v, ok }
	if v, _ := set("PermitRootLogin"); name == "root" && v == "no" {
		reasons = append(reasons, "root may not log in (PermitRootLogin no)")
	}
	if v, _ := set("PubkeyAuthentication"); v == "no" {
		reasons = append(reasons, "SSH keys are not accepted (PubkeyAuthentication no)")
	}
	if v, ok := set("AllowUsers"); ok && v != "" && !slices.Contains(strings.Fields(v), name) {
		reasons = append(reasons, fmt.Sprintf("user %s is not in AllowUsers", name))
	}
	if v, ok := set("DenyUsers"); ok && slices.Contains(strings.Fields(v), name) {
		reasons = append(reasons, fmt.Sprintf("user %s is in DenyUsers", name))
	}
	if login.PublicKey == "" || len(s.Users) == 0 {
		return reasons
	}
	wanted := fingerprint(login.PublicKey)
	known := func(line string) bool { return fingerprint(line) == "" } // a file whose keys are not known may hold it
	switch {
	case !exists && name != "root":
		reasons = append(reasons, fmt.Sprintf("user %s does not exist", name))
	case wanted != "" && !slices.ContainsFunc(user.Keys, func(line string) bool { return fingerprint(line) == wanted || known(line) }):
		reasons = append(reasons, fmt.Sprintf("user %s does not accept the deploy key", name))
	}
	return reasons
}
