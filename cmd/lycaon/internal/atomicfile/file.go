// Package atomicfile replaces files whole. It knows nothing of what is in them.
// A File belongs to one goroutine.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrSpecial: a device, a pipe or a folder is no file to be replaced.
var ErrSpecial = errors.New("is there and no regular file")

// File is a file that is written beside the one whose name it then takes, so
// that whoever opens that name finds the old content or the new one, whole.
type File struct {
	*os.File
	name string
}

// Create begins a new content of name, or of what name is a link to. A file
// that is there passes on its mode and, as far as we may, its owner; else it
// gets mode, as far as the umask lets it.
func Create(name string, mode fs.FileMode) (*File, error) {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	old, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return create(name, mode)
	case err != nil:
		return nil, err
	case !old.Mode().IsRegular():
		return nil, &fs.PathError{Op: "replace", Path: name, Err: ErrSpecial}
	}
	f, err := create(name, 0o600)
	if err != nil {
		return nil, err
	}
	if stat, ok := old.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(stat.Uid), int(stat.Gid)) // only root may give files away
	}
	if err := f.Chmod(old.Mode().Perm()); err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

// create makes the file beside name.
func create(name string, mode fs.FileMode) (*File, error) {
	beside := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".tmp-"+rand.Text())
	f, err := os.OpenFile(beside, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if path := (*fs.PathError)(nil); errors.As(err, &path) { // whose name nobody has chosen
		return nil, &fs.PathError{Op: "make a file in", Path: filepath.Dir(name), Err: path.Err}
	}
	return &File{f, name}, err
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
