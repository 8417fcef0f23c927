// Package render shows Flotilla's values: plans, results, status, history and
// progress, as terminal text, as Markdown within a size budget (with pictures in
// Mermaid's language), as a page of HTML, as a job's log in groups, and as JSON.
//
// The rule: every string that comes from outside (commit subjects, file texts,
// log lines, names, errors) passes through one of the escaping functions of
// escape.go before it is written. A plan with gaps is never shown as complete.
//
// It decides nothing, reads nothing and knows no clock: the same values give
// the same bytes. Only the progress printers keep time, for their heartbeat.
package render

import (
	"strconv"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// Sizes of Markdown that GitHub takes, with a margin.
const (
	CommentBytes = 65_000    // one pull request comment
	SummaryBytes = 1_000_000 // one step's job summary
)

// Options say how terminal text looks.
type Options struct {
	Width int  // columns; 0: 80
	Color bool // ANSI colours
}

func (o Options) width() int {
	if o.Width <= 0 {
		return 80
	}
	return max(o.Width, 40)
}

// Budget says how large Markdown may get.
type Budget struct {
	Bytes  int    // 0: CommentBytes. The shortest form needs some 4,000
	Link   string // https URL of where the reader finds all of it: the run's summary
	Full   string // the same in a few words, where there is no Link; both "": the JSON form is named
	Commit string // the commit to name, where it is not the plan's head: a pull request's own, when its merge was planned
}

func (b Budget) bytes() int {
	if b.Bytes <= 0 {
		return CommentBytes
	}
	return b.Bytes
}

// shortHash is how much of a system's hash people see.
const shortHash = 8

func shortSystem(p storepath.Path) string {
	if p.IsZero() {
		return ""
	}
	return p.Hash()[:shortHash]
}

// shortCommit is git's habit: seven characters.
func shortCommit(commit string) string {
	c := oneLine(commit)
	if c == "" {
		return "nothing"
	}
	if len(c) > 7 && isHex(c) {
		return c[:7]
	}
	return cut(c, 40)
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}

// duration is a time people can take in: 850ms, 42s, 3m20s, 2h5m.
func duration(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	default:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
}

// justNow is an age below a minute.
const justNow = "just now"

// age is how long ago something was, in one unit.
func age(now, then time.Time) string {
	if then.IsZero() {
		return ""
	}
	d := now.Sub(then)
	switch {
	case d < time.Minute:
		return justNow
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	default:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
}

// size is a number of bytes in powers of 1,000.
func size(n int64) string {
	const step = 1000
	if n < step {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, unit := float64(n)/step, 0
	units := []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	for value >= step && unit < len(units)-1 {
		value, unit = value/step, unit+1
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + units[unit]
}

// plural is "1 host", "2 hosts".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}

// symbol is Terraform's sign of an action.
func symbol(a plans.Action) string {
	switch a {
	case plans.Create:
		return "+"
	case plans.Update:
		return "~"
	case plans.Replace, plans.Rebuild:
		return "-/+"
	case plans.Destroy:
		return "-"
	default:
		return "?"
	}
}

// kindWord is how people call a kind of resource.
func kindWord(k plans.ResourceKind) string {
	switch k {
	case plans.KindSSHKey:
		return "SSH key"
	case plans.KindPrimaryIP:
		return "primary IP"
	default:
		return strings.ReplaceAll(oneLine(string(k)), "_", " ")
	}
}
