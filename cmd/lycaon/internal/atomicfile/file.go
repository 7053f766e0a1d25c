// Package atomicfile replaces files whole. It knows nothing of what is in them.
// A File belongs to one goroutine.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// File is a file that is written beside the one whose name it then takes, so
// that whoever opens that name finds the old content or the new one, whole.
type File struct {
	*os.File
	name string
}

// Create begins a new content of name, or of what name is a link to. A file
// that is there passes on its mode and, as far as we may, its owner; else it
// gets mode.
func Create(name string, mode fs.FileMode) (*File, error) {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".tmp-*")
	if path := (*fs.PathError)(nil); errors.As(err, &path) { // whose name nobody has chosen
		return nil, &fs.PathError{Op: "make a file in", Path: filepath.Dir(name), Err: path.Err}
	}
	if err != nil {
		return nil, err
	}
	f := &File{tmp, name}
	if old, err := os.Stat(name); err == nil {
		mode = old.Mode().Perm()
		if stat, ok := old.Sys().(*syscall.Stat_t); ok {
			_ = tmp.Chown(int(stat.Uid), int(stat.Gid)) // only root may give files away
		}
	}
	if err := tmp.Chmod(mode); err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

// Commit makes the new content the one of the name, and durable.
func (f *File) Commit() error {
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

// Discard takes the file away, unless it was committed.
func (f *File) Discard() {
	f.Close()
	os.Remove(f.File.Name())
}
