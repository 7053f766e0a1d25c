package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// newFile is a file that is written beside the one whose name it then takes, so
// that whoever opens that name finds the old content or the new one, whole.
type newFile struct {
	*os.File
	name string
}

// newFileFor begins a new content of name, or of what name is a link to. A file
// that is there passes on its mode and, as far as we may, its owner; else it
// gets mode.
func newFileFor(name string, mode fs.FileMode) (*newFile, error) {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".tmp-*")
	if err != nil {
		return nil, err
	}
	f := &newFile{tmp, name}
	if old, err := os.Stat(name); err == nil {
		mode = old.Mode().Perm()
		if stat, ok := old.Sys().(*syscall.Stat_t); ok {
			_ = tmp.Chown(int(stat.Uid), int(stat.Gid)) // only root may give files away
		}
	}
	if err := tmp.Chmod(mode); err != nil {
		f.discard()
		return nil, err
	}
	return f, nil
}

// commit makes the new content the one of the name, and durable.
func (f *newFile) commit() error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.File.Name(), f.name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(f.name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// discard takes the file away, unless it was committed.
func (f *newFile) discard() {
	f.Close()
	os.Remove(f.File.Name())
}
