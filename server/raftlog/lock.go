package raftlog

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockDir takes the directory for this open file alone. The lock dies with the process, so nothing stale can remain.
func lockDir(dir string) (*os.File, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("raftlog: open directory: %w", err)
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		d.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
		}
		return nil, fmt.Errorf("raftlog: lock %s: %w", dir, err)
	}
	return d, nil
}
