//go:build linux && (amd64 || arm64)

package observe

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// offsets in what the filter sees of a system call (struct seccomp_data)
const (
	numberOffset = 0
	archOffset   = 4
	argsOffset   = 16 // eight bytes each, the lower half first
)

// flags of a call that make it no look at a name: the argument that holds them,
// and those of its bits that have to have a value.
type pass struct {
	argument    int
	mask, value uint32
}

// filter gives the program that the kernel runs for each system call: those
// that look at files by name are reported, all others go on at once.
func filter() []unix.SockFilter {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	equal := func(k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	report := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF}
	goOn := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}

	// Calls of another architecture have other numbers: they are a doubt.
	program := []unix.SockFilter{load(archOffset), equal(nativeArch, 1, 0), report, load(numberOffset)}
	if highest := foreignCalls(); highest != 0 {
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: highest, Jt: 0, Jf: 1}, report)
	}
	for number, passes := range watched() {
		if passes == nil {
			program = append(program, equal(number, 0, 1), report)
			continue
		}
		program = append(program, equal(number, 0, 5),
			load(argsOffset+8*uint32(passes.argument)), //nolint:gosec // 0 to 5
			unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: passes.mask},
			equal(passes.value, 0, 1), goOn, report)
	}
	return append(program, goOn)
}

// watched are the system calls that are reported, each with what lets it pass.
// Calls that only write are not among them; nor are those by an open file alone.
func watched() map[uint32]*pass {
	byFile := func(argument int) *pass { return &pass{argument, unix.AT_EMPTY_PATH, unix.AT_EMPTY_PATH} }
	writing := func(argument int) *pass { return &pass{argument, unix.O_ACCMODE, unix.O_WRONLY} }
	all := map[uint32]*pass{
		unix.SYS_OPENAT: writing(2), unix.SYS_OPENAT2: nil, unix.SYS_STATX: byFile(2), unix.SYS_READLINKAT: nil,
		unix.SYS_FACCESSAT: nil, unix.SYS_FACCESSAT2: nil, unix.SYS_EXECVE: nil, unix.SYS_EXECVEAT: nil,
		unix.SYS_CONNECT: nil, unix.SYS_CHROOT: nil, unix.SYS_PIVOT_ROOT: nil, unix.SYS_MOUNT: nil,
		unix.SYS_NAME_TO_HANDLE_AT: nil, unix.SYS_OPEN_BY_HANDLE_AT: nil, unix.SYS_IO_URING_SETUP: nil, unix.SYS_OPEN_TREE: nil,
	}
	addNative(all, byFile, writing)
	return all
}

// install puts the filter on this thread and what it becomes, and gives the
// file that reports come from.
func install() (int, error) {
	program := filter()
	head := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]} //nolint:gosec // some dozens
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, fmt.Errorf("no_new_privs: %w", err)
	}
	// Before Linux 5.16 a filter slows the whole program down (mitigations for programs
	// that are less trusted than their parents), if nobody says that it need not.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags,
		uintptr(unsafe.Pointer(&head))) //nolint:gosec // that is how the kernel takes it
	runtime.KeepAlive(program)
	if errno != 0 {
		return -1, fmt.Errorf("seccomp: %w", errno)
	}
	return int(fd), nil //nolint:gosec // a file descriptor
}
