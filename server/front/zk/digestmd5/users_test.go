package digestmd5

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), mode))
	require.NoError(t, os.Chmod(path, mode))
}

func TestAFileOfUsersIsReadLineByLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	write(t, path, "# who may\n\nbob:bobsecret\r\n  # and\nann b: # spaces:and colons \nzoë:pä\"ss\\w", 0o600)
	users, err := LoadUsers(path)
	require.NoError(t, err)
	require.Equal(t, Users{
		"bob":   protocol.Secret("bobsecret"),
		"ann b": protocol.Secret(" # spaces:and colons "),
		"zoë":   protocol.Secret(`pä"ss\w`),
	}, users)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", users, users, users), "bobsecret")
}

func TestAFileOfUsersThatIsWrongSaysWhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		why        string
	}{
		{"others may read it", "a:hunter2", 0o644, "mode 0644 lets others than its owner at the passwords, it must be 0600"},
		{"the group may write it", "a:hunter2", 0o620, "mode 0620"},
		{"a line without a colon", "a:hunter2\nhunter2", 0o600, "line 2: no colon, a line is name:password"},
		{"no name", ":hunter2", 0o600, "line 1: the name is empty"},
		{"a space before the name", " a:hunter2", 0o600, "line 1: the name is empty or has a space at an end"},
		{"no password", "# c\na:", 0o600, `line 2: user "a" has no password`},
		{"a name twice", "a:hunter2\nb:x\na:hunter3", 0o600, `line 3: user "a" is there already`},
		{"a control character", "a:hun\x00ter2", 0o600, "line 1: a control character or no UTF-8"},
		{"no UTF-8", "a:hun\xffter2", 0o600, "line 1: a control character or no UTF-8"},
		{"a name no ACL could hold", strings.Repeat("a", 1025) + ":hunter2", 0o600, "line 1: a name of 1025 bytes, at most 1024 are allowed"},
		{"a file too large", "a:" + strings.Repeat("hunter2", 150_000), 0o600, "more than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "users")
			write(t, path, c.text, c.mode)
			_, err := LoadUsers(path)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, c.why)
			require.NotContains(t, err.Error(), "hunter")
		})
	}
	_, err := LoadUsers(filepath.Join(t.TempDir(), "nowhere"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = LoadUsers(t.TempDir())
	require.ErrorContains(t, err, "not a regular file")
}

func TestAFileThatChangedIsReadAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	var log bytes.Buffer
	open := func() (*File, error) { return OpenFile(path, slog.New(slog.NewTextHandler(&log, nil))) }
	_, err := open()
	require.ErrorIs(t, err, os.ErrNotExist)

	write(t, path, "bob:one", 0o600)
	f, err := open()
	require.NoError(t, err)
	first := Users{"bob": protocol.Secret("one")}
	require.Equal(t, first, f.Users())

	// Replaced by a rename as careful hands do it, of the same size and time.
	info, err := os.Stat(path)
	require.NoError(t, err)
	write(t, path+"~", "bob:two", 0o600)
	require.NoError(t, os.Chtimes(path+"~", time.Time{}, info.ModTime()))
	require.NoError(t, os.Rename(path+"~", path))
	second := Users{"bob": protocol.Secret("two")}
	require.Equal(t, second, f.Users())

	require.NoError(t, os.Chmod(path, 0o644))
	log.Reset()
	for range 3 {
		require.Equal(t, second, f.Users(), "the former users stay")
	}
	require.Equal(t, 1, strings.Count(log.String(), "users file not read"), log.String())

	require.NoError(t, os.Remove(path))
	for range 3 {
		require.Equal(t, second, f.Users())
	}
	require.Equal(t, 2, strings.Count(log.String(), "users file not read"), "another error is news")
	require.NotContains(t, log.String(), "two")

	write(t, path, "bob:three", 0o600)
	require.Equal(t, Users{"bob": protocol.Secret("three")}, f.Users())
}

func FuzzUsersFile(f *testing.F) {
	f.Add([]byte("# c\nbob:secret\n\nzoë:p:q"))
	f.Fuzz(func(t *testing.T, text []byte) {
		users, err := parseUsers(text)
		if err != nil {
			require.Nil(t, users)
		}
		for name, secret := range users {
			require.NotEmpty(t, name)
			require.NotEmpty(t, secret)
		}
	})
}
