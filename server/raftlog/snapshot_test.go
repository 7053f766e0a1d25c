package raftlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

var testConfiguration = raft.Configuration{Servers: []raft.Server{
	{Suffrage: raft.Voter, ID: "1", Address: "127.0.0.1:2888"},
	{Suffrage: raft.Nonvoter, ID: "2", Address: "127.0.0.1:2889"},
}}

func openSnapshots(t testing.TB, dir string, verify func(io.Reader) error) *Snapshots {
	t.Helper()
	s, err := OpenSnapshots(SnapshotOptions{Dir: dir, Verify: verify})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func takeSnapshot(t testing.TB, s *Snapshots, index, term uint64, size int) string {
	t.Helper()
	sink, err := s.Create(1, index, term, testConfiguration, 3, nil)
	require.NoError(t, err)
	_, err = io.Copy(sink, bytes.NewReader(payload(index, term, size)))
	require.NoError(t, err)
	require.NoError(t, sink.Close())
	return sink.ID()
}

func readSnapshot(t testing.TB, s *Snapshots, id string) []byte {
	t.Helper()
	_, r, err := s.Open(id)
	require.NoError(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return b
}

func TestSnapshotsComeBackNewestFirstAndTwoAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	s := openSnapshots(t, dir, nil)
	metas, err := s.List()
	require.NoError(t, err)
	require.Empty(t, metas)
	for i, at := range []struct{ index, term uint64 }{{10, 1}, {9, 2}, {300, 3}} {
		takeSnapshot(t, s, at.index, at.term, 700<<10)
		require.EqualValues(t, i+1, s.Stats().Taken)
	}
	for range 2 {
		metas, err = s.List()
		require.NoError(t, err)
		require.Len(t, metas, 2)
		require.EqualValues(t, 300, metas[0].Index)
		require.EqualValues(t, 9, metas[1].Index)
		require.Equal(t, testConfiguration, metas[0].Configuration)
		require.EqualValues(t, 3, metas[0].ConfigurationIndex)
		require.EqualValues(t, 1, metas[0].Version)
		require.EqualValues(t, 700<<10, metas[0].Size)
		require.Equal(t, payload(300, 3, 700<<10), readSnapshot(t, s, metas[0].ID))
		require.EqualValues(t, 300, s.Stats().LastIndex)
		require.NoError(t, s.Close())
		s = openSnapshots(t, dir, nil)
	}
	_, _, err = s.Open("3-301-1")
	require.ErrorIs(t, err, ErrNoSnapshot)
	_, _, err = s.Open("../../etc/passwd")
	require.ErrorIs(t, err, ErrNoSnapshot)
	_, err = s.Create(0, 1, 1, testConfiguration, 1, nil)
	require.Error(t, err)
}

func TestAnUnfinishedSnapshotIsNeverSeen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	s := openSnapshots(t, dir, nil)
	sink, err := s.Create(1, 5, 1, testConfiguration, 1, nil)
	require.NoError(t, err)
	_, err = sink.Write([]byte("half"))
	require.NoError(t, err)
	metas, err := s.List()
	require.NoError(t, err)
	require.Empty(t, metas)
	require.NoError(t, sink.Cancel())
	require.NoError(t, sink.Cancel())
	require.NoError(t, sink.Close())
	requireNoLeftovers(t, dir)
	require.EqualValues(t, 1, s.Stats().Failed)
	require.Zero(t, s.Stats().InProgress)

	_, err = s.Create(1, 6, 1, testConfiguration, 1, nil) // crash in the middle
	require.NoError(t, err)
	require.NoError(t, s.Close())
	s = openSnapshots(t, dir, nil)
	requireNoLeftovers(t, dir)
	require.EqualValues(t, 1, s.Stats().Removed)
}

func requireNoLeftovers(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*.tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestASnapshotThatDoesNotVerifyIsRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	bad := errors.New("inner checksum")
	s := openSnapshots(t, dir, func(r io.Reader) error {
		b, err := io.ReadAll(r)
		if bytes.HasPrefix(b, []byte("bad")) {
			return bad
		}
		return err
	})
	sink, err := s.Create(1, 5, 1, testConfiguration, 1, nil)
	require.NoError(t, err)
	_, err = sink.Write([]byte("bad"))
	require.NoError(t, err)
	require.ErrorIs(t, sink.Close(), bad)
	requireNoLeftovers(t, dir)
	metas, err := s.List()
	require.NoError(t, err)
	require.Empty(t, metas)
	takeSnapshot(t, s, 6, 1, 100)
}

func TestTheReadBackIsPacedAndEndedByThePace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	s := openSnapshots(t, dir, func(r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
	enough := errors.New("the server closes")
	for _, c := range []struct {
		name string
		ends int // at which call of the pace
	}{
		{"a pace that ends it removes the snapshot and is not taken for damage", 3},
		{"else it is called for every piece", -1},
	} {
		sink, err := s.Create(1, 5, 1, testConfiguration, 1, nil)
		require.NoError(t, err, c.name)
		calls := 0
		sink.(*snapshotSink).SetPace(func() error {
			if calls++; calls == c.ends {
				return enough
			}
			return nil
		})
		const size = 3 << 20
		_, err = sink.Write(make([]byte, size))
		require.NoError(t, err, c.name)
		require.Zero(t, calls, "what is written has a pace of its own")
		err = sink.Close()
		requireNoLeftovers(t, dir)
		if c.ends < 0 {
			require.NoError(t, err, c.name)
			require.Greater(t, calls, size/snapshotBufBytes, c.name)
			continue
		}
		require.ErrorIs(t, err, enough, c.name)
		require.NotErrorIs(t, err, ErrCorrupt, c.name)
		require.Zero(t, s.Stats().Taken, c.name)
	}
}

// A whole read-ahead of a disk is megabytes, for which a sync of the log waits in its queue.
func TestReadAheadIsForWhatNothingElseWaitsFor(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "snap")
	var without []string
	open := func() *Snapshots {
		s := openSnapshots(t, dir, nil)
		s.readNoAhead = func(file *os.File) {
			without = append(without, filepath.Base(filepath.Dir(file.Name())))
			readNoAhead(file)
		}
		return s
	}
	s := open()
	sink, err := s.Create(1, 1, 1, testConfiguration, 1, nil)
	require.NoError(t, err)
	sink.(*snapshotSink).SetPace(func() error { return nil })
	require.NoError(t, sink.Close())
	require.Equal(t, []string{sink.ID() + snapshotTmpSuffix}, without, "a read back with a pace goes without")

	without = nil
	id := takeSnapshot(t, s, 2, 1, 1000)
	require.Empty(t, without, "one without a pace is read ahead")

	require.NoError(t, s.Close())
	s = open()
	m, err := s.usable(0, 2)
	require.NoError(t, err)
	require.Equal(t, id, m.ID)
	require.Equal(t, payload(2, 1, 1000), readSnapshot(t, s, id))
	require.Empty(t, without, "so are the check at a start and what is restored")
}

func TestAnOldSnapshotIsRemovedInPieces(t *testing.T) {
	t.Parallel()
	const size = 2*removePieceBytes + 1
	for _, c := range []struct {
		name string
		ends bool // the pace, in the removal
	}{
		{"each after a call of the pace", false},
		{"what a pace that ends it leaves is removed at the next open", true},
	} {
		dir := filepath.Join(t.TempDir(), "snap")
		s := openSnapshots(t, dir, nil)
		oldest := takeSnapshot(t, s, 1, 1, size)
		takeSnapshot(t, s, 2, 1, 10)
		sink, err := s.Create(1, 3, 1, testConfiguration, 3, nil)
		require.NoError(t, err)
		var sizes []int64
		sink.(*snapshotSink).SetPace(func() error {
			info, err := os.Stat(filepath.Join(dir, oldest+snapshotTmpSuffix, stateFile))
			if err != nil {
				return nil // it is still the read back
			}
			if sizes = append(sizes, info.Size()); c.ends && len(sizes) == 2 {
				return errors.New("the server closes")
			}
			return nil
		})
		require.NoError(t, sink.Close(), c.name)
		require.Equal(t, []int64{size, size - removePieceBytes}, sizes, c.name)
		metas, err := s.List()
		require.NoError(t, err)
		require.Len(t, metas, snapshotsKept, c.name)
		if c.ends {
			require.NoError(t, s.Close())
			require.EqualValues(t, 1, openSnapshots(t, dir, nil).Stats().Removed, c.name)
		}
		requireNoLeftovers(t, dir)
	}
}

func TestASnapshotThatIsReadStaysWholeForItsReader(t *testing.T) {
	t.Parallel()
	const size = 2 * removePieceBytes
	dir := filepath.Join(t.TempDir(), "snap")
	s := openSnapshots(t, dir, nil)
	_, r, err := s.Open(takeSnapshot(t, s, 1, 1, size))
	require.NoError(t, err)
	for index := uint64(2); index <= 3; index++ {
		takeSnapshot(t, s, index, 1, 10)
	}
	requireNoLeftovers(t, dir)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, payload(1, 1, size), b)
	require.NoError(t, r.Close())
	require.Empty(t, s.readers)
	_, _, err = s.Open("1-1-1")
	require.ErrorIs(t, err, ErrNoSnapshot)
	require.Empty(t, s.readers)
}

// After a power cut a directory may have the name it had before a rename that was not synced.
func TestNoSnapshotIsEmptiedBeforeItsNewNameIsDurable(t *testing.T) {
	t.Parallel()
	const size = 2*removePieceBytes + 1
	for _, c := range []struct {
		name string
		read bool
	}{
		{"that nobody reads", false},
		{"that is being read", true},
	} {
		dir := filepath.Join(t.TempDir(), "snap")
		s := openSnapshots(t, dir, nil)
		oldest := takeSnapshot(t, s, 1, 1, size)
		takeSnapshot(t, s, 2, 1, 10)
		if c.read {
			_, r, err := s.Open(oldest)
			require.NoError(t, err, c.name)
			defer r.Close()
		}
		broken := errors.New("the disk is ill")
		s.syncDir = func(dir string) error {
			if _, err := os.Stat(filepath.Join(dir, oldest)); err != nil {
				return broken
			}
			return syncDir(dir)
		}
		sink, err := s.Create(1, 3, 1, testConfiguration, 3, nil)
		require.NoError(t, err, c.name)
		require.ErrorIs(t, sink.Close(), broken, c.name)
		require.ErrorIs(t, s.removeLeftovers(), broken, c.name)
		left, err := os.ReadFile(filepath.Join(dir, oldest+snapshotTmpSuffix, stateFile))
		require.NoError(t, err, c.name)
		require.Equal(t, payload(1, 1, size), left, c.name)

		s.syncDir = syncDir
		takeSnapshot(t, s, 4, 1, 10)
		requireNoLeftovers(t, dir)
		metas, err := s.List()
		require.NoError(t, err)
		require.Len(t, metas, snapshotsKept, c.name)
	}
}

func TestTheReaderItselfFindsDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	s := openSnapshots(t, dir, nil)
	id := takeSnapshot(t, s, 5, 1, 100<<10) // proven good by this process
	patch(t, filepath.Join(dir, id, stateFile), 50<<10, func(b []byte) { b[0] ^= 1 }, 1)
	_, r, err := s.Open(id)
	require.NoError(t, err)
	defer r.Close()
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, filepath.Join(dir, id, stateFile))
	require.NoError(t, s.Close())
	s = openSnapshots(t, dir, nil)
	_, _, err = s.Open(id)
	require.ErrorIs(t, err, ErrCorrupt)
}

func TestSnapshotsAreLockedAndTheirModesRestricted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	s := openSnapshots(t, dir, nil)
	_, err := OpenSnapshots(SnapshotOptions{Dir: dir})
	require.ErrorIs(t, err, ErrLocked)
	id := takeSnapshot(t, s, 5, 1, 10)
	for _, name := range []string{stateFile, metaFile} {
		info, err := os.Stat(filepath.Join(dir, id, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	require.NoError(t, s.Close())
	_, err = s.Create(1, 6, 1, testConfiguration, 1, nil)
	require.ErrorIs(t, err, ErrClosed)
}

// The matrix over snapshots: older at 100, newest at 200. The log decides whether damage to the newest can be borne.
func TestCorruptionMatrixOfSnapshots(t *testing.T) {
	logs := []struct {
		name            string
		compacted, last uint64
		bridges         bool
	}{
		{"log bridges", 90, 250, true},
		{"log begins after the older snapshot", 150, 250, false},
		{"log ends before the newest", 90, 180, false},
		{"log is empty", 0, 0, false},
	}
	template := filepath.Join(t.TempDir(), "template")
	s := openSnapshots(t, template, nil)
	older, newest := takeSnapshot(t, s, 100, 1, 20<<10), takeSnapshot(t, s, 200, 1, 20<<10)
	require.NoError(t, s.Close())
	for _, l := range logs {
		for _, victim := range []string{"older", "newest"} {
			for _, file := range []string{stateFile, metaFile, "directory"} {
				for _, d := range damages {
					for _, p := range places {
						if (d.placeless && p.name != "head") || (file == "directory" && !d.placeless) {
							continue
						}
						t.Run(fmt.Sprintf("%s/%s/%s/%s/%s", l.name, victim, file, d.name, p.name), func(t *testing.T) {
							dir := freshCopy(t, template)
							id := map[string]string{"older": older, "newest": newest}[victim]
							if file == "directory" {
								require.NoError(t, os.RemoveAll(filepath.Join(dir, id)))
							} else {
								path := filepath.Join(dir, id, file)
								d.do(t, path, usedBytes(t, path), p.where)
							}
							for _, ahead := range []bool{false, true} {
								requireUsable(t, freshCopy(t, dir), victim, id, l.compacted, l.last, l.bridges, ahead)
							}
						})
					}
				}
			}
		}
	}
}

func readAll(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func requireUsable(t *testing.T, dir, victim, id string, compacted, last uint64, bridges, ahead bool) {
	t.Helper()
	s := openSnapshots(t, dir, nil)
	if ahead {
		require.NotEqual(t, id, s.LoadAhead(readAll), "a damaged one is not loaded")
	}
	m, err := s.usable(compacted, last)
	switch {
	case victim == "older":
		require.NoError(t, err)
		require.EqualValues(t, 200, m.Index)
	case bridges:
		require.NoError(t, err)
		require.EqualValues(t, 100, m.Index)
		metas, err := s.List()
		require.NoError(t, err)
		require.Len(t, metas, 1, "raft would see the damaged one")
		require.NoError(t, s.Close())
		s = openSnapshots(t, dir, nil)
		m, err = s.usable(compacted, last) // decided for good
		require.NoError(t, err)
		require.EqualValues(t, 100, m.Index)
	default:
		require.True(t, errors.Is(err, ErrCorrupt) && errors.Is(err, ErrSnapshotGap), "%v", err)
		require.ErrorContains(t, err, filepath.Join(dir, id))
		require.ErrorContains(t, err, "repair:")
		_, again := s.usable(compacted, last)
		require.Error(t, again)
		return
	}
	require.Equal(t, payload(m.Index, 1, 20<<10), readSnapshot(t, s, m.ID))
}

func TestWhatWasLoadedAheadIsReadOnceForOneAnswer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	s := openSnapshots(t, dir, nil)
	require.Empty(t, s.LoadAhead(readAll), "of nothing")
	id := takeSnapshot(t, s, 10, 1, 10)
	state := filepath.Join(dir, id, stateFile)
	for _, c := range []struct {
		name  string
		ahead func()
		read  bool
	}{
		{"not loaded", func() {}, true},
		{"given up", func() { require.Empty(t, s.LoadAhead(func(io.Reader) error { return context.Canceled })) }, true},
		{"not of the inner format", func() {
			require.Empty(t, s.LoadAhead(func(io.Reader) error { return io.ErrUnexpectedEOF }))
		}, true},
		{"loaded", func() { require.Equal(t, id, s.LoadAhead(readAll)) }, false},
		{"loaded, and not read to its end", func() { require.Equal(t, id, s.LoadAhead(func(io.Reader) error { return nil })) }, false},
		{"loaded once", func() {}, true},
	} {
		c.ahead()
		require.NoError(t, os.Rename(state, state+"away"))
		m, err := s.usable(0, 5) // a log that does not bridge
		if c.read {
			require.ErrorIs(t, err, ErrCorrupt, c.name)
		} else {
			require.NoError(t, err, c.name)
			require.Equal(t, id, m.ID, c.name)
			_, _, err := s.Open(id)
			require.ErrorIs(t, err, ErrCorrupt, "whoever loads it reads it")
		}
		require.NoError(t, os.Rename(state+"away", state))
	}
}

func TestWhatWasLoadedAheadIsNoOther(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	s := openSnapshots(t, dir, nil)
	takeSnapshot(t, s, 10, 1, 10)
	s.LoadAhead(readAll)
	id := takeSnapshot(t, s, 20, 1, 10)
	require.NoError(t, os.Truncate(filepath.Join(dir, id, stateFile), 3))
	_, err := s.usable(0, 5)
	require.ErrorIs(t, err, ErrCorrupt)
}

func TestNoSnapshotIsNeededOnlyForAWholeLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	s := openSnapshots(t, dir, nil)
	m, err := s.usable(0, 50)
	require.NoError(t, err)
	require.Nil(t, m)
	_, err = s.usable(10, 50)
	require.ErrorIs(t, err, ErrSnapshotGap)
	takeSnapshot(t, s, 9, 1, 10)
	_, err = s.usable(10, 50)
	require.ErrorIs(t, err, ErrSnapshotGap)
	takeSnapshot(t, s, 10, 1, 10)
	_, err = s.usable(10, 50)
	require.NoError(t, err)
}

func TestANewerSnapshotFormatIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	s := openSnapshots(t, dir, nil)
	id := takeSnapshot(t, s, 10, 1, 10)
	path := filepath.Join(dir, id, metaFile)
	require.NoError(t, os.WriteFile(path, []byte("lycaon-snapshot 2 00000000\nwho knows\n"), 0o600))
	_, err := s.usable(0, 50)
	require.ErrorIs(t, err, ErrNewerFormat)
	require.ErrorContains(t, err, path)
	_, err = os.Stat(path)
	require.NoError(t, err)
}

// A log that was emptied behind an installed snapshot goes on right after that
// one: an older snapshot does not reach it, whatever the store compacted.
func TestAnOlderSnapshotMustReachTheFirstEntry(t *testing.T) {
	dir := t.TempDir()
	store := openStore(t, filepath.Join(dir, "s"))
	snaps := openSnapshots(t, filepath.Join(dir, "snap"), nil)
	require.NoError(t, store.StoreLogs(testLogs(1, 120, 1, 10)))
	older := takeSnapshot(t, snaps, 100, 1, 10)
	require.NoError(t, store.DeleteRange(1, 120))
	installed := takeSnapshot(t, snaps, 5000, 1, 10)
	require.NoError(t, store.StoreLogs(testLogs(5001, 5005, 1, 10)))
	m, err := snaps.Usable(store)
	require.NoError(t, err)
	require.Equal(t, installed, m.ID)

	require.NoError(t, os.Truncate(filepath.Join(dir, "snap", installed, stateFile), 3))
	_, err = snaps.Usable(store)
	require.ErrorIs(t, err, ErrSnapshotGap)
	for _, id := range []string{older, installed} {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "snap", id)))
	}
	require.NoError(t, os.Remove(filepath.Join(dir, "snap", newestFile)))
	_, err = snaps.Usable(store)
	require.ErrorIs(t, err, ErrSnapshotGap, "with no word of any snapshot, too")
}
