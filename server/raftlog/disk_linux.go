package raftlog

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// freeBytes counts what an unprivileged process may use.
func freeBytes(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}

func reserve(file *os.File, size int64) error {
	return syscall.Fallocate(int(file.Fd()), 0, 0, size)
}

// syncData is what a file's Sync does, but for what is not needed to read the data again.
func syncData(file *os.File) error {
	for {
		if err := unix.Fdatasync(int(file.Fd())); err != unix.EINTR {
			return err
		}
	}
}

// setDirect has what is written to the file go past the page cache, or through it again, and tells whether it goes past it.
func setDirect(file *os.File, past bool) bool {
	flags := unix.O_RDWR
	if past {
		flags |= unix.O_DIRECT
	}
	_, err := unix.FcntlInt(file.Fd(), unix.F_SETFL, flags)
	return err == nil && past
}

// dropCache makes the next read of the synced file come from the disk.
func dropCache(file *os.File) {
	_ = unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// readNoAhead makes reads of the file ask the disk for what they want and no more.
func readNoAhead(file *os.File) {
	_ = unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_RANDOM)
}

// writeRange returns when the disk has taken that part of the file; only a sync makes it durable.
func writeRange(file *os.File, from, size int64) error {
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	err := unix.SyncFileRange(int(file.Fd()), from, size, all)
	if errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return os.NewSyscallError("sync_file_range", err)
}
