//go:build bench

package bench

import (
	"fmt"
	"testing"
	"time"
)

const (
	requestDelay  = 50 * time.Millisecond
	actionLatency = 1200 * time.Millisecond // what Terraform's recorded numbers were taken with
	many          = 20                      // servers of an apply
	looks         = 3                       // rounds of a refresh, of which the best counts
)

// actor does the same to an account as another.
type actor interface {
	declare(shape)
	apply() ended
	refresh() ended
	destroy() ended
}

var (
	_ actor = (*ship)(nil)
	_ actor = (*terraform)(nil)
)

// TestRefresh is about a plan's look at 1 and at 100 servers.
func TestRefresh(t *testing.T) {
	s := report.section(fmt.Sprintf("Refresh for a plan, %s per request, best of %d", requestDelay, looks),
		"servers\tflotilla plan\tterraform plan\ttime\trequests")
	look := func(t *testing.T, n int, with func(*account) actor) *asked {
		a := newAccount(t, 0)
		who := with(a)
		if who == nil {
			return nil
		}
		who.declare(shape{servers: n, round: 1})
		who.apply()
		a.slow(requestDelay)
		var best asked
		for range looks {
			one := a.measure(who.refresh)
			one.ended = faster(best.ended, one.ended)
			best = one
		}
		return &best
	}
	got := map[int]*asked{}
	for _, n := range []int{1, 100} {
		ours, theirs := look(t, n, flotillaOn(t)), look(t, n, terraformOn(t))
		got[n] = ours
		s.compare(fmt.Sprint(n), "refresh", n, *ours, theirs)
		t.Logf("%d servers: %v", n, ours.counts)
	}
	const pages = 1 + 3 // of 100 servers and their 200 addresses, beyond the first
	most := 0
	for _, n := range got[1].counts {
		most = max(most, n)
	}
	s.most(t, "1 server: requests for any one list or part of the catalogue", float64(most), 1, "%.0f")
	s.most(t, "1 server: a list for each kind that a fleet may own, and the catalogue", float64(got[1].all()), kinds+catalogue, "%.0f requests")
	s.most(t, "100 servers: the same, beside further pages", float64(got[100].all()-pages), float64(got[1].all()), "%.0f requests")
	s.most(t, "100 servers, whole program", got[100].wall.Seconds(), 1, "%.2f s")
}

const (
	kinds     = 8 // of resources that a fleet may own; each is listed, as strangers among them are named too
	catalogue = 4 // server types, types of load balancers, images, prices
)

// TestApply makes, changes and destroys 20 servers in a network.
func TestApply(t *testing.T) {
	s := report.section(fmt.Sprintf("%d servers with a network and fixed addresses, %s per request, actions of %s, polls every %s; requests without polls",
		many, requestDelay, actionLatency, pollInterval), "\tflotilla\tterraform\ttime\trequests")
	steps := []string{"apply", "labels", "destroy"}
	live := func(with func(*account) actor) map[string]*asked {
		a := newAccount(t, actionLatency)
		who := with(a)
		if who == nil {
			return nil
		}
		a.slow(requestDelay)
		took := map[string]*asked{}
		for i, step := range steps {
			if step != "destroy" {
				who.declare(shape{servers: many, round: i})
			}
			do := who.apply
			if step == "destroy" {
				do = who.destroy
			}
			one := a.measure(do)
			took[step] = &one
		}
		return took
	}
	ours, theirs := live(flotillaOn(t)), live(terraformOn(t))
	for _, step := range steps {
		s.compare(step, step, many, *ours[step], theirs[step])
		ticks, _, actions := ours[step].ticks()
		t.Logf("%s: %v; %d ticks, up to %d actions", step, ours[step].counts, ticks, actions)
	}
	for _, step := range []string{"apply", "destroy"} {
		_, excess, actions := ours[step].ticks()
		s.most(t, fmt.Sprintf("%s: polls per tick beyond one per %d actions (up to %d ran)", step, perPoll, actions), float64(excess), 0, "%.0f")
	}
}

// TestApplyPerServer counts what one server more costs.
func TestApplyPerServer(t *testing.T) {
	s := report.section(fmt.Sprintf("One server more, from 1 to %d; requests without polls", many), "")
	for _, one := range []struct {
		what  string
		shape shape
		limit float64
	}{
		{"with any address in the network", shape{loose: true}, 1},
		{"with a fixed address", shape{}, 1 + 2},
		{"with a fixed address, backups and protection", shape{protected: true}, 1 + 2 + 2},
	} {
		count := map[int]int{}
		for _, n := range []int{1, many} {
			a := newAccount(t, 0)
			who := newShip(t, a)
			o := one.shape
			o.servers, o.round = n, 1
			who.declare(o)
			count[n] = a.measure(who.apply).all()
		}
		s.most(t, one.what, float64(count[many]-count[1])/(many-1), one.limit, "%.2f requests")
	}
}

func flotillaOn(t *testing.T) func(*account) actor {
	return func(a *account) actor { return newShip(t, a) }
}

func terraformOn(t *testing.T) func(*account) actor {
	return func(a *account) actor {
		if tf := newTerraform(t, a); tf != nil {
			return tf
		}
		return nil
	}
}

// compare adds a row of both programs; without Terraform its requests are those
// on record, and its time is not known.
func (s *section) compare(name, step string, servers int, ours asked, theirs *asked) {
	say := func(a asked) string {
		return fmt.Sprintf("%.2f s, %d + %d polls", a.wall.Seconds(), a.all(), len(a.polls))
	}
	if theirs == nil {
		n := recorded[step](servers)
		s.row("%s\t%s\tNOT RUN; on record: %d\tNOT RUN\t%.2f", name, say(ours), n, float64(ours.all())/float64(n))
		return
	}
	s.row("%s\t%s\t%s\t%.2f\t%.2f", name, say(ours), say(*theirs), ours.wall.Seconds()/theirs.wall.Seconds(), float64(ours.all())/float64(theirs.all()))
}
