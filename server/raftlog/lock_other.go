//go:build !unix

package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// lockDir holds a file open that the system refuses to delete while another process has it; development only.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "in-use")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}
