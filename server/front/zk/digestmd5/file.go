package digestmd5

import (
	"log/slog"
	"os"
	"sync"
)

// File is a file of users that is read anew when it changes, so that a
// password is rotated without a restart.
type File struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex
	users Users       // never changed once set
	read  os.FileInfo // what the file was then
	wrong string      // the last error, which is logged once
}

// OpenFile reads the users in path. A file that is wrong at the start is an
// error; one that becomes wrong leaves the users as they were.
func OpenFile(path string, log *slog.Logger) (*File, error) {
	users, info, err := loadUsers(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, log: log, users: users, read: info}, nil
}

// Users returns the users as the file has them now. The caller must not change
// them.
func (f *File) Users() Users {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now, err := os.Stat(f.path); err == nil && unchanged(f.read, now) {
		f.wrong = ""
		return f.users
	}
	users, info, err := loadUsers(f.path)
	if err != nil {
		f.complainLocked(err)
		return f.users
	}
	f.log.Info("users file read anew", "path", f.path, "users", len(users))
	f.users, f.read, f.wrong = users, info, ""
	return f.users
}

func (f *File) complainLocked(err error) {
	if err.Error() == f.wrong {
		return
	}
	f.wrong = err.Error()
	f.log.Error("users file not read, the former users stay", "path", f.path, "err", err)
}

func unchanged(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.Mode() == b.Mode() && a.ModTime().Equal(b.ModTime())
}
