package raftlog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// mappedKiB sums what the kernel counts, under any of the names, of the write-ahead
// files mapped from dir.
func mappedKiB(t *testing.T, dir string, names ...string) (sum, mappings int) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	ours := false
	for line := range strings.Lines(string(smaps)) {
		if _, _, path, ok := parseMapping(strings.TrimSuffix(line, "\n")); ok || strings.Contains(line, "-") && strings.Contains(line, " 00:00 ") {
			if ours = ok && strings.HasPrefix(path, dir+"/") && strings.HasSuffix(path, ".mem"); ours {
				mappings++
			}
			continue
		}
		for _, name := range names {
			var kib int
			if n, _ := fmt.Sscanf(line, name+": %d kB", &kib); ours && n == 1 {
				sum += kib
			}
		}
	}
	return sum, mappings
}

// What kill -9 cannot show, since the kernel keeps what was written: a commit
// returns only when nothing of it waits for the disk any more.
func TestACommitLeavesNothingForTheKernelToWrite(t *testing.T) {
	dir := t.TempDir()
	var fs unix.Statfs_t
	require.NoError(t, unix.Statfs(dir, &fs))
	if fs.Type == unix.TMPFS_MAGIC {
		t.Skip("a file system in memory has no disk to wait for")
	}
	s := openStore(t, dir)
	for i := uint64(1); i <= 50; i++ {
		require.NoError(t, s.StoreLog(testLog(i, 1, 5000)))
		dirty, mappings := mappedKiB(t, generationPath(dir, 1), "Shared_Dirty", "Private_Dirty")
		require.Positive(t, mappings)
		require.Zero(t, dirty, "KiB of entry %d", i)
	}
}

// A page that gets its block only when it is synced makes the sync twice as dear.
func TestASmallTransactionFindsItsBlocks(t *testing.T) {
	s := openStore(t, t.TempDir())
	var fs unix.Statfs_t
	require.NoError(t, unix.Statfs(s.dir, &fs))
	if fs.Type != unix.EXT4_SUPER_MAGIC && fs.Type != unix.TMPFS_MAGIC && fs.Type != unix.XFS_SUPER_MAGIC {
		t.Skip("a file system that may have no blocks for zeros")
	}
	blocks := func() int64 {
		var of unix.Stat_t
		require.NoError(t, unix.Fstat(int(writeAheadFile(memTableOf(s.newest().db)).Fd.Fd()), &of))
		return of.Blocks
	}
	require.NoError(t, s.StoreLog(testLog(1, 1, 100)))
	before := blocks()
	for i := uint64(2); i <= 20; i++ {
		require.NoError(t, s.StoreLog(testLog(i, 1, 1000)))
	}
	require.Equal(t, before, blocks())
}

func TestAPieceThatTheDiskDoesNotTakeFailsTheSnapshot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	s := openSnapshots(t, dir, nil)
	sink, err := s.Create(1, 5, 1, testConfiguration, 1, nil)
	require.NoError(t, err)
	k := sink.(*snapshotSink)
	k.clean = -snapshotPieceBytes // no such place in a file
	_, err = sink.Write([]byte("state"))
	require.Error(t, err)
	require.ErrorIs(t, sink.Close(), err, "though the sync at the end succeeds")
	requireNoLeftovers(t, dir)
}

// Not parallel: nothing in the process can open a file meanwhile.
func TestALackOfFileDescriptorsPutsSettlingOff(t *testing.T) {
	s := openStore(t, t.TempDir())
	last := uint64(0)
	lacks := func() bool {
		s.making.Lock()
		defer s.making.Unlock()
		return s.spare == nil
	}
	for lacks() && last < 2*testMemTable/generationEntryBytes {
		last++
		require.NoError(t, s.StoreLog(testLog(last, 1, generationEntryBytes)))
		if s.wantsNext(s.newest()) {
			s.makeSpare()
		}
	}
	g := s.newest()
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	none := limit
	none.Cur = 1
	restore := func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }
	t.Cleanup(restore)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &none))
	last = fillGenerations(t, s, last+1, 1, len(s.generations())+1)
	require.False(t, s.settle(g))
	require.NoError(t, s.Err())
	require.False(t, g.settled.Load())
	require.NoError(t, s.GetLog(1, new(raft.Log)))
	restore()
	require.True(t, s.settle(g))
	require.True(t, g.settled.Load())
	requireEntries(t, s, 1, last, constant(1))
}

func TestWhatIsWrittenDoesNotStayInThePageTable(t *testing.T) {
	t.Parallel()
	s, err := Open(Options{Dir: t.TempDir(), memTableBytes: 4 * testMemTable})
	require.NoError(t, err)
	defer s.Close()
	g := s.newest()
	last := uint64(0)
	for written := int64(0); written < 6*maxMappedBytes; written += 100 << 10 {
		last++
		require.NoError(t, s.StoreLog(testLog(last, 1, 100<<10)))
		resident, mappings := mappedKiB(t, g.path, "Rss")
		require.Positive(t, mappings)
		require.LessOrEqual(t, resident, 2*maxMappedBytes>>10, "KiB after entry %d", last)
	}
	require.Same(t, g, s.newest())
	crashed, err := Open(Options{Dir: killedCopy(t, s), memTableBytes: 4 * testMemTable})
	require.NoError(t, err)
	defer crashed.Close()
	for i := uint64(1); i <= last; i++ {
		var got raft.Log
		require.NoError(t, crashed.GetLog(i, &got))
		requireSame(t, testLog(i, 1, 100<<10), &got)
	}
}
