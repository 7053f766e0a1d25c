//go:build amd64 || arm64

package raftlog

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapMemory puts memory, zeroed, in place of what mapped is a mapping of, which may be unmapped as before. The memory is asked
// for at another place and moved: a mapping that is made at the place itself may fail, in older kernels, when what was there is
// gone already, and Badger would then write to nothing, or to whatever is mapped there next.
func mapMemory(mapped []byte) bool {
	const prot = syscall.PROT_READ | syscall.PROT_WRITE
	const flags = syscall.MAP_PRIVATE | syscall.MAP_ANONYMOUS
	place, size := uintptr(unsafe.Pointer(unsafe.SliceData(mapped))), uintptr(len(mapped))
	memory, _, errno := syscall.Syscall6(syscall.SYS_MMAP, 0, size, prot, flags, ^uintptr(0), 0)
	if errno != 0 {
		return false
	}
	if _, _, errno = syscall.Syscall6(syscall.SYS_MREMAP, memory, size, size, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, place, 0); errno != 0 {
		_, _, _ = syscall.Syscall(syscall.SYS_MUNMAP, memory, size, 0)
		return false
	}
	hugePages(mapped)
	return true
}
