package digestmd5

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode"
	"unicode/utf8"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// Users are the passwords by name.
type Users map[string]protocol.Secret

// maxFileBytes bounds a file of users; ten thousand have room in it.
const maxFileBytes = 1 << 20

// LoadUsers reads a file of users: a line is `name:password`, empty or a
// comment after #. Everything behind the first colon is the password, spaces
// and # too. Nobody but the file's owner may have access to it. No error
// shows a password.
func LoadUsers(path string) (Users, error) {
	users, _, err := loadUsers(path)
	return users, err
}

// loadUsers returns also what the file was when it was read.
func loadUsers(path string) (Users, os.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("users file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("users file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("users file %s: not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, nil, fmt.Errorf("users file %s: mode %04o lets others than its owner at the passwords, it must be 0600", path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err == nil && len(text) > maxFileBytes {
		err = fmt.Errorf("more than %d bytes", maxFileBytes)
	}
	var users Users
	if err == nil {
		users, err = parseUsers(text)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("users file %s: %w", path, err)
	}
	return users, info, nil
}

func parseUsers(text []byte) (Users, error) {
	users := Users{}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if blank := bytes.TrimSpace(line); len(blank) == 0 || blank[0] == '#' {
			continue
		}
		name, secret, err := parseUser(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if _, twice := users[name]; twice {
			return nil, fmt.Errorf("line %d: user %q is there already", number, name)
		}
		users[name] = secret
	}
	return users, nil
}

func parseUser(line []byte) (string, protocol.Secret, error) {
	name, secret, ok := bytes.Cut(line, []byte(":"))
	switch {
	case !ok: // the line may be a password alone: it is not shown
		return "", nil, errors.New("no colon, a line is name:password")
	case !utf8.Valid(line) || bytes.ContainsFunc(line, unicode.IsControl):
		return "", nil, errors.New("a control character or no UTF-8")
	case len(name) == 0 || !bytes.Equal(bytes.TrimSpace(name), name):
		return "", nil, errors.New("the name is empty or has a space at an end")
	case len(name) > znode.MaxACLIDBytes: // no ACL could name it
		return "", nil, fmt.Errorf("a name of %d bytes, at most %d are allowed", len(name), znode.MaxACLIDBytes)
	case len(secret) == 0:
		return "", nil, fmt.Errorf("user %q has no password", name)
	}
	return string(name), protocol.Secret(bytes.Clone(secret)), nil
}
