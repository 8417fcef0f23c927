package nix

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

const maxSource = 1 << 20

func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// position gives a place relative to the repository; zero for files outside.
func (o *opened) position(file string, line, column int) problem.Position {
	rel, ok := o.inRepo(file)
	if !ok || rel == "." {
		return problem.Position{}
	}
	return problem.Position{File: harmless(rel), Line: line, Column: column}
}

// inRepo gives a file that evaluation names by its path in the repository.
func (o *opened) inRepo(file string) (string, bool) {
	if !filepath.IsAbs(file) {
		return "", false
	}
	for _, root := range o.roots {
		if rel, err := filepath.Rel(root, file); err == nil && filepath.IsLocal(rel) {
			return rel, true
		}
	}
	return "", false
}

// relative takes the names of folders that hold the repository out of a text.
func (o *opened) relative(text string) string {
	for _, root := range slices.Backward(o.roots) { // the longest first: one may end in another
		text = strings.ReplaceAll(text, root+"/", "")
	}
	return text
}

// detail is the rest of a message, and below it the way through the user's own
// files that led to where it failed.
func (o *opened) detail(rest string, m message, at problem.Position) string {
	const most = 8
	var way []string
	line := func(p problem.Position) problem.Position { p.Column = 0; return p }
	seen := map[problem.Position]bool{line(at): true}
	for _, t := range m.Trace {
		from := o.position(t.File, t.Line, t.Column)
		if from.File == "" || seen[line(from)] || len(way) == most {
			continue
		}
		seen[line(from)] = true
		what := clip(o.relative(strings.Join(strings.Fields(harmless(t.Raw)), " ")), 1, 200)
		way = append(way, fmt.Sprintf("from %s: %s", from, what))
	}
	text := clip(strings.Trim(rest, "\n"), maxMessageLines, maxMessageBytes)
	return strings.Trim(text+"\n"+strings.Join(way, "\n"), "\n")
}

var (
	quotedPath  = regexp.MustCompile("[`'\"](/[^`'\"\n]+)[`'\"]")
	spokenPath  = regexp.MustCompile(` at (/[^\n]+?):(\d+):(\d+)`)
	optionNamed = regexp.MustCompile("option `([^']+)'")
)

// where finds the place in the user's files that a failure leads to: that of
// the error itself, a file that its message names, else the innermost call.
func (o *opened) where(host string, m message) problem.Position {
	if at := o.position(m.File, m.Line, m.Column); at.File != "" {
		return at
	}
	raw := harmless(*m.Raw)
	for _, found := range quotedPath.FindAllStringSubmatch(raw, -1) {
		at := o.position(found[1], 0, 0)
		if at.File == "" || !o.isFile(at.File) {
			continue
		}
		if option := optionNamed.FindStringSubmatch(raw); option != nil {
			at.Line = o.lineOf(at.File, option[1], host)
		}
		return at
	}
	if found := spokenPath.FindStringSubmatch(raw); found != nil {
		line, _ := strconv.Atoi(found[2])   // digits; 0 is "not known"
		column, _ := strconv.Atoi(found[3]) // same
		if at := o.position(found[1], line, column); at.File != "" {
			return at
		}
	}
	for _, t := range m.Trace {
		if at := o.position(t.File, t.Line, t.Column); at.File != "" {
			return at
		}
	}
	for _, t := range m.Trace {
		for _, found := range quotedPath.FindAllStringSubmatch(harmless(t.Raw), -1) {
			if at := o.position(found[1], 0, 0); at.File != "" && o.isFile(at.File) {
				return at
			}
		}
	}
	for _, found := range quotedPath.FindAllStringSubmatch(raw, -1) {
		if at := o.position(found[1], 0, 0); at.File != "" {
			return o.mentioned(at.File)
		}
	}
	return problem.Position{}
}

// mentioned finds the one line of the repository's Nix files that names a
// file which is not there.
func (o *opened) mentioned(missing string) problem.Position {
	const most = 2000 // files looked into
	names, err := regexp.Compile("/" + regexp.QuoteMeta(filepath.Base(missing)) + `([^\w-]|$)`)
	if err != nil {
		return problem.Position{}
	}
	var found []problem.Position
	seen := 0
	// What cannot be read is not where the line is.
	_ = filepath.WalkDir(o.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".nix" {
			return nil //nolint:nilerr // same
		}
		if seen++; seen > most || len(found) > 1 {
			return fs.SkipAll
		}
		at := o.position(path, 0, 0)
		text, _ := o.text(at.File)
		for i, line := range strings.Split(text, "\n") {
			if where := names.FindStringIndex(line); where != nil {
				found = append(found, problem.Position{File: at.File, Line: i + 1, Column: where[0] + 1})
			}
		}
		return nil
	})
	if len(found) != 1 {
		return problem.Position{}
	}
	return found[0]
}

// text reads a file of the repository, without leaving it; ok is false for
// what is no readable text of moderate size.
func (o *opened) text(rel string) (string, bool) {
	root, err := os.OpenRoot(o.dir)
	if err != nil {
		return "", false
	}
	defer root.Close()
	info, err := root.Stat(rel)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxSource {
		return "", false
	}
	f, err := root.Open(rel)
	if err != nil {
		return "", false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSource))
	if err != nil || !utf8.Valid(b) || strings.ContainsRune(string(b), 0) {
		return "", false
	}
	return string(b), true
}

func (o *opened) isFile(rel string) bool {
	_, ok := o.text(rel)
	return ok
}

// lineOf finds the line of a file that sets the last part of an option's name;
// 0 if none does. Where several do, it is the first behind the name of the host.
func (o *opened) lineOf(file, option, host string) int {
	text, ok := o.text(file)
	if !ok {
		return 0
	}
	sets := func(name string) *regexp.Regexp {
		return regexp.MustCompile(`(^|[\s{.;"])` + regexp.QuoteMeta(name) + `"?\s*(=|\.)`)
	}
	wanted, begins := sets(option[strings.LastIndexByte(option, '.')+1:]), sets(host)
	var all, behind []int
	begun := false
	for i, line := range strings.Split(text, "\n") {
		begun = begun || host != "" && begins.MatchString(line)
		if !wanted.MatchString(line) {
			continue
		}
		all = append(all, i+1)
		if begun {
			behind = append(behind, i+1)
		}
	}
	switch {
	case len(all) == 1:
		return all[0]
	case len(behind) > 0:
		return behind[0]
	}
	return 0
}

// sourceLines shows the line of a place with its number and a caret.
func (o *opened) sourceLines(at problem.Position) string {
	if at.File == "" || at.Line == 0 {
		return ""
	}
	text, ok := o.text(at.File)
	if !ok {
		return ""
	}
	lines := strings.Split(text, "\n")
	if at.Line > len(lines) {
		return ""
	}
	line := lines[at.Line-1]
	shown := strings.ReplaceAll(harmless(line), "\t", " ")
	number := fmt.Sprintf("%d | ", at.Line)
	source := number + clip(shown, 1, 200)
	if at.Column > 0 && at.Column <= len(line)+1 && at.Column < 200 && shown == strings.ReplaceAll(line, "\t", " ") {
		// columns count bytes
		source += "\n" + strings.Repeat(" ", len(number)+utf8.RuneCountInString(line[:at.Column-1])) + "^"
	}
	return source
}
