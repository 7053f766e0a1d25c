package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

const (
	dialling       = 128 // connections that are opened or closed at one time
	crowdTimeoutMs = 60_000
	spareFiles     = 200 // beside those of connections
)

// crowd is connections of this process, each with a session. There may be many:
// each is a goroutine that the kernel's queue wakes, and a small buffer.
type crowd []*conn

// gather opens n connections, spread over the servers.
func gather(addrs []string, n int) (crowd, error) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return nil, err
	}
	if files.Max < uint64(n+spareFiles) { // the runtime has raised it to what it may
		return nil, fmt.Errorf("%s connections want more than the %d files that a process may open here (ulimit -Hn)", thousands(n), files.Max)
	}
	buffer := smallBuffer
	if n <= 128 {
		buffer = wholeBuffer
	}
	c := make(crowd, n)
	err := fewOf(dialling, n, func(i int) error {
		nc, err := net.Dial("tcp", addrs[i%len(addrs)])
		if err == nil {
			c[i], err = greet(nc, buffer, crowdTimeoutMs)
		}
		return err
	})
	if err != nil {
		c.disperse()
		return nil, err
	}
	return c, nil
}

// disperse ends the sessions and the connections.
func (c crowd) disperse() {
	fewOf(dialling, len(c), func(i int) error {
		if c[i] != nil {
			c[i].SetDeadline(time.Now().Add(sessionLength))
			nativeActor{c[i]}.Close()
		}
		return nil
	})
}

// fewOf runs f for n clients, so many at once, and joins what goes wrong. The
// first failure ends it.
func fewOf(workers, n int, f func(i int) error) error {
	var next atomic.Int64
	var failed atomic.Bool
	return eachOf(min(workers, n), func(int) error {
		for !failed.Load() {
			i := int(next.Add(1)) - 1
			if i >= n {
				return nil
			}
			if err := f(i); err != nil {
				failed.Store(true)
				return err
			}
		}
		return nil
	})
}

// field is the nodes that a crowd reads and writes, at random.
type field struct {
	count int
	path  func(i int) string
	value []byte
}

var smallField = field{nodes, nodePath, make([]byte, valueBytes)}

func leaves(count int) field { return field{count, leaf, make([]byte, leafBytes)} }

// scattered asks for the nodes of a field, whichever it is told.
type scattered struct {
	*conn
	field
	rng  *rand.Rand
	body []byte
}

func (s *scattered) get(_ int, level protocol.Consistency) {
	s.request(&protocol.Request{Op: protocol.OpGet, Consistency: level,
		Read: protocol.Read{Op: protocol.OpGet, Path: s.path(s.rng.IntN(s.count))}})
}

func (s *scattered) set(int) {
	s.body = protocol.AppendSet(s.body[:0], s.path(s.rng.IntN(s.count)), s.value, znode.AnyVersion)
	s.request(&protocol.Request{Op: protocol.OpSet, Body: s.body})
}

// bear has each connection keep requests in flight for a length of time, as w has
// it, and tells what this program took itself, and for how many writes the leader
// synced its log once.
func (v *venue) bear(ctx context.Context, c crowd, w workload, f field, length time.Duration) (figures, error) {
	before, err := counters(ctx, v.members[v.leader])
	if err != nil {
		return nil, err
	}
	e, err := v.together(len(c), func(i int, start time.Time) (tally, error) {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		return drive(&scattered{conn: c[i], field: f, rng: rng}, w, rng, start.Add(length))
	})
	if err != nil {
		return nil, err
	}
	measured, err := v.figures(e.result(e.elapsed, e.cpu))
	if err != nil {
		return nil, err
	}
	after, err := counters(ctx, v.members[v.leader])
	measured[loadPerK] = e.own.Seconds() / float64(len(e.answered)) * 1000
	if syncs := after[syncsTotal] - before[syncsTotal]; syncs > 0 && w.writes == 100 {
		measured[perSync] = float64(len(e.answered)) / syncs
	}
	return measured, err
}

// ownCPU is what this process has used.
func ownCPU() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// watchEach sets n watches by the connections of a crowd, each on a path of its
// own that nobody writes.
func (c crowd) watchEach(n int) error {
	share := n / len(c)
	return eachOf(len(c), func(i int) error {
		for j := range share {
			path := fmt.Sprintf("/bench/quiet-%03d-%06d", i, j)
			c[i].request(&protocol.Request{Op: protocol.OpWatch, Watches: []protocol.Watch{{Path: path, Mode: protocol.WatchPersistent}}})
		}
		if err := c[i].flush(); err != nil {
			return err
		}
		for range share {
			if err := c[i].receive(); err != nil {
				return err
			}
		}
		return nil
	})
}
