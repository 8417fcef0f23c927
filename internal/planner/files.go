package planner

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

const (
	maxDiffLines = 200
	maxDiffBytes = 8 << 10
	maxDiffTotal = 256 << 10 // of one host; later files are named only
)

var storeHash = regexp.MustCompile(`/nix/store/[0-9a-z]{32}-`)

// withoutHashes makes texts of two builds comparable for people.
func withoutHashes(text string) string {
	return storeHash.ReplaceAllString(text, "/nix/store/…-")
}

// keysDir is where NixOS puts the SSH keys of users, a file for each.
const keysDir = "ssh/authorized_keys.d/"

// explained is /etc with the texts of files that are checked while they are
// built, as far as the configuration tells them, and without the files of
// users' keys, which are told as such.
func explained(s plans.System) map[string]plans.EtcEntry {
	etc := maps.Clone(s.Etc)
	for path, text := range s.Services.Texts {
		if e, ok := etc[path]; ok && e.Text == nil {
			e.Text = &text
			etc[path] = e
		}
	}
	maps.DeleteFunc(etc, func(path string, e plans.EtcEntry) bool {
		user, ok := strings.CutPrefix(path, keysDir)
		return ok && holdsKeys(e, s.Users[user].Keys)
	})
	return etc
}

// holdsKeys tells whether a file of /etc is what NixOS makes of a user's keys.
// One that somebody wrote there by another way lets in whom no user names.
func holdsKeys(e plans.EtcEntry, keys []string) bool {
	if len(keys) == 0 {
		return false
	}
	if e.Text == nil {
		return strings.HasSuffix(e.Source, "-authorized_keys")
	}
	for line := range strings.Lines(*e.Text) {
		line = strings.TrimSpace(line)
		from := slices.ContainsFunc(keys, func(key string) bool {
			return strings.HasPrefix(key, "file ") || slices.Contains(strings.Split(key, "\n"), line) || strings.TrimSpace(key) == line
		})
		if line != "" && !strings.HasPrefix(line, "#") && !from {
			return false
		}
	}
	return true
}

// files compares /etc. Left out are units, which other parts of the plan tell
// better, and texts in which only hashes of store paths differ.
func files(old, new map[string]plans.EtcEntry) []plans.File {
	var list []plans.File
	for _, path := range keysOfBoth(old, new) {
		if strings.HasPrefix(path, "systemd/system/") || path == "systemd/system" || path == "systemd/user" {
			continue
		}
		before, inOld := old[path]
		after, inNew := new[path]
		f := plans.File{Path: path, Action: plans.Update}
		switch {
		case !inOld:
			f.Action = plans.Create
		case !inNew:
			f.Action = plans.Destroy
		case sameEntry(before, after):
			continue
		}
		f.Diff = entryDiff(before, after, f.Action)
		list = append(list, f)
	}
	return list
}

// generatedFiles compares files that units of both systems name: a changed
// configuration file is what a restart is about.
func generatedFiles(old, new map[string]plans.UnitText) []plans.File {
	var list []plans.File
	for _, unit := range keysOfBoth(old, new) {
		before, inOld := there(old, unit)
		after, inNew := there(new, unit)
		if !inOld || !inNew {
			continue
		}
		for _, name := range keysOfBoth(before.Files, after.Files) {
			a, had := before.Files[name]
			b, has := after.Files[name]
			a, b = withoutHashes(a), withoutHashes(b)
			if a == b {
				continue
			}
			f := plans.File{Path: name, Unit: unit, Action: plans.Update, Diff: unified(a, b)}
			switch {
			case !had:
				f.Action = plans.Create
			case !has:
				f.Action = plans.Destroy
			}
			same := func(g plans.File) bool { return g.Path == f.Path && g.Action == f.Action && g.Diff == f.Diff }
			if i := slices.IndexFunc(list, same); i >= 0 {
				list[i].Unit += ", " + unit
				continue
			}
			list = append(list, f)
		}
	}
	return list
}

// bounded takes diffs away once a host has enough of them; the files stay named.
func bounded(list []plans.File) []plans.File {
	total := 0
	for i := range list {
		if total += len(list[i].Diff); total > maxDiffTotal {
			list[i].Diff = ""
		}
	}
	return list
}

func sameEntry(a, b plans.EtcEntry) bool {
	if a.Mode != b.Mode {
		return false
	}
	if a.Text != nil && b.Text != nil {
		return withoutHashes(*a.Text) == withoutHashes(*b.Text)
	}
	return a.Text == nil && b.Text == nil && a.Source == b.Source
}

func entryDiff(old, new plans.EtcEntry, action plans.Action) string {
	var b strings.Builder
	if action == plans.Update && old.Mode != new.Mode {
		b.WriteString("-mode " + old.Mode + "\n+mode " + new.Mode + "\n")
	}
	known := (old.Text != nil || action == plans.Create) && (new.Text != nil || action == plans.Destroy)
	if known {
		b.WriteString(unified(text(old), text(new)))
	}
	return b.String()
}

func text(e plans.EtcEntry) string {
	if e.Text == nil {
		return ""
	}
	return withoutHashes(*e.Text)
}

// unified gives the hunks of a unified diff, cut to a bounded size.
func unified(old, new string) string {
	out := diff.Diff("old", []byte(old), "new", []byte(new))
	// three lines of header name the files, which File.Path does already
	for range 3 {
		_, rest, ok := bytes.Cut(out, []byte("\n"))
		if !ok {
			return ""
		}
		out = rest
	}
	lines := strings.SplitAfter(string(out), "\n")
	size := 0
	for i, line := range lines {
		size += len(line)
		if i >= maxDiffLines || size > maxDiffBytes {
			return strings.Join(lines[:i], "") + "… cut\n"
		}
	}
	return string(out)
}
