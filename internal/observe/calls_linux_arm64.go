package observe

import "golang.org/x/sys/unix"

// native says how calls that only this architecture has name their file.
func native(number int32) (call, bool) {
	if number == unix.SYS_FSTATAT {
		return call{path: 1, folder: 0}, true
	}
	return call{}, false
}
