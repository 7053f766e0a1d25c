package main

import (
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/require"
)

func TestCPUBelongsToTheInnermostFunctionThatBelongsAnywhere(t *testing.T) {
	const lycaon = "github.com/lycaon-io/lycaon/"
	for want, stacks := range map[string][][]string{
		tree:      {{"runtime.memmove", lycaon + "znode.(*Tree).Set", lycaon + "server/state.(*Machine).Apply", lycaon + "server/pipeline.(*Core).Apply"}},
		ordering:  {{lycaon + "server/pipeline.(*Lane).take", lycaon + "server/front/native.(*conn).Request"}},
		framing:   {{"bufio.(*Reader).Read", lycaon + "protocol.ReadFrame"}},
		replica:   {{"sort.Sort", lycaon + "server/raftlog.(*Log).Append", "github.com/hashicorp/raft.(*Raft).run"}},
		watches:   {{lycaon + "server/watch.(*Table).Fire"}},
		badger:    {{"runtime.memmove", "github.com/dgraph-io/badger/v4.(*logFile).writeEntry", lycaon + "server/raftlog.(*Log).Append"}},
		raft:      {{"github.com/hashicorp/raft.(*Raft).processLogs"}},
		collector: {{"runtime.scanobject", "runtime.gcDrain"}, {"runtime.scanblock", "runtime.gcAssistAlloc", "runtime.mallocgc", lycaon + "znode.New"}},
		allocator: {{"runtime.memclrNoHeapPointers", "runtime.mallocgc", "runtime.growslice", lycaon + "protocol.AppendReply"}},
		scheduler: {{"internal/runtime/syscall/linux.Syscall6", "internal/runtime/syscall/linux.EpollWait", "runtime.netpoll"}, {"runtime.futex", "runtime.futexsleep"}},
		netRead: {{"internal/runtime/syscall/linux.Syscall6", "syscall.RawSyscall6", "syscall.read", "internal/poll.(*FD).Read", "net.(*netFD).Read", "bufio.(*Reader).fill"},
			{"internal/runtime/syscall/linux.Syscall6", "syscall.RawSyscall6", lycaon + "server/internal/rawnet.call", lycaon + "server/internal/rawnet.(*conn).recv", "internal/poll.(*FD).RawRead"}},
		netWrite: {{"internal/runtime/syscall/linux.Syscall6", "syscall.write", "internal/poll.(*FD).Write", "net.(*netFD).Write"},
			{"internal/runtime/syscall/linux.Syscall6", lycaon + "server/internal/rawnet.call", lycaon + "server/internal/rawnet.(*conn).send"}},
		disk: {{"internal/runtime/syscall/linux.Syscall6", "syscall.Syscall", "golang.org/x/sys/unix.Msync", "github.com/dgraph-io/ristretto/v2/z.Msync"},
			{"internal/runtime/syscall/linux.Syscall6", "syscall.write", "internal/poll.(*FD).Write", "os.(*File).Write", "github.com/dgraph-io/badger/v4.flush"}},
		otherCall: {{"internal/runtime/syscall/linux.Syscall6", "golang.org/x/sys/unix.Munmap", "github.com/dgraph-io/ristretto/v2/z.Munmap"}},
		remainder: {{"runtime.memmove", "main.main"}, {}},
	} {
		for _, stack := range stacks {
			require.Equal(t, want, groupOf(stack), "%v", stack)
		}
		require.Contains(t, groupOrder, want)
	}
}

// taken is a sample of a profile, the innermost function first.
func taken(ns int64, names ...string) *profile.Sample {
	s := &profile.Sample{Value: []int64{1, ns}}
	for _, name := range names {
		s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: name}}}})
	}
	return s
}

func TestAProfileIsDividedIntoParts(t *testing.T) {
	w := divide(&profile.Profile{Sample: []*profile.Sample{taken(30, "runtime.futex"), taken(10, "runtime.memmove", "github.com/dgraph-io/badger/v4.a"), taken(60, "github.com/dgraph-io/badger/v4.b")}})
	require.InDelta(t, 0.7, w.groups[badger], 1e-9)
	require.InDelta(t, 0.3, w.groups[scheduler], 1e-9)
	require.Equal(t, []function{{"github.com/dgraph-io/badger/v4.b", 0.6}, {"runtime.futex", 0.3}, {"runtime.memmove", 0.1}}, w.top)
	require.Empty(t, divide(&profile.Profile{}).top)
}

func TestAProfileIsToldInTables(t *testing.T) {
	p := profiling{all: []profiled{
		{servers: 1, scene: "writes", rate: 2000, elapsed: 1e9, cpu: 1e9, grown: map[string]float64{"lycaon_store_syncs_total": 4, pageFaults: 500},
			where: where{groups: map[string]float64{badger: 0.25}, top: []function{{"f", 0.125}}},
			again: again{calls: map[string]float64{allCalls: 100, "sendto": 90, "close": 1}, allocated: []function{{"maker", 0.5}}, holders: waits{20, []function{{"holder", 0.25}}}}},
		{servers: 3, scene: "reads", err: errNoAnswer},
	}}
	page, details := p.markdown("Here."), p.details("Here.")
	for _, part := range []string{"| % of the CPU | one server, writes |\n", "| Badger | 25.0 |\n", "| durable writes per 1,000 operations | 2 |\n", "| operations/s, all servers | 2,000 |\n",
		"| page faults per 1,000 operations | 250 |\n", "reads failed: no answer within 30s"} {
		require.Contains(t, page, part)
	}
	for _, part := range []string{"Here.\n\n## System calls\n\n| per 1,000 operations | one server, writes |\n|---|---|\n| all | 100 |\n| `sendto` | 90 |\n\n## Who allocates", "- 12.5 % `f`\n",
		"- 50.0 % `maker`\n", "one server, writes: waited for locks 20 s a second.\n\n- 25.0 % `holder`\n"} {
		require.Contains(t, details, part)
		require.NotContains(t, page, part)
	}
	require.NotContains(t, details, "\n\n\n")
}

func TestAWaitBelongsToWhoAskedForTheLock(t *testing.T) {
	w := waitsOf(&profile.Profile{Sample: []*profile.Sample{
		taken(2e9, "sync.(*Mutex).Unlock", "server.release", "main.main"), taken(1e9, "runtime.selectgo", "server.wait"), taken(3e9, "runtime.unlock"),
		taken(9e9, "runtime.selectgo", "net/http/pprof.handler.serveDeltaProfile", "net/http.HandlerFunc.ServeHTTP")}}, 3*time.Second)
	require.InDelta(t, 2, w.sum, 1e-9)
	require.Equal(t, []function{{"runtime.unlock", 0.5}, {"server.release", 2.0 / 6}, {"server.wait", 1.0 / 6}}, w.by)
	require.Empty(t, waitsOf(&profile.Profile{}, time.Second).by)
}

func TestWhatTakesTheProfileAllocatesForNobody(t *testing.T) {
	sum, by := owners(&profile.Profile{Sample: []*profile.Sample{
		taken(1, "compress/flate.NewWriter", "compress/gzip.(*Writer).Write", "runtime/pprof.(*profileBuilder).flush", "runtime/pprof.writeHeap"),
		taken(1, "bytes.growSlice", "internal/profile.init.func5", "net/http/pprof.handler.serveDeltaProfile"),
		taken(3, "runtime.growslice", "protocol.appendBin"), taken(5, "sync.(*Mutex).Unlock", "server.(*Store).Keep.deferwrap1", "server.(*Store).Keep"), taken(2, "sync.(*Mutex).Unlock", "server.(*Store).Keep")}}, 1)
	require.InDelta(t, 10, sum, 1e-9)
	require.Equal(t, []function{{"server.(*Store).Keep", 0.7}, {"protocol.appendBin", 0.3}}, by)
}

func TestSystemCallsAreReadAsPerfTellsThem(t *testing.T) {
	require.Equal(t, map[string]float64{allCalls: 20873, "sendto": 120, "read": 0},
		readCalls("# started\n20873,,raw_syscalls:sys_enter,3000,100.00,,\n120,,syscalls:sys_enter_sendto,3000,100.00,,\n0,,syscalls:sys_enter_read,1,100.00,,\n<not counted>,,syscalls:sys_enter_msync,0,100.00,,\n"))
	require.Nil(t, readCalls("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n"))
}

func TestAnySceneWithLoadMayBeProfiled(t *testing.T) {
	chosen, err := actsNamed(mainScenes)
	require.NoError(t, err)
	require.Len(t, chosen, 3)
	_, err = actsNamed(startScene)
	require.ErrorContains(t, err, "no scene")
	all, err := actsNamed("all")
	require.NoError(t, err)
	require.Len(t, all, len(acts())-1)
}

func TestAProfileLastsWholeSeconds(t *testing.T) {
	for want, length := range map[time.Duration]time.Duration{time.Second: time.Millisecond, 5 * time.Second: 4500 * time.Millisecond, 3 * time.Second: 3 * time.Second} {
		require.Equal(t, want, wholeSeconds(length))
	}
	require.ErrorContains(t, playProfile(t.Context(), []string{"-length", "0s"}), "-length 0s: want more than 0")
}
