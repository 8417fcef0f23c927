package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// gantt draws when which host took which step; "" when nothing was timed or it
// is more than a chart can show. With more steps than that, each host is one bar.
func gantt(r plans.Result) string {
	steps, hosts := 0, 0
	for _, h := range r.Hosts {
		if timed := longSteps(h); len(timed) > 0 {
			hosts++
			steps += len(timed)
		}
	}
	if steps == 0 || hosts > mermaidTasks {
		return ""
	}
	var b strings.Builder
	b.WriteString("gantt\n  dateFormat x\n  axisFormat %H:%M:%S\n  todayMarker off\n")
	if steps > mermaidTasks {
		b.WriteString("  section hosts\n")
	}
	for _, h := range r.Hosts {
		timed := timedSteps(h)
		if len(timed) == 0 {
			continue
		}
		if steps > mermaidTasks {
			last := timed[len(timed)-1]
			task(&b, h.Host+", "+duration(h.Duration), h.Outcome, timed[0].Started, last.Started.Add(last.Duration))
			continue
		}
		fmt.Fprintf(&b, "  section %s\n", label(h.Host))
		for _, s := range longSteps(h) {
			o := fleet.Deployed
			if s.Step == "return" {
				o = h.Outcome
			}
			task(&b, strings.TrimSpace(s.Step+" "+duration(s.Duration)), o, s.Started, s.Started.Add(s.Duration))
		}
	}
	if b.Len() > mermaidBytes {
		return ""
	}
	return b.String()
}

// timedSteps are those whose times make sense, in their order.
func timedSteps(h plans.HostResult) []plans.StepTime {
	const longest = 30 * 24 * time.Hour
	var out []plans.StepTime
	for _, s := range h.Steps {
		if s.Started.Year() > 2000 && s.Duration >= 0 && s.Duration < longest {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b plans.StepTime) int { return a.Started.Compare(b.Started) })
	return out
}

// longSteps leaves out what is too short to see, but for a host's longest step.
func longSteps(h plans.HostResult) []plans.StepTime {
	const shortest = time.Second
	timed := timedSteps(h)
	var longest time.Duration
	for _, s := range timed {
		longest = max(longest, s.Duration)
	}
	return slices.DeleteFunc(timed, func(s plans.StepTime) bool { return s.Duration < shortest && s.Duration < longest })
}

func task(b *strings.Builder, name string, o fleet.Outcome, from, to time.Time) {
	const narrowest = 200 * time.Millisecond // else there is nothing to see
	if to.Sub(from) < narrowest {
		to = from.Add(narrowest)
	}
	state := ""
	if !well(o) {
		state = "crit, "
	}
	fmt.Fprintf(b, "  %s :%s%d, %d\n", strings.ReplaceAll(label(name), ",", " "), state, from.UnixMilli(), to.UnixMilli())
}

// timeline is a chart of the run, or a table of its slowest hosts.
func (m *resultMarkdown) timeline(r plans.Result) {
	if !m.picture {
		return
	}
	if chart := gantt(r); chart != "" {
		m.printf("#### Timeline\n\nSteps of less than a second are left out.\n\n%s\n", fence("mermaid", "", strings.Split(strings.TrimSpace(chart), "\n")))
		return
	}
	var hosts []plans.HostResult
	for _, h := range r.Hosts {
		if len(timedSteps(h)) > 0 {
			hosts = append(hosts, h)
		}
	}
	if len(hosts) == 0 {
		return
	}
	slices.SortStableFunc(hosts, func(a, b plans.HostResult) int { return cmp.Compare(b.Duration, a.Duration) })
	const slowest = 20
	shown := hosts[:min(len(hosts), slowest)]
	m.printf("#### Timeline\n\nThe slowest %d of %s.\n\n| Host | Took | Began after | Steps |\n|---|--:|--:|---|\n", len(shown), plural(len(hosts), "host"))
	for _, h := range shown {
		steps := timedSteps(h)
		var parts []string
		for _, s := range steps {
			parts = append(parts, strings.TrimSpace(inline(s.Step)+" "+duration(s.Duration)))
		}
		m.b.WriteString(row(code(h.Host), duration(h.Duration), cmp.Or(duration(steps[0].Started.Sub(r.Started)), "0s"), list(parts, 12)))
	}
	m.printf("\n")
}
