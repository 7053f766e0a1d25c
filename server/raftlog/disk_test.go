package raftlog

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const mib = 1 << 20

type fakeDisk struct {
	free    atomic.Uint64
	failing atomic.Bool
	tick    chan time.Time
	changes chan DiskLevel
}

func newFakeDisk(freeMiB uint64) *fakeDisk {
	f := &fakeDisk{tick: make(chan time.Time), changes: make(chan DiskLevel, 16)}
	f.free.Store(freeMiB * mib)
	return f
}

func (f *fakeDisk) options(dir string) DiskOptions {
	return DiskOptions{
		Dir: dir, softBytes: 400 * mib, hardBytes: 100 * mib, ballastBytes: mib, tick: f.tick,
		freeBytes: func(string) (uint64, error) {
			if f.failing.Load() {
				return 0, errors.New("no answer")
			}
			return f.free.Load(), nil
		},
		OnChange: func(_, to DiskLevel, _ uint64) { f.changes <- to },
	}
}

func openDisk(t *testing.T, o DiskOptions) *DiskGuard {
	t.Helper()
	g, err := OpenDiskGuard(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = g.Close() })
	return g
}

func TestTheDiskLevelFollowsFreeSpaceAndRecovers(t *testing.T) {
	f := newFakeDisk(1000)
	o := f.options(t.TempDir())
	var g *DiskGuard
	o.OnChange = func(_, to DiskLevel, _ uint64) {
		if g.Level() == to { // the callback may look
			f.changes <- to
		}
	}
	g = openDisk(t, o)
	require.Equal(t, DiskOK, g.Level())
	for _, step := range []struct {
		freeMiB uint64
		want    DiskLevel
	}{{399, DiskSoft}, {99, DiskHard}, {113, DiskSoft}, {451, DiskOK}} {
		f.free.Store(step.freeMiB * mib)
		f.tick <- time.Time{}
		require.Equal(t, step.want, <-f.changes)
		require.Equal(t, step.want, g.Level())
	}
	require.EqualValues(t, 4, g.Stats().Changes)
}

func TestTheDiskLevelDoesNotFlapAtAMark(t *testing.T) {
	f := newFakeDisk(399)
	g := openDisk(t, f.options(t.TempDir()))
	require.Equal(t, DiskSoft, <-f.changes)
	for _, freeMiB := range []uint64{401, 399, 449} {
		f.free.Store(freeMiB * mib)
		level, err := g.Check()
		require.NoError(t, err)
		require.Equal(t, DiskSoft, level)
	}
	require.Empty(t, f.changes)
}

func TestAFailingLookKeepsTheLevelAndIsTold(t *testing.T) {
	f := newFakeDisk(300)
	g := openDisk(t, f.options(t.TempDir()))
	f.failing.Store(true)
	level, err := g.Check()
	require.Error(t, err)
	require.Equal(t, DiskSoft, level)
	require.Error(t, g.Stats().Err)
}

func TestSnapshotsRaiseTheSoftMark(t *testing.T) {
	o := newFakeDisk(100000).options(t.TempDir())
	o.softBytes = 0
	o.SnapshotBytes = func() int64 { return 1000 * mib }
	require.EqualValues(t, diskSoftDefault+2000*mib, openDisk(t, o).Stats().SoftBytes)
}

func TestBallastIsGivenUpToStart(t *testing.T) {
	dir := t.TempDir()
	f := newFakeDisk(1000)
	g := openDisk(t, f.options(dir))
	ballast := filepath.Join(dir, ballastFile)
	info, err := os.Stat(ballast)
	require.NoError(t, err)
	require.EqualValues(t, mib, info.Size())
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, g.Close())

	f.free.Store(99 * mib)
	o := f.options(dir)
	real := o.freeBytes
	o.freeBytes = func(d string) (uint64, error) {
		free, err := real(d)
		if _, statErr := os.Stat(ballast); statErr != nil {
			free += 2 * mib
		}
		return free, err
	}
	g = openDisk(t, o)
	require.NoError(t, g.CheckStart())
	require.NoFileExists(t, ballast)
	require.Equal(t, DiskSoft, g.Level())

	f.free.Store(10 * mib)
	err = g.CheckStart()
	require.ErrorIs(t, err, ErrDiskFull)
	require.ErrorContains(t, err, dir)
	f.free.Store(1000 * mib)
	require.NoError(t, g.CheckStart())
	require.FileExists(t, ballast)
}

func TestAStoreDoesNotOpenOnAFullDiskAndOpensWhenThereIsRoom(t *testing.T) {
	dir := t.TempDir()
	f := newFakeDisk(50)
	opt := testOptions(filepath.Join(dir, "s"))
	opt.Disk = openDisk(t, f.options(dir))
	_, err := Open(opt)
	require.ErrorIs(t, err, ErrDiskFull)
	require.NoDirExists(t, generationPath(filepath.Join(dir, "s"), 1))
	f.free.Store(1000 * mib)
	s, err := Open(opt)
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestAGrowingLogStopsAtTheHardMark(t *testing.T) {
	dir := t.TempDir()
	f := newFakeDisk(1000)
	failed := make(chan error, 1)
	opt := testOptions(filepath.Join(dir, "s"))
	opt.Disk = openDisk(t, f.options(dir))
	opt.Fatal = func(err error) { failed <- err }
	s, err := Open(opt)
	require.NoError(t, err)
	defer s.Close()
	f.free.Store(50 * mib)
	require.NoError(t, s.StoreLogs(testLogs(1, 45, 1, 100<<10))) // more than one look's worth
	require.ErrorIs(t, <-failed, ErrDiskFull)
	require.ErrorIs(t, s.StoreLog(testLog(46, 1, 1)), ErrDiskFull)
}

func TestTheRealFileSystemIsAsked(t *testing.T) {
	g := openDisk(t, DiskOptions{Dir: t.TempDir(), ballastBytes: -1})
	require.Positive(t, g.Stats().FreeBytes)
}

func TestNoSnapshotIsBegunAtTheHardMark(t *testing.T) {
	dir := t.TempDir()
	f := newFakeDisk(1000)
	s, err := OpenSnapshots(SnapshotOptions{Dir: filepath.Join(dir, "snap"), Disk: openDisk(t, f.options(dir))})
	require.NoError(t, err)
	defer s.Close()
	f.free.Store(50 * mib)
	_, err = s.Create(1, 1, 1, testConfiguration, 1, nil)
	require.ErrorIs(t, err, ErrDiskFull)
	f.free.Store(1000 * mib)
	takeSnapshot(t, s, 1, 1, 10)
}

// A disk that is full at the start is no news for a server that is not up: it
// hears of what giving up the ballast has made of it.
func TestAStartOnAFullDiskTellsTheLevelAfterTheBallast(t *testing.T) {
	dir := t.TempDir()
	f := newFakeDisk(1000)
	require.NoError(t, openDisk(t, f.options(dir)).Close())
	f.free.Store(99 * mib)
	o := f.options(dir)
	look := o.freeBytes
	o.freeBytes = func(d string) (uint64, error) {
		free, err := look(d)
		if _, statErr := os.Stat(filepath.Join(dir, ballastFile)); statErr != nil {
			free += 20 * mib
		}
		return free, err
	}
	g := openDisk(t, o)
	require.NoError(t, g.CheckStart())
	require.Equal(t, DiskSoft, g.Level())
	require.Equal(t, DiskSoft, <-f.changes)
	require.Empty(t, f.changes)

	require.NoError(t, g.Close())
	f.free.Store(10 * mib)
	g = openDisk(t, o)
	require.ErrorIs(t, g.CheckStart(), ErrDiskFull)
	require.Empty(t, f.changes, "the refusal says it")
	f.free.Store(1000 * mib)
	require.NoError(t, g.CheckStart())
	require.Empty(t, f.changes, "it was never told otherwise")
}
