//go:build bench

package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sampleEvery is short against a host's evaluation, whose heap only grows, and
// long against the look itself.
const sampleEvery = 50 * time.Millisecond

// watch sums the memory of a process and all below it until its result is
// called, which gives the most that it saw.
func watch(pid int) func() int64 {
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
				peak = max(peak, memoryBelow(pid))
			}
		}
	}()
	return func() int64 {
		close(stop)
		return <-most
	}
}

// memoryBelow gives the resident bytes of a process and all that it started.
func memoryBelow(pid int) int64 {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0
	}
	resident, below := map[int]int64{}, map[int][]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// The name, in brackets, may hold anything.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 22 {
			continue
		}
		one, err1 := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parent, err2 := strconv.Atoi(fields[1])
		pages, err3 := strconv.ParseInt(fields[21], 10, 64)
		if err1 == nil && err2 == nil && err3 == nil {
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
