package config

import (
	"fmt"
	"slices"
	"strings"
)

// suggest makes the hint for a name that is not among the valid ones: the
// nearest valid name, or all of them when nothing is near. what names them in
// the plural ("keys here").
func suggest(name string, valid []string, what string) string {
	if near := nearest(name, valid); near != "" {
		return fmt.Sprintf("Did you mean %q?", near)
	}
	if len(valid) == 0 {
		return fmt.Sprintf("No %s are declared.", what)
	}
	valid = slices.Sorted(slices.Values(valid))
	if more := len(valid) - 20; more > 0 {
		return fmt.Sprintf("Valid %s are %s and %d more.", what, strings.Join(valid[:20], ", "), more)
	}
	return fmt.Sprintf("Valid %s: %s.", what, strings.Join(valid, ", "))
}

// nearest gives the valid name that a person most probably meant, or "".
func nearest(name string, valid []string) string {
	name = plain(name)
	best, bestDistance := "", len(name)/3+1
	for _, v := range slices.Sorted(slices.Values(valid)) {
		if d := distance(name, plain(v)); d < bestDistance || d == bestDistance && best == "" && d <= 3 {
			best, bestDistance = v, d
		}
	}
	if best != "" || len(name) < 3 {
		return best
	}
	var holding []string // "type" for "server_type"
	for _, v := range valid {
		if strings.Contains(plain(v), name) {
			holding = append(holding, v)
		}
	}
	if len(holding) == 1 {
		return holding[0]
	}
	return ""
}

func plain(s string) string {
	if len(s) > 64 {
		s = s[:64] // distance is quadratic and the text is a stranger's
	}
	return strings.ReplaceAll(strings.ToLower(s), "-", "_")
}

// distance counts inserted, removed, changed and swapped bytes.
func distance(a, b string) int {
	if len(b) > 64 {
		b = b[:64]
	}
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
