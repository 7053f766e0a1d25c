package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheNewestSnapshotIsReadWhole(t *testing.T) {
	dir := t.TempDir()
	n, err := readNewest(dir)
	require.NoError(t, err)
	require.Zero(t, n, "there is none")
	write := func(id string, size int, at time.Time) {
		name := filepath.Join(dir, id, "state")
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, make([]byte, size), 0o600))
		require.NoError(t, os.Chtimes(name, at, at))
	}
	write("2-200-1", 3*wholeReads+7, time.Unix(2, 0))
	write("2-90-1", 5, time.Unix(1, 0))
	write("2-300-1.tmp", 9, time.Unix(3, 0))
	n, err = readNewest(dir)
	require.NoError(t, err)
	require.EqualValues(t, 3*wholeReads+7, n)
}

func TestWhatAProcessHadTheDiskRead(t *testing.T) {
	require.EqualValues(t, 4096, readBytes("rchar: 9\nsyscr: 1\nread_bytes: 4096\nwrite_bytes: 5\n"))
	require.Zero(t, readBytes(""))
}

func TestAColdStartStandsBesideReadingTheDisk(t *testing.T) {
	told := func(cells ...cell) string {
		var b strings.Builder
		summarizeCells(cells).tellScale(&b, &scaleTables[len(scaleTables)-1])
		return b.String()
	}
	warm := cell{Servers: 1, Scene: restartScene(million), Entrant: alone, Run: 1, Figures: figures{seconds: 2}}
	require.Contains(t, told(warm), "| 1,000,000 |  |  |  |  |  |  |  |  |  |  |  | 2 |  |  |  |  |  |  |\n")
	require.NotContains(t, told(warm), "cold page cache:", "it was not permitted")
	cold := cell{Servers: 1, Scene: coldScene(million), Entrant: alone, Run: 1, Figures: figures{seconds: 3, startMiBs: 100, fileS: 1.5, fileMiBs: 80}}
	require.Contains(t, told(warm, cold), " | 2 | 3 | 100 | 1.5 | 80 |  |  |\n")
	require.Contains(t, told(warm, cold), "- A start with 1,000,000 nodes and a cold page cache: 3 s, in which it has the disk read 100 MiB/s. To read its snapshot and do nothing else takes 1.5 s, 80 MiB/s: the start takes 2.0 x as long, so most of it is loading, not the disk.\n")
	slow := func(took float64) cell {
		return cell{Servers: 1, Scene: slowScene(million), Entrant: alone, Run: 1, Figures: figures{seconds: took, diskS: 4}}
	}
	require.Contains(t, told(warm, cold, slow(4.8)), " | 80 | 4.8 | 4 |\n")
	require.Contains(t, told(warm, slow(4.8)), "- The same from a disk of 125 MiB/s: 4.8 s, where such a disk takes 4 s for all that is read: 1.20 x as long, so it is bounded by reading the disk.\n")
	require.Contains(t, told(warm, slow(6)), "1.50 x as long, so loading adds to it.\n")
}

func TestTheControlGroupOfAProcess(t *testing.T) {
	const first = "12:blkio:/jobs/7\n3:cpu,cpuacct:/\n0::/user.slice\n"
	require.Equal(t, "/jobs/7", groupIn(first, "blkio"))
	require.Equal(t, "/user.slice", groupIn(first, ""))
	require.Equal(t, "/", groupIn("3:cpu:/a\n", "blkio"))
}

func TestASlowDiskIsSlow(t *testing.T) {
	dir := t.TempDir()
	if !canForget() || !canSlow(dir) {
		t.Skip("takes root, and control groups")
	}
	g, err := slowReads(dir)
	require.NoError(t, err)
	ours := contents("/proc/self/cgroup")
	require.NoError(t, g.enter())
	require.NotEqual(t, ours, contents("/proc/self/cgroup"))
	require.NoError(t, g.leave())
	require.Equal(t, ours, contents("/proc/self/cgroup"))
	require.NoError(t, g.end())
	require.NoDirExists(t, g.dir)
}
