package raftlog

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/dgraph-io/ristretto/v2/z"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

func TestVerifyReportsAStoreWithoutChangingIt(t *testing.T) {
	_, now, last := matrixStore(t)
	before := listing(t, now)
	r, err := Verify(now)
	require.NoError(t, err)
	require.Empty(t, r.Problems)
	require.EqualValues(t, 1, r.FirstIndex)
	require.Equal(t, last, r.LastIndex)
	require.EqualValues(t, 2, r.LastTerm)
	require.EqualValues(t, 2, r.Term)
	require.Equal(t, "n2", r.Vote)
	require.Equal(t, last, r.GuardLastIndex)
	require.Equal(t, r.Sequence, r.GuardSequence)
	require.Positive(t, r.LogBytes)
	require.Equal(t, before, listing(t, now))
	left, err := filepath.Glob(filepath.Join(filepath.Dir(now), "raftlog-inspect-*"))
	require.NoError(t, err)
	require.Empty(t, left)

	var seen []uint64
	require.NoError(t, Dump(now, 10, 12, func(l *raft.Log) error {
		require.Equal(t, payload(l.Index, l.Term, len(l.Data)), l.Data)
		seen = append(seen, l.Index)
		return nil
	}))
	require.Equal(t, []uint64{10, 11, 12}, seen)
	stop := errors.New("enough")
	require.Equal(t, stop, Dump(now, 0, math.MaxUint64, func(*raft.Log) error { return stop }))
	requireVerdict(t, now, start, last)
}

func TestVerifyTellsWhatAStartWouldRefuse(t *testing.T) {
	_, now, _ := matrixStore(t)
	replaceNewestWAL(t, now)
	r, err := Verify(now)
	require.NoError(t, err)
	require.NotEmpty(t, r.Problems)
	require.ErrorIs(t, errors.Join(r.Problems...), ErrBehindGuard)
	require.Positive(t, r.LastIndex, "what is left can be seen")

	require.NoError(t, os.Remove(filepath.Join(now, guardFile)))
	r, err = Verify(now)
	require.NoError(t, err)
	require.ErrorIs(t, errors.Join(r.Problems...), ErrBehindGuard)
	_, err = Verify(filepath.Join(now, "nothing"))
	require.Error(t, err)
	_, err = Verify(t.TempDir())
	require.Error(t, err)
}

func TestVerifySnapshotsTellsThemApart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	s := openSnapshots(t, dir, nil)
	takeSnapshot(t, s, 10, 1, 1000)
	bad := takeSnapshot(t, s, 20, 1, 1000)
	require.NoError(t, s.Close())
	patch(t, filepath.Join(dir, bad, stateFile), 7, func(b []byte) { b[0]++ }, 1)
	reports, err := VerifySnapshots(dir)
	require.NoError(t, err)
	require.Len(t, reports, 2)
	require.ErrorIs(t, reports[0].Problem, ErrCorrupt)
	require.NoError(t, reports[1].Problem)
	require.EqualValues(t, 1000, reports[1].Bytes)
}

func TestWriteAheadMappingsAreFound(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the advice is given on Linux only")
	}
	dir := t.TempDir()
	mapped, err := z.OpenMmapFile(filepath.Join(dir, "00002.mem"), os.O_CREATE|os.O_RDWR, 1<<20)
	require.ErrorIs(t, err, z.NewFile)
	defer mapped.Delete()
	require.Equal(t, 1, adviseRandom(dir))
	require.Zero(t, adviseRandom(filepath.Join(dir, "elsewhere")))
	linked := filepath.Join(t.TempDir(), "linked")
	require.NoError(t, os.Symlink(dir, linked))
	require.Equal(t, 1, adviseRandom(linked), "of a directory behind a symbolic link")
}

func TestBadgerIsGivenMemoryForItsMappings(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("it keeps them elsewhere")
	}
	dir := t.TempDir()
	openStore(t, dir)
	require.Zero(t, adviseRandom(generationPath(dir, 1)), "mappings of the write-ahead file and the value log")
}
