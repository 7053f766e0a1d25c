package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Chores are what a server does that is no scene with a load of its own: it gets many
// nodes, writes them into a snapshot, reads them again, and loses its leader.

const (
	bulkLook     = time.Second // a million nodes take little longer
	snapshotLook = 3 * time.Second
	startLook    = time.Second
	lossLook     = 2 * time.Second
	lossAfter    = lossLook / 4
	lossWriters  = 8 // at each server that stays

	snapshotSoon = 20 * time.Second // behind more log than it wants
	startEvery   = time.Millisecond
)

const (
	snapshotChore = "a snapshot of 1,000,000 nodes, under 4,000 writes/s"
	startChore    = "the first second of a start, 1,000,000 nodes"
	lossChore     = "the leader killed, under writes of 16 clients"
)

// chores are looked at when all scenes have been. One that fails does not end the rest,
// unless the rest stands on it.
func (p *profiling) chores(ctx context.Context, v *venue, e entrant) error {
	defer v.slayAfter(ctx, actWithin)()
	if len(v.members) > 1 {
		p.note(len(v.members), lossChore, v.loseLeader(ctx))
		return nil
	}
	created := v.createLooked(ctx, e)
	p.note(1, batchScene(million), created)
	if created[0].err != nil {
		return nil
	}
	p.note(1, snapshotChore, v.snapshotLooked(ctx, e))
	p.note(1, startChore, v.startLooked(ctx))
	return nil
}

func failedLook(err error) []profiled { return []profiled{{err: err}} }

func (v *venue) createLooked(ctx context.Context, e entrant) []profiled {
	if err := v.quiet(ctx); err != nil {
		return failedLook(err)
	}
	all := make([]profiled, 1)
	f, err := v.beside(v.members, func(_ int, m *member) error {
		all[0] = lookAt(ctx, m, bulkLook)
		return all[0].err
	}, func() (figures, error) { return v.makeMany(ctx, e, million, batchOf) })
	all[0].rate, all[0].err = f[rate], err
	return all
}

// snapshotLooked has a server write so much that it wants a snapshot, and looks at it
// while it takes that.
func (v *venue) snapshotLooked(ctx context.Context, e entrant) []profiled {
	w := workload{conns: usualConns, depth: inFlight / usualConns, writes: 100}
	if err := v.quiet(ctx); err != nil {
		return failedLook(err)
	}
	if _, err := closedLoop(w).play(v, e, time.Second); err != nil {
		return failedLook(err)
	}
	active, _ := v.snapshots()
	for late := time.Now().Add(snapshotSoon); !active(); time.Sleep(lookForFiles) {
		if ctx.Err() != nil || time.Now().After(late) {
			return failedLook(errors.New("no snapshot was taken"))
		}
	}
	load, end, err := v.steady(e)
	defer end()
	if err != nil {
		return failedLook(err)
	}
	one := lookAt(ctx, v.members[0], snapshotLook)
	if !active() {
		one.err = errors.Join(one.err, errors.New("the snapshot was over before"))
	}
	one.rate, one.err = snapshotRate, errors.Join(one.err, load.stop())
	return []profiled{one}
}

// startLooked kills the server with -9 and looks at how it begins, as soon as it
// answers; what it has done until then is within its CPU time, not within the profile.
func (v *venue) startLooked(ctx context.Context) []profiled {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	v.slay()
	m := v.members[0]
	if err := m.start(); err != nil {
		return failedLook(err)
	}
	for !listens(m.web) {
		if err := pause(ctx, startEvery); err != nil {
			return failedLook(err)
		}
	}
	one := lookAt(ctx, m, startLook)
	_, err := v.healthy(ctx)
	one.err = errors.Join(one.err, err)
	return []profiled{one}
}

// loseLeader kills the leader while clients of the others write, and looks at those.
// The one that leads then comes first.
func (v *venue) loseLeader(ctx context.Context) []profiled {
	if err := v.quiet(ctx); err != nil {
		return failedLook(err)
	}
	var stay []*member
	for i, m := range v.members {
		if i != v.leader {
			stay = append(stay, m)
		}
	}
	writes, stop, err := v.keepWriting(ctx, stay)
	defer stop()
	if err != nil {
		return failedLook(err)
	}
	all := make([]profiled, len(stay))
	before := writes.Load()
	time.AfterFunc(lossAfter, v.members[v.leader].process.kill)
	err = eachOf(len(stay), func(i int) error {
		all[i] = lookAt(ctx, stay[i], lossLook)
		return all[i].err
	})
	done := writes.Load() - before
	for i := range all {
		all[i].rate, all[i].err = float64(done)/all[i].elapsed.Seconds(), err
	}
	leads, err := v.leads(ctx, stay[1])
	if err != nil {
		return failedLook(err)
	}
	if leads {
		all[0], all[1] = all[1], all[0]
	}
	return all
}

// keepWriting has clients of each of these servers write one after the other, until stop,
// and counts what was answered well.
func (v *venue) keepWriting(ctx context.Context, at []*member) (writes *atomic.Int64, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	writes, stop = new(atomic.Int64), func() {
		cancel()
		wg.Wait()
	}
	for i := range lossWriters * len(at) {
		s, err := v.open(ctx, []string{at[i%len(at)].addr})
		if err != nil {
			return writes, stop, fmt.Errorf("a client: %w", err)
		}
		wg.Go(func() {
			defer s.close()
			for ctx.Err() == nil {
				if s.write(ctx) == nil {
					writes.Add(1)
				}
			}
		})
	}
	return writes, stop, nil
}

// everyFile is the page of all scenes, a line each.
const everyFile = "profile-all.md"

// shortGroups are the names of the groups, in their order, where there is little room.
var shortGroups = []string{"network in", "network out", "disk", "other calls", "collection", "allocation", "scheduler", "Badger", "raft",
	"protocol", "pipeline", "replication", "tree", "watches", "other"}

// column is a figure of each scene.
type column struct {
	name string
	of   func(one *profiled) string
}

// everything is a line a scene for each kind of server.
func (p *profiling) everything(measuredOn string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Where the CPU goes, of every workload\n\nMade by `make bench-profile`, with [the main ones in detail](profile.md). %s\n\n"+
		"The scenes are those of [the comparison](../PERFORMANCE.md#how-it-was-measured); profiles of %v of the main ones, %v of the others, %v of idle sessions. The groups are those of\n"+
		"[where the CPU goes](../PERFORMANCE.md#where-the-cpu-goes), in per cent; *samples*, of 10 ms of CPU each, say how far they can be trusted: of 100 samples a tenth is 10 %% give or take 3.\n"+
		"Counted is for 1,000 operations of all servers. With watchers an operation is one piece of news, with sessions one session. *Idle* and a start have none: there it is for a second, and its line says so.\n"+
		"System calls, who allocates and who waits are of a second look under the same load, which what is done once does without (`-`): a million nodes, a snapshot, a start, a leader killed.\n"+
		"No profile is taken of 100,000 nodes created, of a leader paused, nor, on three servers, of a million nodes, a snapshot and a start.\n\n",
		measuredOn, p.length, min(p.length, briefly), idleTimes*p.length)
	p.tellFailed(&b)
	for _, kind := range []string{"one server", "leader of 3", "follower of 3"} {
		var all []profiled
		for _, one := range p.good() {
			if one.servedBy() == kind {
				all = append(all, one)
			}
		}
		if len(all) == 0 {
			continue
		}
		fmt.Fprintf(&b, "## %s%s\n\n", strings.ToUpper(kind[:1]), kind[1:])
		for _, t := range []struct {
			what    string
			columns []column
		}{{"% of the CPU", groupColumns()}, {"for 1,000 operations", countedColumns}, {"who most", ownerColumns}} {
			tellColumns(&b, t.what, t.columns, all)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func tellColumns(b *strings.Builder, what string, columns []column, all []profiled) {
	fmt.Fprintf(b, "| %s |", what)
	for _, c := range columns {
		fmt.Fprintf(b, " %s |", c.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for i := range all {
		name := all[i].scene
		if all[i].rate == 0 && what == "for 1,000 operations" {
			name += " (a second)"
		}
		fmt.Fprintf(b, "| %s |", name)
		for _, c := range columns {
			fmt.Fprintf(b, " %s |", c.of(&all[i]))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}

func groupColumns() []column {
	var all []column
	for i, group := range groupOrder {
		all = append(all, column{shortGroups[i], func(one *profiled) string { return fmt.Sprintf("%.1f", one.where.groups[group]*100) }})
	}
	return append(all, column{"samples", func(one *profiled) string { return thousands(one.where.samples) }})
}

// of1000 tells a counter.
func of1000(name, counter string) column {
	return column{name, func(one *profiled) string { return number(quotient(one.grown[counter], one.operations()) * 1000) }}
}

var countedColumns = []column{
	{"operations/s", func(one *profiled) string {
		if one.rate == 0 {
			return "-"
		}
		return number(one.rate)
	}},
	{"% of a core", func(one *profiled) string { return number(quotient(one.cpu.Seconds(), one.elapsed.Seconds()) * 100) }},
	{"CPU s", func(one *profiled) string { return number(one.cpuPerK()) }},
	{"system calls", func(one *profiled) string {
		if one.again.calls == nil {
			return "-"
		}
		return number(one.again.calls[allCalls])
	}},
	of1000("threads that went to sleep", sleeps),
	of1000("durable writes", syncsTotal),
	of1000("calls that write to clients", "lycaon_socket_writes_total"),
	of1000("objects allocated", "go_memstats_mallocs_total"),
	{"KiB allocated", func(one *profiled) string {
		return number(quotient(one.grown["go_memstats_alloc_bytes_total"], one.operations()) * 1000 / 1024)
	}},
	of1000("page faults", pageFaults),
}

// mostTold are so many of who does something.
const mostTold = 2

var ownerColumns = []column{
	{"copies memory, % of the CPU", func(one *profiled) string {
		return fmt.Sprintf("%.1f", one.where.copied*100) + mostly(one.where.copiers)
	}},
	{"allocates", func(one *profiled) string { return strings.TrimPrefix(mostly(one.again.allocated), ": ") }},
	{"held locks that were waited for, s a second", func(one *profiled) string { return one.again.holders.brief() }},
	{"waited, s a second", func(one *profiled) string { return one.again.waiters.brief() }},
}

func (w *waits) brief() string {
	if len(w.by) == 0 {
		return "-"
	}
	return number(w.sum) + mostly(w.by)
}

// mostly names the first of who does something, without the folders of its package.
func mostly(by []function) string {
	var told []string
	for _, f := range by[:min(len(by), mostTold)] {
		name, _, _ := strings.Cut(f.name, "[") // of which types it is made
		told = append(told, fmt.Sprintf("%.0f %% `%s`", f.part*100, name[strings.LastIndexByte(name, '/')+1:]))
	}
	if len(told) == 0 {
		return ""
	}
	return ": " + strings.Join(told, ", ")
}
