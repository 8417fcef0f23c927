package nix

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// workers gives how many evaluations may run at a time: as many as there are
// cores, and as memory (bytes; 0: not known) allows, of which each may use so
// much (0: what one usually needs).
func workers(cores int, memory, each int64) int {
	n := cores
	if each <= 0 {
		each = memoryPerWorker
	}
	if memory > 0 {
		n = min(n, int(memory/each))
	}
	return max(n, 1)
}

// freeMemory gives the memory that is free for us, in bytes; 0 where it is not
// known. root is "/", or a test's.
func freeMemory(root string) int64 {
	free := available(filepath.Join(root, "proc/meminfo"))
	for _, group := range []struct{ limit, used, stat, cache string }{
		{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current", "sys/fs/cgroup/memory.stat", "inactive_file"},
		{"sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory/memory.usage_in_bytes", "sys/fs/cgroup/memory/memory.stat", "total_inactive_file"},
	} {
		limit, limited := number(filepath.Join(root, group.limit))
		used, known := number(filepath.Join(root, group.used))
		if !limited || !known {
			continue // no such group, or no limit ("max")
		}
		left := max(limit-used+field(filepath.Join(root, group.stat), group.cache), 1)
		if free == 0 || left < free {
			free = left
		}
	}
	return free
}

// available reads MemAvailable.
func available(meminfo string) int64 { return field(meminfo, "MemAvailable:") << 10 }

// field reads the number behind a word at the start of a line; 0 if there is none.
func field(path, word string) int64 {
	text, err := os.ReadFile(path) //nolint:gosec // of the kernel, or a test's
	if err != nil {
		return 0
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		words := strings.Fields(s.Text())
		if len(words) >= 2 && words[0] == word {
			n, err := strconv.ParseInt(words[1], 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

// number reads a file that holds one number.
func number(path string) (int64, bool) {
	text, err := os.ReadFile(path) //nolint:gosec // of the kernel, or a test's
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}
