package raftlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// removeInPieces deletes directories of files that nobody has open, and calls pace, if given, before each piece: where
// the disk is told of blocks that are free, the removal of a large file takes tens of milliseconds, and each sync of the
// log that comes meanwhile as long. An error of pace ends it; what is left has a name that the next open removes.
func removeInPieces(pace func() error, dirs ...string) error {
	for _, dir := range dirs {
		ended, err := cutFiles(dir, pace)
		if err != nil {
			return fmt.Errorf("raftlog: remove: %w", err)
		}
		if ended {
			return nil
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("raftlog: remove: %w", err)
		}
	}
	return nil
}

// cutFiles leaves little of each file in dir, and reports whether pace ended it before.
func cutFiles(dir string, pace func() error) (ended bool, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if ended, err = cutFile(filepath.Join(dir, e.Name()), pace); ended || err != nil {
			return ended, err
		}
	}
	return false, nil
}

func cutFile(path string, pace func() error) (ended bool, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	for size := info.Size(); size > removePieceBytes; {
		if pace != nil && pace() != nil {
			return true, nil
		}
		size -= removePieceBytes
		if err := file.Truncate(size); err != nil {
			return false, err
		}
	}
	return false, nil
}
