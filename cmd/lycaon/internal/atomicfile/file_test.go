package atomicfile

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, name, text string, end func(*File) error) {
	t.Helper()
	f, err := Create(name, 0o640)
	require.NoError(t, err)
	defer f.Discard()
	_, err = f.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, end(f))
}

func TestANewFileHasTheModeThatTheUmaskLeaves(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	name := filepath.Join(t.TempDir(), "new")
	write(t, name, "secret", (*File).Commit)
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
}

func TestWhatIsNoFileIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, name := range []string{pipe, dir, os.DevNull} {
		_, err := Create(name, 0o600)
		require.ErrorIs(t, err, ErrSpecial, name)
	}
}

func TestAFileIsReplacedWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	name, link := filepath.Join(dir, "conf"), filepath.Join(dir, "link")
	state := func() (text string, mode os.FileMode) {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		info, err := os.Stat(name)
		require.NoError(t, err)
		return string(raw), info.Mode()
	}
	write(t, name, "first", (*File).Commit)
	text, mode := state()
	require.Equal(t, "first", text)
	require.Equal(t, os.FileMode(0o640), mode)

	require.NoError(t, os.Chmod(name, 0o604))
	require.NoError(t, os.Symlink("conf", link))
	write(t, link, "second", func(*File) error { return nil })
	text, _ = state()
	require.Equal(t, "first", text, "discarded")

	write(t, link, "second", (*File).Commit)
	text, mode = state()
	require.Equal(t, "second", text)
	require.Equal(t, os.FileMode(0o604), mode, "kept")
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink, "a link stays one")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "nothing else is left")
}
