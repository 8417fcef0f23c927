package observe

import "golang.org/x/sys/unix"

// native says how calls that only this architecture has name their file.
func native(number int32) (call, bool) {
	switch number {
	case unix.SYS_OPEN:
		return call{opens: true, path: 0, folder: none}, true
	case unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_ACCESS, unix.SYS_READLINK:
		return call{path: 0, folder: none}, true
	case unix.SYS_NEWFSTATAT:
		return call{path: 1, folder: 0}, true
	}
	return call{}, false
}
