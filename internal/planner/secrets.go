package planner

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// secrets compares the secrets of two systems by name and place, and names
// the units that use each. What a secret is, nobody here knows.
func secrets(old, new plans.System) []plans.Item {
	a, b := old.Services.Secrets, new.Services.Secrets
	list := compareItems(plans.ItemSecret, a, b, secretFields, nil)
	for _, name := range keysOfBoth(a, b) {
		if before, after := a[name], b[name]; before.Digest != after.Digest && before.Digest != "" && after.Digest != "" {
			i := slices.IndexFunc(list, func(item plans.Item) bool { return item.Name == name })
			if i < 0 {
				i = len(list)
				list = append(list, plans.Item{Kind: plans.ItemSecret, Name: name, Action: plans.Update})
			}
			list[i].Note = "its encrypted file changed"
		}
	}
	for i, item := range list {
		if item.Action != plans.Destroy {
			list[i].UsedBy = secretUsers(new, slices.Concat(b[item.Name].Restarts, b[item.Name].Reloads), b[item.Name].Path)
			continue
		}
		// What the new system still looks for will not be there.
		list[i].UsedBy = secretUsers(new, nil, a[item.Name].Path)
	}
	slices.SortStableFunc(list, func(a, b plans.Item) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func secretFields(s plans.SecretFacts) []field {
	return []field{{"path", s.Path}, {"owner", s.Owner}, {"group", s.Group}, {"mode", s.Mode}}
}

// deploymentKeys compares deployment.keys. Units wait for a key by its path, or
// by the unit NAME-key.service that is up while it is there.
func deploymentKeys(old, new plans.System) []plans.Item {
	list := compareItems(plans.ItemKey, old.Keys, new.Keys, func(k plans.KeyFacts) []field {
		return []field{{"path", k.Path}, {"user", k.User}, {"group", k.Group}, {"permissions", k.Permissions}, {"uploadAt", k.UploadAt}, {"source", k.Source}, {"from", k.From}}
	}, nil)
	for _, name := range keysOfBoth(old.Keys, new.Keys) {
		before, inOld := old.Keys[name]
		after, inNew := new.Keys[name]
		if inOld && inNew && before.Digest != after.Digest && !slices.ContainsFunc(list, func(item plans.Item) bool { return item.Name == name }) {
			list = append(list, plans.Item{Kind: plans.ItemKey, Name: name, Action: plans.Update, Note: "what it holds changes"})
		}
	}
	slices.SortStableFunc(list, func(a, b plans.Item) int { return strings.Compare(a.Name, b.Name) })
	for i, item := range list {
		key := new.Keys[item.Name]
		if item.Action == plans.Destroy {
			key = old.Keys[item.Name]
		}
		if item.Action == plans.Destroy {
			list[i].Note = "its file " + key.Path + " stays on the host"
		}
		own := item.Name + "-key.service"
		list[i].UsedBy = slices.DeleteFunc(secretUsers(new, nil, key.Path, own), func(unit string) bool { return unit == own || unit == item.Name+"-key.path" })
	}
	return list
}

// keysDecideAccess tells whether a deploy would run another command for a key or
// read another file, on the machine that holds the fleet's own secrets, or put
// another one where it may be more than a key: to /etc/sudoers.d, say.
func keysDecideAccess(old, new map[string]plans.KeyFacts) bool {
	for name, key := range new {
		if before, ok := old[name]; ok && before == key {
			continue
		}
		if strings.Contains(key.Source, "keyCommand") || filepath.IsAbs(key.From) || !strings.HasPrefix(filepath.Clean(key.Path), "/run/") {
			return true
		}
	}
	return false
}

// secretUsers gives the units that are known to use a secret, and those that
// name one of the words.
func secretUsers(s plans.System, known []string, words ...string) []string {
	users := map[string]bool{}
	for _, unit := range known {
		users[unit] = true
	}
	for _, name := range slices.Sorted(maps.Keys(s.Units)) {
		unit, ok := there(s.Units, name)
		texts := append(slices.Collect(maps.Values(unit.Files)), unit.Text)
		if ok && slices.ContainsFunc(words, func(word string) bool {
			return word != "" && slices.ContainsFunc(texts, func(text string) bool { return names(text, word) })
		}) {
			users[name] = true
		}
	}
	return slices.Sorted(maps.Keys(users))
}

// names finds a path that is not the beginning of a longer one.
func names(text, path string) bool {
	for {
		_, rest, found := strings.Cut(text, path)
		if !found {
			return false
		}
		if rest == "" || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/", rune(rest[0])) {
			return true
		}
		text = rest
	}
}

// secretUnits adds what the secrets' own lists restart and reload when a
// content changes. Whether it does is known where they are decrypted.
func (f *forecast) secretUnits(old, new plans.Services) {
	for _, name := range slices.Sorted(maps.Keys(new.Secrets)) {
		before, was := old.Secrets[name]
		after := new.Secrets[name]
		if !was || before.Digest == after.Digest {
			continue
		}
		for _, unit := range after.Restarts {
			f.put(unit, plans.EffectRestart, plans.Unsure, "if the secret "+name+" changed in its file")
		}
		for _, unit := range after.Reloads {
			f.put(unit, plans.EffectReload, plans.Unsure, "if the secret "+name+" changed in its file")
		}
	}
}

// volatile tells whether a reboot takes some of the keys.
func volatile(keys map[string]plans.KeyFacts) bool {
	for _, key := range keys {
		if strings.HasPrefix(key.Path, "/run/") {
			return true
		}
	}
	return false
}
