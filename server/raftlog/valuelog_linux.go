//go:build amd64 || arm64

package raftlog

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// detachValueLog puts memory in place of the mapped value log, which holds nothing of ours. Badger syncs it with each
// commit all the same, and on ext4 without a journal that is a second flush of the device. It is called before anything is
// committed; nobody unmaps the file before Badger is closed.
func detachValueLog(dir string) (done int) {
	eachMapping(dir, []string{".vlog"}, func(start, end uintptr) {
		if mapMemory(start, end) {
			done++
		}
	})
	return done
}

// mapMemory puts memory, zeroed, in place of whatever is mapped there. It is asked for at another place and moved: a mapping
// that is made at the place itself may fail, in older kernels, when what was there is gone already, and Badger would then
// write to nothing, or to whatever is mapped there next.
func mapMemory(start, end uintptr) bool {
	const prot = syscall.PROT_READ | syscall.PROT_WRITE
	const flags = syscall.MAP_PRIVATE | syscall.MAP_ANONYMOUS
	size := end - start
	memory, _, errno := syscall.Syscall6(syscall.SYS_MMAP, 0, size, prot, flags, ^uintptr(0), 0)
	if errno != 0 {
		return false
	}
	if _, _, errno = syscall.Syscall6(syscall.SYS_MREMAP, memory, size, size, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, start, 0); errno != 0 {
		_, _, _ = syscall.Syscall(syscall.SYS_MUNMAP, memory, size, 0)
		return false
	}
	return true
}
