package planner

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// privileged tells whether a group's members are, or can become, root.
func privileged(group string) bool {
	switch group {
	case "root", "wheel", "sudo", "docker", "podman", "lxd", "incus-admin", "libvirtd", "disk", "shadow", "kmem", "keys":
		return true
	}
	return false
}

// users compares accounts, and notes whether somebody gains or loses access.
func (r *review) users(old, new map[string]plans.UserFacts) {
	for _, name := range keysOfBoth(old, new) {
		before, inOld := old[name]
		after, inNew := new[name]
		u := plans.User{Name: name, Action: plans.Update}
		switch {
		case !inOld:
			u.Action = plans.Create
		case !inNew:
			u.Action = plans.Destroy
		}
		oldKeys, newKeys := keys(before.Keys), keys(after.Keys)
		u.KeysAdded, u.KeysRemoved = notNil(added(oldKeys, newKeys)), notNil(added(newKeys, oldKeys))
		u.Changes = notNil(userChanges(before, after, u.Action))
		u.System = u.Action != plans.Update && !before.Normal && !after.Normal && name != "root"

		if u.Action == plans.Update && len(u.KeysAdded)+len(u.KeysRemoved)+len(u.Changes) == 0 {
			continue
		}
		groups := slices.Concat(added(allGroups(before), allGroups(after)), added(allGroups(after), allGroups(before)))
		r.access = r.access || len(u.KeysAdded)+len(u.KeysRemoved) > 0 || slices.ContainsFunc(groups, privileged) ||
			u.Action == plans.Update && uid(before) != uid(after) || u.Action != plans.Update && (before.Normal || after.Normal)
		r.Users = append(r.Users, u)
	}
}

func userChanges(old, new plans.UserFacts, action plans.Action) []string {
	var list []string
	for _, g := range added(old.Groups, new.Groups) {
		list = append(list, "group "+g+" added")
	}
	for _, g := range added(new.Groups, old.Groups) {
		list = append(list, "group "+g+" removed")
	}
	if action != plans.Update {
		slices.Sort(list)
		return list
	}
	for _, c := range []struct{ what, old, new string }{
		{"primary group", old.Group, new.Group},
		{"uid", uid(old), uid(new)},
		{"shell", withoutHashes(old.Shell), withoutHashes(new.Shell)},
		{"kind", kind(old), kind(new)},
	} {
		if c.old != c.new {
			list = append(list, fmt.Sprintf("%s %s → %s", c.what, orNone(c.old), orNone(c.new)))
		}
	}
	slices.Sort(list)
	return list
}

func allGroups(u plans.UserFacts) []string {
	if u.Group == "" {
		return u.Groups
	}
	return append([]string{u.Group}, u.Groups...)
}

func uid(u plans.UserFacts) string {
	if u.UID == nil {
		return ""
	}
	return fmt.Sprint(*u.UID)
}

func kind(u plans.UserFacts) string {
	if u.Normal {
		return "normal user"
	}
	return "system user"
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// keys gives what a reviewer compares of authorized_keys lines.
func keys(lines []string) []string {
	var list []string
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, describeKey(line))
		}
	}
	return list
}

// describeKey gives type, fingerprint, comment and options of a key. What is
// no key is shown shortened.
func describeKey(line string) string {
	key, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		const most = 60
		if runes := []rune(line); len(runes) > most {
			line = string(runes[:most]) + "…"
		}
		return "not a key: " + line
	}
	text := key.Type() + " " + ssh.FingerprintSHA256(key)
	if comment != "" {
		text += " " + comment
	}
	if len(options) > 0 {
		text += " (" + strings.Join(options, ",") + ")"
	}
	return text
}

// fingerprint is "" for what is no key.
func fingerprint(line string) string {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return ""
	}
	return ssh.FingerprintSHA256(key)
}
