//go:build bench

package bench

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// quiet is the share of the processors that others may have, and full the one
	// of all together above which they are in the way.
	quiet, full = 0.1, 0.9
	// patience is how long a round waits for others to end.
	patience = 15 * time.Second
	tick     = 10 * time.Millisecond // of the kernel's counters
)

// moment is what all processors had done at one time.
type moment struct{ busy time.Duration }

func processors() moment {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return moment{}
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var ticks int64
	for i, word := range strings.Fields(line) {
		if i == 0 || i == 4 || i == 5 || i > 8 {
			continue // the name, idle, waiting for disks, guests (counted already)
		}
		if n, err := strconv.ParseInt(word, 10, 64); err == nil {
			ticks += n
		}
	}
	return moment{time.Duration(ticks) * tick}
}

// others gives the share of the processors that went to others than a program
// while it ran.
func (m moment) others(e ended) float64 {
	if m.busy == 0 || e.wall == 0 {
		return 0
	}
	left := processors().busy - m.busy - e.cpu
	return max(0, float64(left)/float64(e.wall)/float64(runtime.NumCPU()))
}

// disturbed tells whether others took what the program could have used.
func (e ended) disturbed() bool {
	return e.others > quiet && e.others+float64(e.cpu)/float64(e.wall)/float64(runtime.NumCPU()) > full
}

// calm waits until others leave the processors alone, but not for ever.
func calm(t *testing.T) {
	t.Helper()
	const look = 300 * time.Millisecond
	for end := time.Now().Add(patience); time.Now().Before(end); {
		now := processors()
		time.Sleep(look)
		if now.others(ended{wall: look}) < quiet {
			return
		}
	}
}
