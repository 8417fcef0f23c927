package render

import (
	"io"
	"sync"

	"github.com/flotilla-nix/flotilla/internal/progress"
)

// Grouped prints progress for a GitHub job.
type Grouped struct {
	mu    sync.Mutex
	plain *Plain
}

var _ progress.Sink = (*Grouped)(nil)

// NewGrouped prints to w. Close it: that writes what is still kept.
func NewGrouped(w io.Writer) *Grouped { return &Grouped{plain: NewPlain(w)} }

// Event implements progress.Sink.
func (g *Grouped) Event(e progress.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.plain.Event(e)
}

// Close writes what is still kept.
func (g *Grouped) Close() error { return g.plain.Close() }
