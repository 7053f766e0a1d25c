package main

import (
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// The groups that the CPU of a server is told in.
const (
	netRead   = "system calls: reading from the network"
	netWrite  = "system calls: writing to the network"
	disk      = "system calls: writing and syncing the disk"
	otherCall = "system calls: other"
	collector = "Go: garbage collection"
	allocator = "Go: allocation"
	scheduler = "Go: scheduler, channels, locks, waiting for the network"
	badger    = "Badger"
	raft      = "hashicorp/raft"
	framing   = "Lycaon: protocol and connections"
	ordering  = "Lycaon: pipeline"
	replica   = "Lycaon: replication and log"
	tree      = "Lycaon: tree and sessions"
	watches   = "Lycaon: watches"
	remainder = "other"
)

// groupOrder is the one of the table.
var groupOrder = []string{netRead, netWrite, disk, otherCall, collector, allocator, scheduler, badger, raft,
	framing, ordering, replica, tree, watches, remainder}

// sockets is the package that reads and writes them with system calls of its own.
const sockets = "github.com/lycaon-io/lycaon/server/internal/rawnet"

// kinds say by the beginning of a function's name what group it belongs to. What
// belongs to none (copying, sorting, formatting) counts for its caller. The first
// that fits decides.
var kinds = []struct {
	group    string
	prefixes []string
}{
	{collector, []string{"runtime.gc", "runtime.(*gc", "runtime.bgsweep", "runtime.bgscavenge", "runtime.scan", "runtime.tryDeferToSpanScan", "runtime.grey", "runtime.sweep",
		"runtime.(*sweep", "runtime.(*mspan).sweep", "runtime.(*scav", "runtime.wbBuf", "runtime.bulkBarrier", "runtime.mark", "runtime.findObject", "runtime.spanOf",
		"runtime.(*page).scav", "runtime.madvise", "runtime.sysUnused", "runtime.(*lfstack)", "runtime.(*spanInlineMarkBits)", "runtime.(*spanQueue)", "runtime.(*spanSPMC)",
		"internal/runtime/gc"}},
	{allocator, []string{"runtime.mallocgc", "runtime.newobject", "runtime.makeslice", "runtime.growslice", "runtime.rawbyteslice", "runtime.rawstring", "runtime.(*mcache)",
		"runtime.(*mcentral)", "runtime.(*mheap)", "runtime.nextFree", "runtime.sysUsed", "runtime.memclrNoHeapPointersChunked"}},
	{scheduler, []string{"runtime.futex", "runtime.schedule", "runtime.findRunnable", "runtime.park_m", "runtime.mcall", "runtime.gopark", "runtime.goready", "runtime.ready",
		"runtime.wakep", "runtime.startm", "runtime.stopm", "runtime.netpoll", "runtime.chan", "runtime.select", "runtime.send", "runtime.recv", "runtime.lock", "runtime.unlock",
		"runtime.sem", "runtime.note", "runtime.usleep", "runtime.procyield", "runtime.osyield", "runtime.runq", "runtime.steal", "runtime.execute", "runtime.gosched",
		"runtime.goschedImpl", "runtime.exitsyscall", "runtime.entersyscall", "runtime.reentersyscall", "runtime.resetspinning", "runtime.injectglist", "runtime.casgstatus",
		"runtime.(*timer", "runtime.mPark", "runtime.sysmon", "runtime.retake", "runtime.newproc", "runtime.mstart", "runtime.sync_runtime", "runtime.releaseSudog",
		"runtime.acquireSudog", "runtime.gfget", "runtime.gfput", "runtime.goexit0", "runtime.gdestroy", "runtime.handoffp", "runtime.acquirep", "runtime.pidle", "runtime.mget", "runtime.dropg",
		"sync.(*Mutex)", "sync.(*RWMutex)", "sync.(*Cond)", "sync.(*WaitGroup)", "internal/sync.(*Mutex)", "internal/poll.runtime_poll", "runtime.(*guintptr)", "runtime.tgkill", "runtime.preempt"}},
	{badger, []string{"github.com/dgraph-io/"}},
	{raft, []string{"github.com/hashicorp/"}},
	{framing, []string{"github.com/lycaon-io/lycaon/protocol", "github.com/lycaon-io/lycaon/server/front", sockets}},
	{ordering, []string{"github.com/lycaon-io/lycaon/server/pipeline"}},
	{replica, []string{"github.com/lycaon-io/lycaon/server/replicate", "github.com/lycaon-io/lycaon/server/raftlog", "github.com/lycaon-io/lycaon/server/peer"}},
	{tree, []string{"github.com/lycaon-io/lycaon/server/state", "github.com/lycaon-io/lycaon/znode", "github.com/lycaon-io/lycaon/session"}},
	{watches, []string{"github.com/lycaon-io/lycaon/server/watch"}},
}

// groupOf is where a moment belongs that was spent in the first of these
// functions, called by the second and so on: to the innermost that belongs
// anywhere.
func groupOf(functions []string) string {
	if len(functions) > 0 && systemCall(functions[0]) {
		return callGroup(functions)
	}
	for _, name := range functions {
		for _, k := range kinds {
			if hasPrefix(name, k.prefixes) {
				return k.group
			}
		}
	}
	return remainder
}

func systemCall(function string) bool {
	return hasPrefix(function, []string{"syscall.", "internal/runtime/syscall", "internal/syscall/unix.", "golang.org/x/sys/unix."})
}

// callGroup tells system calls apart by who makes them.
func callGroup(functions []string) string {
	for _, name := range functions {
		lower := strings.ToLower(name)
		switch {
		case strings.Contains(lower, "epoll"), strings.HasPrefix(name, "runtime.netpoll"):
			return scheduler
		case strings.Contains(lower, "sync") && systemCall(name), strings.Contains(lower, "pwrite"), strings.HasPrefix(name, "os.(*File)"):
			return disk
		case hasPrefix(name, []string{"net.(*netFD).Read", "net.(*conn).Read", sockets + ".(*conn).recv", sockets + ".(*conn).Read"}):
			return netRead
		case hasPrefix(name, []string{"net.(*netFD).Write", "net.(*netFD).write", "net.(*conn).Write", "net.(*conn).write", "net.(*Buffers)", sockets + ".(*conn).send", sockets + ".(*conn).Write"}):
			return netWrite
		}
	}
	return otherCall
}

func hasPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// function is one with the part of the CPU that was spent in itself.
type function struct {
	name string
	part float64
}

// where is how the CPU of a profile is divided.
type where struct {
	groups  map[string]float64 // parts of 1
	top     []function
	copied  float64    // part of 1 that went into copying memory
	copiers []function // parts of it, by who had it copied
	samples int
}

const topFunctions = 12

func divide(p *profile.Profile) where {
	w := where{groups: map[string]float64{}}
	flat, copiers := map[string]float64{}, map[string]float64{}
	var sum float64
	for _, s := range p.Sample {
		v := float64(s.Value[len(s.Value)-1]) // the last one is the time
		names := functionsOf(s)
		sum += v
		w.groups[groupOf(names)] += v
		w.samples += int(s.Value[0])
		if len(names) > 0 {
			flat[names[0]] += v
		}
		if len(names) > 0 && names[0] == copying {
			w.copied += v
			copiers[copier(names)] += v
		}
	}
	if sum == 0 {
		return w
	}
	for name := range w.groups {
		w.groups[name] /= sum
	}
	w.top, w.copiers = partsOf(flat, sum, topFunctions), partsOf(copiers, w.copied, topOwner)
	w.copied /= sum
	return w
}

// copying is what all copies of memory end in, but those of the kernel.
const copying = "runtime.memmove"

// copier is the innermost function that is none of Go's own: append, a buffer and a
// slice that grows copy for who calls them.
func copier(functions []string) string {
	for _, name := range functions {
		if host, _, ok := strings.Cut(name, "/"); ok && strings.Contains(host, ".") {
			return name
		}
	}
	return owner(functions)
}

// functionsOf are those of a sample, the innermost first, with what was inlined.
func functionsOf(s *profile.Sample) []string {
	var names []string
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				names = append(names, line.Function.Name)
			}
		}
	}
	return names
}
