//go:build !linux

package machine

import "syscall"

// withParent can do nothing here: a lab's machines are containers on Linux.
func withParent() *syscall.SysProcAttr { return nil }
