//go:build amd64 || arm64

package raftlog

import "syscall"

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

// mapMemory puts memory, zeroed, in place of whatever is mapped there.
func mapMemory(start, end uintptr) bool {
	const prot = syscall.PROT_READ | syscall.PROT_WRITE
	const flags = syscall.MAP_FIXED | syscall.MAP_PRIVATE | syscall.MAP_ANONYMOUS
	_, _, errno := syscall.Syscall6(syscall.SYS_MMAP, start, end-start, prot, flags, ^uintptr(0), 0)
	return errno == 0
}
