package planner

import (
	"regexp"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// unitFile is a parsed unit: section → key → values, without [Install].
type unitFile map[string]map[string][]string

// parseUnit reads unit texts, main file first, drop-ins after it. An empty
// value clears what came before. Lines that are no unit syntax are left out.
func parseUnit(texts ...string) unitFile {
	f := unitFile{}
	for _, text := range texts {
		section := ""
		for _, line := range logicalLines(text) {
			if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
				section = line[1 : len(line)-1]
				if section != "Install" && f[section] == nil {
					f[section] = map[string][]string{}
				}
				continue
			}
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" || section == "Install" {
				continue
			}
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			if value == "" {
				delete(f[section], key)
			} else {
				f[section][key] = append(f[section][key], value)
			}
		}
	}
	return f
}

// logicalLines gives trimmed lines without comments; a backslash at the end
// joins a line with the next one.
func logicalLines(text string) []string {
	var lines []string
	joined := ""
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue // also between joined lines
		}
		if rest, ok := strings.CutSuffix(line, `\`); ok {
			joined += rest + " "
			continue
		}
		if line = joined + line; line != "" {
			lines = append(lines, line)
		}
		joined = ""
	}
	if joined = strings.TrimSpace(joined); joined != "" {
		lines = append(lines, joined)
	}
	return lines
}

// truth gives a boolean: the last value counts, unset is the default.
func (f unitFile) truth(section, key string, unset bool) bool {
	values := f[section][key]
	if len(values) == 0 {
		return unset
	}
	switch strings.ToLower(values[len(values)-1]) {
	case "1", "yes", "true", "on":
		return true
	}
	return false
}

// words gives all words of a key that lists units.
func (f unitFile) words(section, key string) []string {
	var list []string
	for _, v := range f[section][key] {
		list = append(list, strings.Fields(v)...)
	}
	return list
}

// load parses a unit of a system; an instance that only adds to its template
// is read together with it.
func load(set map[string]plans.UnitText, name string) unitFile {
	u := set[name]
	if template := templateOf(name); template != "" && u.DropIn {
		if t, ok := set[template]; ok {
			return parseUnit(t.Text, u.Text)
		}
	}
	return parseUnit(u.Text)
}

// templateOf gives "foo@.service" for "foo@bar.service", "" for other names.
func templateOf(name string) string {
	stem, kind := split(name)
	prefix, instance, ok := strings.Cut(stem, "@")
	if !ok || instance == "" {
		return ""
	}
	return prefix + "@." + kind
}

func isTemplate(name string) bool {
	stem, _ := split(name)
	return strings.HasSuffix(stem, "@")
}

// split gives stem and type of a unit's name.
func split(name string) (stem, kind string) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return name, ""
	}
	return name[:i], name[i+1:]
}

// verdict is what a comparison of two unit files asks for.
type verdict int

const (
	same verdict = iota
	reload
	restart
)

// ignoredUnitKeys of [Unit] do not change what runs.
var ignoredUnitKeys = [...]string{
	"X-Reload-Triggers", "Description", "Documentation", "OnFailure", "OnSuccess", "OnFailureJobMode", "IgnoreOnIsolate",
	"StopWhenUnneeded", "RefuseManualStart", "RefuseManualStop", "AllowIsolate", "CollectMode", "SourcePath",
}

// compareUnits follows NixOS: sections and keys are compared as lists, in
// order, and most differences ask for a restart. why names the keys that decide.
func compareUnits(old, new unitFile) (v verdict, why []string) {
	reasons := map[verdict][]string{}
	for _, section := range keysOfBoth(old, new) {
		before, inOld := old[section]
		after, inNew := new[section]
		if (!inOld || !inNew) && section != "Unit" {
			reasons[restart] = append(reasons[restart], "section "+section)
			v = restart
			continue
		}
		for _, key := range keysOfBoth(before, after) {
			a, b := before[key], after[key]
			if slices.Equal(a, b) {
				continue
			}
			one := judge(section, key, len(b) > 0)
			v = max(v, one)
			reasons[one] = append(reasons[one], keyWord(key, a, b))
		}
	}
	return v, reasons[v]
}

// judge says what a difference in one key asks for.
func judge(section, key string, present bool) verdict {
	switch {
	case section == "Unit" && key == "X-Reload-Triggers" && present:
		return reload
	case section == "Unit" && slices.Contains(ignoredUnitKeys[:], key):
		return same
	case section == "Mount" && key == "Options":
		return reload
	case section == "Service" && key == "ExecReload":
		if present {
			return reload
		}
		return same
	}
	return restart
}

var storeName = regexp.MustCompile(`/nix/store/[0-9a-z]{32}-([A-Za-z0-9+._?=-]+)`)

// newBuilds names what has another hash, of two texts that differ in hashes alone.
func newBuilds(old, new string) string {
	before, after := storeName.FindAllStringSubmatch(old, -1), storeName.FindAllStringSubmatch(new, -1)
	var names []string
	for i := range before {
		if i < len(after) && before[i][0] != after[i][0] && !slices.Contains(names, before[i][1]) {
			names = append(names, before[i][1])
		}
	}
	return words(names)
}

// keyWord names a changed key, and what was built anew if nothing else changed.
func keyWord(key string, old, new []string) string {
	switch key {
	case "X-Restart-Triggers":
		return "restart trigger"
	case "X-Reload-Triggers":
		return "reload trigger"
	}
	before, after := strings.Join(old, "\n"), strings.Join(new, "\n")
	if before != "" && withoutHashes(before) == withoutHashes(after) {
		return key + " (" + newBuilds(before, after) + ")"
	}
	return key
}
