//go:build bench

package bench

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"
)

// sampleEvery is short against a host's evaluation, whose heap only grows, and
// long against the look itself.
const sampleEvery = 50 * time.Millisecond

// processes are the numbers of those that run now.
func processes() map[int]bool {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	all := make(map[int]bool, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			all[pid] = true
		}
	}
	return all
}

// watch sums the memory of a process and all below it until its result is
// called, which gives the most that it saw. It does not look at the processes
// that were there before: that would take from what is measured.
func watch(pid int, before map[int]bool) func() int64 {
	stop, most := make(chan struct{}), make(chan int64, 1)
	go func() {
		var peak int64
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				most <- peak
				return
			case <-tick.C:
				peak = max(peak, memoryBelow(pid, before))
			}
		}
	}()
	return func() int64 {
		close(stop)
		return <-most
	}
}

// memoryBelow gives the resident bytes of a process and all that it started,
// none of which was there before.
func memoryBelow(pid int, before map[int]bool) int64 {
	resident, below := map[int]int64{}, map[int][]int{}
	for one := range processes() {
		if before[one] {
			continue
		}
		text, err := os.ReadFile("/proc/" + strconv.Itoa(one) + "/stat")
		if err != nil {
			continue // it has ended
		}
		// The name, in brackets, may hold anything.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 22 {
			continue
		}
		parent, err1 := strconv.Atoi(fields[1])
		pages, err2 := strconv.ParseInt(fields[21], 10, 64)
		if err1 == nil && err2 == nil {
			resident[one], below[parent] = pages*int64(os.Getpagesize()), append(below[parent], one)
		}
	}
	var sum func(int) int64
	sum = func(one int) int64 {
		total := resident[one]
		for _, child := range below[one] {
			total += sum(child)
		}
		return total
	}
	return sum(pid)
}
