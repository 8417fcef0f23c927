//go:build linux && (amd64 || arm64)

package observe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notice is struct seccomp_notif: a call that waits to go on.
type notice struct {
	id     uint64
	pid    uint32
	_      uint32
	number int32
	arch   uint32
	_      uint64
	args   [6]uint64
}

// answer is struct seccomp_notif_resp.
type answer struct {
	id    uint64
	_     int64
	_     int32
	flags uint32
}

// patience is how long one wait for a report lasts before the watch looks
// whether it was ended, in milliseconds.
const patience = 200

// Watch takes the reports of one program.
type Watch struct {
	child, ours *os.File
	ended       chan struct{} // closed by End
	done        chan struct{} // closed when nobody reports any more
	once        sync.Once
	names       *names
	programs    int
}

// Start gives a Watch for one program, which has to be ended.
func Start() (*Watch, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	w := &Watch{
		child: os.NewFile(uintptr(pair[0]), "watched"), ours: os.NewFile(uintptr(pair[1]), "watch"), //nolint:gosec // file descriptors
		ended: make(chan struct{}), done: make(chan struct{}), names: newNames(),
	}
	go w.serve(pair[1])
	return w, nil
}

// Child is the standard input of the program that calls Become.
func (w *Watch) Child() *os.File { return w.child }

// End gives what was seen, after the program has ended.
func (w *Watch) End() Seen {
	w.once.Do(func() {
		close(w.ended)
		_ = w.child.Close()
		<-w.done
		_ = w.ours.Close()
	})
	return w.names.seen()
}

func (w *Watch) serve(socket int) {
	defer close(w.done)
	reports, ok := w.receive(socket)
	if !ok {
		w.names.doubtful("it was not watched")
		return
	}
	defer unix.Close(reports)
	// From Linux 6.6 on: whoever reports and whoever answers take turns on one processor.
	_ = unix.IoctlSetInt(reports, unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	for w.wait(reports) {
		n, err := next(reports)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOENT): // who asked is gone, or was interrupted and asks again
			continue
		case err != nil:
			w.names.doubtful("a report was lost: " + err.Error())
			return
		}
		w.note(n)
		release(reports, n.id)
	}
}

// receive takes the file that reports come from.
func (w *Watch) receive(socket int) (int, bool) {
	if !w.wait(socket) {
		return 0, false
	}
	text, rights := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, text, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		return 0, false
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return 0, false
	}
	files, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(files) != 1 {
		return 0, false
	}
	return files[0], true
}

// wait waits until there is something to read; false: there will be nothing any more.
func (w *Watch) wait(fd int) bool {
	for {
		list := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // a file descriptor
		n, err := unix.Poll(list, patience)
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return false
		case n > 0 && list[0].Revents&unix.POLLIN != 0:
			return true
		case n > 0:
			return false
		}
		select {
		case <-w.ended:
			// Once more, without waiting: what was reported before the end counts.
			if n, err := unix.Poll(list, 0); err != nil || n == 0 || list[0].Revents&unix.POLLIN == 0 {
				return false
			}
			return true
		default:
		}
	}
}

func next(reports int) (notice, error) {
	var n notice
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(reports), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))) //nolint:gosec // that is how the kernel gives it
	if errno != 0 {
		return n, errno
	}
	return n, nil
}

func release(reports int, id uint64) {
	a := answer{id: id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(reports), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a))) //nolint:gosec // same; whoever is gone needs no answer
}

// none is the folder of a call that has no such argument.
const none = -1

// call says which of a system call's arguments are the path and the open
// folder that it starts from.
type call struct {
	opens        bool
	path, folder int
}

// note takes down what a call looks at.
func (w *Watch) note(n notice) {
	if n.arch != nativeArch {
		w.names.doubtful("it made calls of another architecture")
		return
	}
	var c call
	switch n.number {
	case unix.SYS_OPENAT, unix.SYS_OPENAT2:
		c = call{opens: true, path: 1, folder: 0}
	case unix.SYS_STATX, unix.SYS_READLINKAT, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2:
		c = call{path: 1, folder: 0}
	case unix.SYS_EXECVE:
		if w.programs++; w.programs > 1 {
			w.names.doubtful("it ran other programs")
		}
		return
	case unix.SYS_CONNECT:
		w.connection(n)
		return
	default:
		var known bool
		if c, known = native(n.number); !known {
			w.names.doubtful(fmt.Sprintf("it made the system call %d", n.number))
			return
		}
	}
	path, err := readString(n.pid, n.args[c.path])
	if err != nil {
		w.names.doubtful("a name could not be read: " + err.Error())
		return
	}
	if path == "" {
		return // refers to nothing
	}
	if !filepath.IsAbs(path) {
		from, err := w.folder(n, c)
		if err != nil {
			w.names.doubtful("a folder could not be read: " + err.Error())
			return
		}
		path = from + "/" + path
	}
	if c.opens {
		w.names.opened[path] = true
	} else {
		w.names.asked[path] = true
	}
}

// folder gives where a relative path starts.
func (w *Watch) folder(n notice, c call) (string, error) {
	from := fmt.Sprintf("/proc/%d/cwd", n.pid)
	if c.folder != none {
		if fd := int32(uint32(n.args[c.folder])); fd != unix.AT_FDCWD { //nolint:gosec // the kernel takes the lower half too
			from = fmt.Sprintf("/proc/%d/fd/%d", n.pid, fd)
		}
	}
	path, err := os.Readlink(from)
	if err == nil && !filepath.IsAbs(path) {
		err = fmt.Errorf("%s is no folder", path)
	}
	return path, err
}

// connection notes that it asked others than programs of this machine.
func (w *Watch) connection(n notice) {
	family := make([]byte, 2)
	if err := readMemory(n.pid, n.args[1], family); err != nil {
		w.names.doubtful("an address could not be read: " + err.Error())
		return
	}
	if binary.NativeEndian.Uint16(family) != unix.AF_UNIX {
		w.names.doubtful("it used the network")
	}
}

// readString reads a text that ends with a zero from a program's memory.
func readString(pid uint32, address uint64) (string, error) {
	const page, step = 4096, 256
	var text []byte
	for len(text) < unix.PathMax {
		part := make([]byte, min(step, page-address%page)) // the next page may not be there
		if err := readMemory(pid, address, part); err != nil {
			return "", err
		}
		if end := bytes.IndexByte(part, 0); end >= 0 {
			return string(append(text, part[:end]...)), nil
		}
		text, address = append(text, part...), address+uint64(len(part))
	}
	return "", unix.ENAMETOOLONG
}

func readMemory(pid uint32, address uint64, into []byte) error {
	local := []unix.Iovec{{Base: &into[0]}}
	local[0].SetLen(len(into))
	remote := []unix.RemoteIovec{{Base: uintptr(address), Len: len(into)}}
	n, err := unix.ProcessVMReadv(int(pid), local, remote, 0)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		n, err = readMemoryFile(pid, address, into) // containers of some years ago know no other way
	}
	if err == nil && n < len(into) {
		err = unix.EFAULT
	}
	return err
}

func readMemoryFile(pid uint32, address uint64, into []byte) (int, error) {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return 0, err
	}
	defer memory.Close()
	return memory.ReadAt(into, int64(address)) //nolint:gosec // of a program's own half of the addresses
}
