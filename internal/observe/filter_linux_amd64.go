package observe

import "golang.org/x/sys/unix"

const nativeArch = unix.AUDIT_ARCH_X86_64

// foreignCalls is the number from which on calls are those of x32.
func foreignCalls() uint32 { return 0x40000000 }

func addNative(all map[uint32]*pass, byFile, writing func(int) *pass) {
	all[unix.SYS_OPEN] = writing(1)
	all[unix.SYS_NEWFSTATAT] = byFile(3)
	for _, number := range []uint32{unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_ACCESS, unix.SYS_READLINK} {
		all[number] = nil
	}
}
