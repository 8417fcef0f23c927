package nix

import (
	"sync"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// texts holds each text of fresh evaluations once. Most units and files are the
// same on all hosts of a fleet, so that a system more costs little memory. What
// is read from the cache keeps its own: there, the time counts.
type texts struct {
	mu  sync.Mutex
	all map[string]string
}

// share puts a system's texts where those of other systems are.
func (t *texts) share(s *plans.System) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Units = shared(t, s.Units, func(u plans.UnitText) plans.UnitText {
		u.Text, u.Files = t.one(u.Text), shared(t, u.Files, t.one)
		for i, unit := range u.WantedBy {
			u.WantedBy[i] = t.one(unit)
		}
		return u
	})
	s.Etc = shared(t, s.Etc, func(e plans.EtcEntry) plans.EtcEntry {
		e.Source, e.Mode = t.one(e.Source), t.one(e.Mode)
		if e.Text != nil {
			text := t.one(*e.Text)
			e.Text = &text
		}
		return e
	})
	for i, p := range s.Packages {
		s.Packages[i] = plans.InstalledPackage{Name: t.one(p.Name), Version: t.one(p.Version)}
	}
}

func (t *texts) one(text string) string {
	if known, ok := t.all[text]; ok {
		return known
	}
	t.all[text] = text
	return text
}

func shared[V any](t *texts, from map[string]V, share func(V) V) map[string]V {
	if from == nil {
		return nil
	}
	to := make(map[string]V, len(from))
	for name, value := range from {
		to[t.one(name)] = share(value)
	}
	return to
}
