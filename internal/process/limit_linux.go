package process

import (
	"math"

	"golang.org/x/sys/unix"
)

// limitMemory has a program that has just begun refused more than so many bytes
// of memory, and all that it will start. A limit of our own would be that of all
// we start. The hard limit stays.
func limitMemory(pid int, bytes int64) error {
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, nil, &now); err != nil {
		return err
	}
	now.Cur = min(uint64(max(bytes, 0)), now.Max, math.MaxInt64)
	return unix.Prlimit(pid, unix.RLIMIT_DATA, &now, nil)
}
