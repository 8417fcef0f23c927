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
	// quiet is the share of the processors above which others disturb a time.
	quiet = 0.1
	// patience is how long a round waits for others to end.
	patience = 30 * time.Second
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
