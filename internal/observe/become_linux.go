//go:build linux && (amd64 || arm64)

package observe

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Become turns this process into a program that is watched: args are its name
// and arguments, standard input is a Watch's Child. It returns only when that
// fails. Where the kernel does not allow to watch, the program runs unwatched.
func Become(args []string) error {
	if len(args) == 0 {
		return errors.New("no program to watch")
	}
	program, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	var socket unix.Stat_t
	if err := unix.Fstat(0, &socket); err != nil || socket.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return errors.New("standard input is not a watch's")
	}
	empty, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", os.DevNull, err)
	}
	runtime.LockOSThread() // the filter is on this thread alone, which becomes the program
	if reports, err := install(); err == nil {
		if err := unix.Sendmsg(0, []byte{0}, unix.UnixRights(reports), nil, 0); err != nil {
			return fmt.Errorf("tell the watch: %w", err)
		}
		_ = unix.Close(reports)
	}
	if err := unix.Dup3(empty, 0, 0); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	return syscall.Exec(program, args, os.Environ()) //nolint:gosec // running it is what this is for
}
