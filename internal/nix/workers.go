package nix

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// workers gives how many evaluations may run at a time: as many as there are
// cores, and as memory (bytes; 0: not known) allows.
func workers(cores int, memory int64) int {
	n := cores
	if memory > 0 {
		n = min(n, int(memory/memoryPerWorker))
	}
	return max(n, 1)
}

// freeMemory reads MemAvailable, in bytes; 0 where it cannot be read.
func freeMemory(meminfo string) int64 {
	f, err := os.Open(meminfo) //nolint:gosec // a constant, or a test's file
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		words := strings.Fields(s.Text())
		if len(words) >= 2 && words[0] == "MemAvailable:" {
			kib, err := strconv.ParseInt(words[1], 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}
