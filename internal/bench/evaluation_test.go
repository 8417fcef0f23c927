//go:build bench

package bench

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// sizes are those of BENCH_HOSTS, "1 10 50" where it is not set.
func sizes(t *testing.T) []int {
	t.Helper()
	text := os.Getenv("BENCH_HOSTS")
	if text == "" {
		text = "1 10 50"
	}
	var all []int
	for _, word := range strings.Fields(text) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			t.Fatalf("BENCH_HOSTS=%s: %q is no number of hosts", text, word)
		}
		all = append(all, n)
	}
	return all
}

// rounds are how often a hive is evaluated in each way, and how often again
// while others disturb.
func rounds(hosts int) (rounds, again int) {
	switch {
	case hosts <= 10:
		return 3, 3
	default: // a minute and more each
		return 2, 1
	}
}

// TestEvaluation evaluates whole fleets: settings, derivations and review facts.
func TestEvaluation(t *testing.T) {
	cores := runtime.NumCPU()
	s := report.section(fmt.Sprintf("Full evaluation, %d workers; best round; (others' share of the processors)", cores),
		"hosts\tflotilla eval\tnix, a process a host\tnix, one process\ttime\tcpu\tto one\tpeak: flotilla\tone host\tone process")
	var host int64 // the peak of one host by itself
	for _, n := range sizes(t) {
		h := newHive(t, n)
		h.plain(t, "host-0") // the files are in memory afterwards
		var plain, ours, one ended
		few, again := rounds(n)
		for round := 0; round < few || (plain.disturbed() || ours.disturbed() || one.disturbed()) && round < few+again; round++ {
			calm(t)
			plain = faster(plain, h.singly())
			calm(t)
			ours = faster(ours, h.full())
			if round == 0 || one.disturbed() {
				calm(t)
				one = faster(one, h.plain(t, h.names()...))
			}
			t.Logf("%d hosts, round %d: flotilla %s, a process a host %s, one process %s", n, round+1, ours.time(), plain.time(), one.time())
		}
		host = max(host, plain.own)
		ratio := ours.wall.Seconds() / plain.wall.Seconds()
		toOne := ours.wall.Seconds() / one.wall.Seconds()
		s.row("%d\t%s\t%s\t%s\t%.2f\t%.2f\t%.2f\t%d MB\t%d MB\t%d MB", n, ours.time(), plain.time(), one.time(),
			ratio, ours.cpu.Seconds()/plain.cpu.Seconds(), toOne, ours.peak>>20, plain.own>>20, one.own>>20)
		hosts := fmt.Sprintf("%d hosts: ", n)
		s.undisturbed(t, hosts+"time to that of a process a host", ratio, 1.1, "%.2f", ours, plain)
		if n >= 10 {
			s.undisturbed(t, hosts+"time to that of one process", toOne, 0.45, "%.2f", ours, one)
		}
		s.most(t, hosts+"memory of workers and flotilla to that of as many hosts by themselves, and 10 %", float64(ours.peak>>20), 1.1*float64(min(n, cores))*float64(host>>20), "%.0f MB")
	}
}

// time prints the wall time, and how much the run was disturbed.
func (e ended) time() string {
	return fmt.Sprintf("%.2f s (%.0f %%)", e.wall.Seconds(), 100*e.others)
}

// undisturbed is a target about times, which says nothing when others used the
// processors in every round.
func (s *section) undisturbed(t *testing.T, what string, got, limit float64, unit string, of ...ended) {
	t.Helper()
	for _, e := range of {
		if e.disturbed() {
			s.skipped(what, fmt.Sprintf("disturbed in every round: others used %.0f %% of the processors; measured "+unit, 100*e.others, got))
			return
		}
	}
	s.most(t, what, got, limit, unit)
}

// TestPullRequest plans changes of which most hosts read nothing.
func TestPullRequest(t *testing.T) {
	const rounds = 5 // of a second each, of which the best counts
	s := report.section(fmt.Sprintf("Plan of a pull request, the base planned before; best of %d", rounds),
		"hosts\tone host's file\ttwo hosts evaluated\tno file of a host")
	for _, n := range sizes(t) {
		if n < 10 {
			continue
		}
		h := newHive(t, n)
		plan := func() ended {
			return run(t, h.dir, h.env, flotilla, "plan", "--only", "hosts", "--format", "json")
		}
		plan() // fills what may be kept
		var nothing, one, two ended
		for i := range rounds { // each round is a change that nobody planned before
			write(t, h.dir, map[string]string{"README.md": fmt.Sprintf("A fleet of %d hosts, %d.\n", n, i)})
			commit(t, h.dir, "Describe the fleet")
			calm(t)
			nothing = faster(nothing, plan())
			write(t, h.dir, map[string]string{"hosts/0.nix": host(0, 9000+i)})
			commit(t, h.dir, "Move a port")
			calm(t)
			one = faster(one, plan())
			calm(t)
			two = faster(two, h.full("host-0", "host-1"))
		}
		s.row("%d\t%s\t%s\t%s", n, one.time(), two.time(), nothing.time())
		hosts := fmt.Sprintf("%d hosts: ", n)
		s.undisturbed(t, hosts+"one host's file", one.wall.Seconds(), two.wall.Seconds()+1, "%.2f s", one, two)
		s.undisturbed(t, hosts+"no file of a host", nothing.wall.Seconds(), 1, "%.2f s", nothing)
	}
}
