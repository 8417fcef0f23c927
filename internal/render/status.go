package render

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// StatusText writes hosts as a table and what is not well about each below it.
// now is the time from which ages count.
func StatusText(w io.Writer, hosts []plans.HostStatus, now time.Time, o Options) error {
	t := &terminal{o: o}
	if len(hosts) == 0 {
		t.line("No hosts.")
		return t.flush(w)
	}
	rows := [][]string{{"HOST", "ADDRESS", "RUNS", "GEN", "COMMIT", "AGE", "STATE"}}
	for _, h := range hosts {
		generation := "-"
		if h.Generation > 0 {
			generation = strconv.Itoa(h.Generation)
		}
		rows = append(rows, []string{oneLine(h.Host), oneLine(h.Address), dash(shortSystem(h.Running)), generation,
			commitOrDash(h.Commit), dash(age(now, h.DeployedAt)), strings.Join(statesOf(h), ", ")})
	}
	t.table(0, rows, func(row, col int) ink {
		switch {
		case row == 0:
			return dim
		case col < 6:
			return ""
		case slices.Equal(statesOf(hosts[row-1]), []string{"ok"}):
			return green
		case !hosts[row-1].Reachable || len(hosts[row-1].FailedUnits) > 0:
			return red
		default:
			return yellow
		}
	})
	for _, h := range hosts {
		explainStatus(t, h, now)
	}
	return t.flush(w)
}

// states are the words of the last column; "ok" when there is nothing to say.
// statesOf names what is not as usual about a host.
func statesOf(h plans.HostStatus) []string {
	var out []string
	if !h.Reachable {
		return []string{"unreachable"}
	}
	if h.Problem != "" {
		out = append(out, "unreadable")
	}
	if h.Hold != nil {
		out = append(out, "held")
	}
	if h.Pending {
		out = append(out, "pending")
	}
	if len(h.Drift) > 0 {
		out = append(out, "drift")
	}
	if n := len(h.FailedUnits); n > 0 {
		out = append(out, plural(n, "failed unit"))
	}
	if h.LockedBy != "" {
		out = append(out, "locked")
	}
	if len(out) == 0 {
		out = []string{"ok"}
	}
	return out
}

func explainStatus(t *terminal, h plans.HostStatus, now time.Time) {
	const label = 13
	var lines [][2]string
	add := func(name, text string) {
		if text = oneLine(text); text != "" {
			lines = append(lines, [2]string{name, text})
		}
	}
	add("problem", h.Problem)
	if h.Hold != nil {
		text := "by " + oneLine(h.Hold.By)
		if a := age(now, h.Hold.At); a != "" && a != justNow {
			text += ", for " + a
		}
		if reason := oneLine(h.Hold.Reason); reason != "" {
			text += ": " + reason
		}
		add("held", text)
	}
	for _, d := range h.Drift {
		add("drift", d)
	}
	add("failed units", words(h.FailedUnits))
	add("locked by", h.LockedBy)
	if !h.BootDefault.IsZero() && h.BootDefault != h.Running {
		add("boots", shortSystem(h.BootDefault)+", not what runs")
	}
	if len(lines) == 0 {
		return
	}
	t.blank()
	t.line(t.paint(bold, cut(oneLine(h.Host), 64)))
	for _, l := range lines {
		t.field(2, label, l[0], l[1])
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func commitOrDash(commit string) string {
	if commit == "" {
		return "-"
	}
	return shortCommit(commit)
}

// StatusJSON writes hosts in a versioned JSON form.
func StatusJSON(w io.Writer, hosts []plans.HostStatus) error {
	if hosts == nil {
		hosts = []plans.HostStatus{}
	}
	return writeJSON(w, struct {
		Version string             `json:"version"`
		Hosts   []plans.HostStatus `json:"hosts"`
	}{plans.Version, hosts})
}

// HistoryText writes each host's deployments as a table.
func HistoryText(w io.Writer, hosts []plans.HostHistory, now time.Time, o Options) error {
	t := &terminal{o: o}
	for i, h := range hosts {
		if i > 0 {
			t.blank()
		}
		t.line(t.paint(bold, cut(oneLine(h.Host), 64)))
		if h.Problem != "" {
			t.field(2, 8, "problem", oneLine(h.Problem))
			continue
		}
		if len(h.Records) == 0 {
			t.line("  no deployments recorded")
			continue
		}
		rows := [][]string{{"WHEN", "WHAT", "OUTCOME", "SYSTEM", "GEN", "COMMIT", "BY"}}
		for _, r := range h.Records {
			generation := "-"
			if r.Generation > 0 {
				generation = strconv.Itoa(r.Generation)
			}
			rows = append(rows, []string{dash(age(now, r.At)), oneLine(string(r.Kind)), oneLine(string(r.Outcome)),
				dash(shortSystem(r.System)), generation, commitOrDash(r.Commit), oneLine(r.By)})
		}
		t.table(2, rows, func(row, col int) ink {
			switch {
			case row == 0:
				return dim
			case col == 2:
				return outcomeInk(h.Records[row-1].Outcome)
			default:
				return ""
			}
		})
		for _, r := range h.Records {
			if r.Reason != "" {
				t.field(2, 8, dash(age(now, r.At)), oneLine(string(r.Outcome)+": "+r.Reason))
			}
		}
	}
	if len(hosts) == 0 {
		t.line("No hosts.")
	}
	return t.flush(w)
}

// HistoryJSON writes hosts' deployments in a versioned JSON form.
func HistoryJSON(w io.Writer, hosts []plans.HostHistory) error {
	if hosts == nil {
		hosts = []plans.HostHistory{}
	}
	return writeJSON(w, struct {
		Version string              `json:"version"`
		Hosts   []plans.HostHistory `json:"hosts"`
	}{plans.Version, hosts})
}

// FactsText writes what is known of each server.
func FactsText(w io.Writer, facts fleet.Facts, o Options) error {
	t := &terminal{o: o}
	if len(facts) == 0 {
		t.line("No servers.")
		return t.flush(w)
	}
	rows := [][]string{{"SERVER", "IPV4", "IPV6", "PRIVATE", "TYPE", "LOCATION"}}
	unknown := 0
	for _, name := range sortedKeys(facts) {
		f := facts[name]
		var private []string
		for _, network := range sortedKeys(f.Private) {
			private = append(private, oneLine(network)+" "+oneLine(f.Private[network]))
		}
		v4, v6 := oneLine(f.IPv4), oneLine(f.IPv6)
		if !f.Known {
			v4, v6 = "(after apply)", "(after apply)"
			unknown++
		}
		rows = append(rows, []string{oneLine(name), dash(v4), dash(v6), dash(strings.Join(private, ", ")), dash(oneLine(f.ServerType)), dash(oneLine(f.Location))})
	}
	t.table(0, rows, func(row, _ int) ink {
		if row == 0 {
			return dim
		}
		return ""
	})
	if unknown > 0 {
		t.blank()
		for _, l := range wrap(fmt.Sprintf("%s not created yet: the hive sees placeholder addresses for them.", plural(unknown, "server")), t.o.width()) {
			t.line(l)
		}
	}
	return t.flush(w)
}

// FactsJSON writes facts as the hive gets them, and which are known already.
func FactsJSON(w io.Writer, facts fleet.Facts) error {
	type server struct {
		fleet.ServerFacts
		Known bool `json:"known"`
	}
	servers := map[string]server{}
	for name, f := range facts {
		servers[name] = server{ServerFacts: f, Known: f.Known}
	}
	return writeJSON(w, struct {
		Version string            `json:"version"`
		Servers map[string]server `json:"servers"`
	}{plans.Version, servers})
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
