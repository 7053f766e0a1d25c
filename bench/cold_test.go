package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
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

func TestAProgramIsToldFromItsData(t *testing.T) {
	program, data := t.TempDir(), t.TempDir()
	for _, dir := range []string{program, data} {
		open, err := os.Create(filepath.Join(dir, "file"))
		require.NoError(t, err)
		defer open.Close()
	}
	v := here(3)
	v.dir = data
	files := v.programs()
	ours, err := os.Executable()
	require.NoError(t, err)
	require.Contains(t, files, ours, "mapped")
	require.Contains(t, files, filepath.Join(program, "file"), "open, as Java's archives are")
	require.NotContains(t, files, filepath.Join(data, "file"))
	for _, name := range files {
		require.False(t, strings.HasPrefix(name, "/dev/") || strings.HasPrefix(name, "/proc/"), name)
	}
	require.NoError(t, remember(append(files, filepath.Join(program, "gone"))))
}

// slowly answers the third write alone.
type slowly struct {
	loop
	tries *int
}

func (s slowly) open(context.Context, []string) (session, error) {
	*s.tries++
	return obliging{*s.tries == 3}, nil
}

type obliging struct{ at bool }

func (a obliging) write(context.Context) error {
	if a.at {
		return nil
	}
	return errors.New("nobody leads")
}

func (obliging) survives(context.Context) (bool, bool, error) { return true, true, nil }
func (obliging) close()                                       {}

func TestARestartTellsItsCPUAndTheTriesInVain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dir, tries := t.TempDir(), 0
	v := &venue{ensemble: &ensemble{system: slowly{tries: &tries}, dir: dir}}
	for range 2 {
		m := &member{addr: l.Addr().String(), log: filepath.Join(dir, "log"), args: []string{"sleep", "60"}}
		require.NoError(t, m.start())
		v.members = append(v.members, m)
	}
	defer v.slay()
	before := v.pids()
	f, err := v.restart(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, before, v.pids())
	require.Equal(t, 2.0, f[refusals])
	require.Positive(t, f[seconds])
	require.Contains(t, f, cpuS)
	if !canForget() {
		t.Skip("takes root to drop the page cache")
	}
	tries = 0
	f, err = v.restartFromDisk(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2.0, f[refusals])
	require.Contains(t, f, startMiBs)
}

func TestServersRestBeforeTheyAreKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := here(1)
		begin := time.Now()
		require.NoError(t, v.rest(t.Context()))
		require.GreaterOrEqual(t, time.Since(begin), quietEvery)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, v.rest(ctx), context.Canceled, "the run has been ended")
		v.members[0].process.cmd.Process.Pid = 1 << 22 // there is none
		require.ErrorContains(t, v.rest(t.Context()), "CPU time of process")
	})
}

func TestAStartFromTheDiskComesBehindTheWarmOne(t *testing.T) {
	for _, c := range []struct {
		of, entrant string
		forgets     bool
		want        []string
	}{
		{"as root", "etcd", true, []string{restartScene(hundredThousand), diskScene(hundredThousand)}},
		{"others", "etcd", false, []string{restartScene(hundredThousand)}},
		{"the floor", floorName, true, nil},
	} {
		scenes := (&comparison{forgets: c.forgets}).bulkScenes(entrant{name: c.entrant}, hundredThousand)
		require.Equal(t, append([]string{createScene(hundredThousand)}, c.want...), scenes, c.of)
	}
}

func TestAStartFromTheDiskIsComparedLikeTheWarmOne(t *testing.T) {
	made := func(entrant string, warm, cold, cpu float64) []cell {
		return []cell{
			{Servers: 1, Scene: restartScene(million), Entrant: entrant, Run: 1, Figures: figures{seconds: warm}}, // as older results have it
			{Servers: 1, Scene: diskScene(million), Entrant: entrant, Run: 1, Figures: figures{seconds: cold, cpuS: cpu, startMiBs: 100}},
		}
	}
	s := summarizeCells(append(made(native, 1, 4, 2), made("zookeeper", 2, 3, 5)...))
	tables := s.tablesMarkdown()
	require.Contains(t, tables, "| "+restartScene(million)+", s | 2 |  | 1 | 2.0 x |")
	require.Contains(t, tables, "| "+diskScene(million)+", s | 3 |  | 4 | **0.75 x** |")
	require.Contains(t, tables, "| "+diskScene(million)+", CPU s | 5 |  | 2 | 2.5 x |")
	require.NotContains(t, tables, restartScene(million)+", CPU s")
	require.Less(t, strings.Index(tables, restartScene(million)), strings.Index(tables, diskScene(million)))
	short := (&results{}).short(s)
	require.Contains(t, short, "a peer, of 3 figures")
	require.Contains(t, short, "in one.\n"+notCounted+"- 1 server, "+diskScene(million)+", s: lycaon 4; zookeeper 3 (0.75 x)\n")
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
	cold := cell{Servers: 1, Scene: coldScene(million), Entrant: alone, Run: 1, Figures: figures{seconds: 3, startMiBs: 32, fileS: 1.5, fileMiBs: 80}}
	require.Contains(t, told(warm, cold), " | 2 | 3 | 32 | 1.5 | 80 |  |  |\n")
	require.Contains(t, told(warm, cold), "- A start with 1,000,000 nodes and a cold page cache: 3 s, in which it has the disk read 32 MiB/s, its log too. To read its snapshot and do nothing else takes 1.5 s, 80 MiB/s; all that it reads would take 1.2 s: most of it is loading, not the disk.\n")
	slow := func(took float64) cell {
		return cell{Servers: 1, Scene: slowScene(million), Entrant: alone, Run: 1, Figures: figures{seconds: took, diskS: 4}}
	}
	require.Contains(t, told(warm, cold, slow(4.8)), " | 80 | 4.8 | 4 |\n")
	require.Contains(t, told(warm, slow(4.8)), "- A start with 1,000,000 nodes from a disk of 125 MiB/s: 4.8 s, where such a disk takes 4 s for all that is read: 1.20 x as long, so it is bounded by reading the disk.\n")
	require.Contains(t, told(warm, slow(6)), "1.50 x as long, so loading adds to it ")
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
