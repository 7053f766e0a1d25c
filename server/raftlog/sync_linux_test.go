package raftlog

import (
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"github.com/dgraph-io/ristretto/v2/z"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// cachedPages is how many pages of a file the page cache has, and how many of them the disk has not taken yet.
func cachedPages(t *testing.T, path string) (all, waiting uint64) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	var cached unix.Cachestat_t
	if err := unix.Cachestat(uint(file.Fd()), new(unix.CachestatRange), &cached, 0); err == unix.ENOSYS {
		t.Skip("before Linux 6.5 nothing tells")
	}
	require.NoError(t, err)
	return cached.Cache, cached.Dirty + cached.Writeback
}

func fsType(t *testing.T, path string) int64 {
	t.Helper()
	var of unix.Statfs_t
	require.NoError(t, unix.Statfs(path, &of))
	return of.Type
}

// writeThrough has the newest generation write through the page cache from now on.
func writeThrough(s *Store) {
	ahead := &s.newest().ahead
	ahead.direct = setDirect(ahead.file.Fd, false)
}

// residentBytes counts the pages of a mapping of memory that are there.
func residentBytes(t *testing.T, memory []byte) (sum int) {
	t.Helper()
	page := os.Getpagesize()
	pages := make([]byte, (len(memory)+page-1)/page)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&memory[0])), uintptr(len(memory)), uintptr(unsafe.Pointer(&pages[0])))
	require.Zero(t, errno)
	for _, p := range pages {
		sum += int(p&1) * page
	}
	return sum
}

// onlyWriteAhead is the write-ahead file of a generation that has one.
func onlyWriteAhead(t *testing.T, g *generation) string {
	t.Helper()
	paths, err := filesWith(g.path, ".mem")
	require.NoError(t, err)
	require.Len(t, paths, 1)
	return paths[0]
}

// What kill -9 cannot show, since the kernel keeps what was written: a commit
// returns only when nothing of it waits for the disk any more.
func TestACommitLeavesNothingForTheKernelToWrite(t *testing.T) {
	dir := t.TempDir()
	if fsType(t, dir) == unix.TMPFS_MAGIC {
		t.Skip("a file system in memory has no disk to wait for")
	}
	s := openStore(t, dir)
	writeThrough(s)
	for i := uint64(1); i <= 50; i++ {
		require.NoError(t, s.StoreLog(testLog(i, 1, 5000)))
		cached, waiting := cachedPages(t, onlyWriteAhead(t, s.newest()))
		require.Positive(t, cached)
		require.Zero(t, waiting, "pages of entry %d", i)
	}
}

func TestTheLogIsWrittenPastThePageCache(t *testing.T) {
	s := openStore(t, t.TempDir())
	if fs := fsType(t, s.dir); fs != unix.EXT4_SUPER_MAGIC && fs != unix.XFS_SUPER_MAGIC {
		t.Skip("a file system that may know no other way")
	}
	last := fillGenerations(t, s, 1, 1, 2)
	require.Eventually(t, s.generations()[0].settled.Load, 20*time.Second, time.Millisecond)
	require.NoError(t, s.StoreLogs(testLogs(last+1, last+9, 1, 5000)))
	for _, g := range s.generations() {
		cached, _ := cachedPages(t, onlyWriteAhead(t, g))
		require.LessOrEqual(t, cached, uint64(1), "its header was made by Badger; an index is not read from it")
	}
}

// Some file systems take the flag, and then refuse each write.
func TestWhatCannotBeWrittenPastThePageCacheGoesThroughIt(t *testing.T) {
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "ahead"), os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	defer file.Close()
	if !setDirect(file, true) {
		t.Skip("this file system says so itself")
	}
	data := make([]byte, 3*pageBytes)
	at := 1 + int(-uintptr(unsafe.Pointer(&data[0]))%pageBytes) // no address for a disk
	data = data[at:][:2*pageBytes]
	w := writeAhead{file: &z.MmapFile{Data: data, Fd: file}, direct: true}
	for end := 100; end < len(data); end += 700 {
		for i := int(w.written); i < end; i++ {
			data[i] = byte(end)
		}
		require.NoError(t, w.write(int64(end)))
		w.written = int64(end)
		written, err := os.ReadFile(file.Name())
		require.NoError(t, err)
		require.Equal(t, data[:end], written[:end])
		if fs := fsType(t, file.Name()); fs == unix.EXT4_SUPER_MAGIC || fs == unix.XFS_SUPER_MAGIC {
			require.False(t, w.direct)
		}
	}
}

func TestZerosThatDoNotFitAreNotWorthAWrite(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("lycaon-raftlog", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("SKIPPED FAULT: full disk, since none can be mounted: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	file, err := os.OpenFile(filepath.Join(dir, "ahead"), os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	defer file.Close()
	data, err := unix.Mmap(-1, 0, 2*layDirectBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	defer unix.Munmap(data)
	if !setDirect(file, true) {
		t.Skip("this kernel's file systems in memory have a page cache alone")
	}
	w := writeAhead{file: &z.MmapFile{Data: data, Fd: file}, direct: true}
	copy(data, "what counts")
	require.NoError(t, w.write(11))
	w.written = 11
	require.Equal(t, int64(pageBytes), w.laid)
	require.True(t, FullDisk(w.write(128<<10)))
}

// A page that gets its block only when it is synced makes the sync twice as dear.
func TestASmallTransactionFindsItsBlocks(t *testing.T) {
	s := openStore(t, t.TempDir())
	if fs := fsType(t, s.dir); fs != unix.EXT4_SUPER_MAGIC && fs != unix.TMPFS_MAGIC && fs != unix.XFS_SUPER_MAGIC {
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
		return s.spare.Load() == nil
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

func TestWhatIsWrittenDoesNotStayInMemory(t *testing.T) {
	const hugePage = 2 << 20 // there at once, from its first byte on
	t.Parallel()
	s, err := Open(Options{Dir: t.TempDir(), memTableBytes: 4 * testMemTable})
	require.NoError(t, err)
	defer s.Close()
	g := s.newest()
	require.NotNil(t, g.ahead.file)
	last := uint64(0)
	for written := int64(0); written < 6*keptAheadBytes; written += 100 << 10 {
		last++
		require.NoError(t, s.StoreLog(testLog(last, 1, 100<<10)))
		require.LessOrEqual(t, residentBytes(t, g.ahead.file.Data), 2*keptAheadBytes+hugePage, "after entry %d", last)
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

func TestAFileThatTakesNoMorePoisons(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	require.NoError(t, s.StoreLogs(testLogs(1, 10, 1, 100)))
	g := s.newest()
	readable, err := os.Open(onlyWriteAhead(t, g))
	require.NoError(t, err)
	defer g.ahead.file.Fd.Close()
	g.ahead.file.Fd = readable
	err = s.StoreLog(testLog(11, 1, 100))
	require.ErrorIs(t, err, unix.EBADF)
	require.Equal(t, err, s.Err())
	require.Equal(t, err, s.StoreLog(testLog(11, 1, 100)))
	requireRange(t, openStore(t, killedCopy(t, s)), 1, 10)
}

// What Badger begins anew it writes and syncs itself, since a generation takes what does not fit into the memtable that it
// was opened with.
func TestAWriteAheadFileThatBadgerBeginsIsLeftToIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	g := s.newest()
	begun := g.ahead.file
	require.NotNil(t, begun)
	last := uint64(1)
	require.NoError(t, s.StoreLog(testLog(last, 1, 3*testMemTable))) // a record that takes several transactions
	require.Same(t, g, s.newest())
	require.NotSame(t, begun, writeAheadFile(memTableOf(g.db)))
	require.NoError(t, s.SetUint64([]byte(keyCurrentTerm), 7))
	crashed := openStore(t, killedCopy(t, s))
	requireRange(t, crashed, 1, last)
	term, err := crashed.GetUint64([]byte(keyCurrentTerm))
	require.NoError(t, err)
	require.EqualValues(t, 7, term)
}

func TestAFullDiskIsAnErrorAndNoFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("lycaon-raftlog", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("SKIPPED FAULT: full disk, since none can be mounted: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	out, err := crashCommand(dir, "full", 0).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "no space left")
	require.Contains(t, string(out), "damage: false full: true")
	require.Contains(t, string(out), "closed true")
	require.NoError(t, os.Remove(filepath.Join(dir, "filler")))
	s := openStore(t, filepath.Join(dir, "s"))
	last, err := s.LastIndex()
	require.NoError(t, err)
	require.GreaterOrEqual(t, last, lastNumber(string(out)))
	requireRange(t, s, 1, last)
}
