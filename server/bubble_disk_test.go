package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/raftlog"
)

var (
	errDisk    = errors.New("the disk in memory fails")
	errRevoked = errors.New("the process that opened this disk is dead")
)

// memDisk is what outlives a server in a bubble: its log, term, vote and
// snapshots. Each opening is a handle of its own, and revoking makes the former
// one fail, as the death of a process does.
type memDisk struct {
	mu        sync.Mutex // guards what follows; never held over a wait
	changed   *sync.Cond
	opened    int // the newest handle
	latency   time.Duration
	stalled   bool
	fail      func() bool // asked at each write of entries
	logs      map[uint64]raft.Log
	low, high uint64
	numbers   map[string]uint64
	values    map[string][]byte
	snapshots []*memSnapshot // newest first
	writes    int            // durable ones
}

type memSnapshot struct {
	meta raft.SnapshotMeta
	body []byte
}

func newMemDisk() *memDisk {
	d := &memDisk{latency: 500 * time.Microsecond, logs: map[uint64]raft.Log{}, numbers: map[string]uint64{}, values: map[string][]byte{}}
	d.changed = sync.NewCond(&d.mu)
	return d
}

// open is hooks.openLog.
func (d *memDisk) open() (logStore, snapshotStore, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened++
	h := handle{d, d.opened}
	return memLog{h}, memSnapshots{h}, nil
}

// revoke ends the present handle.
func (d *memDisk) revoke() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened++
	d.changed.Broadcast()
}

// stall makes writes wait until it is called with false.
func (d *memDisk) stall(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stalled = on
	d.changed.Broadcast()
}

// failing has writes of entries fail whenever f says so; nil: never.
func (d *memDisk) failing(f func() bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = f
}

// reach is the first and the last entry of the log and the last one in a
// snapshot.
func (d *memDisk) reach() (low, high, snapshot uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.snapshots {
		snapshot = max(snapshot, s.meta.Index)
	}
	return d.low, d.high, snapshot
}

// forge appends entries of the last term that nobody else has, behind the back
// of the server.
func (d *memDisk) forge(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	term := d.logs[d.high].Term
	for range n {
		d.high++
		d.logs[d.high] = raft.Log{Index: d.high, Term: term, Type: raft.LogNoop}
	}
}

// handle is a disk as one process sees it.
type handle struct {
	*memDisk
	generation int
}

// durable runs f as a write that has reached the disk when it returns.
func (h handle) durable(f func() error) error {
	time.Sleep(h.latency)
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.stalled && h.generation == h.opened {
		h.changed.Wait()
	}
	if h.generation != h.opened {
		return errRevoked
	}
	h.writes++
	return f()
}

func (h handle) read(f func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.generation != h.opened {
		return errRevoked
	}
	return f()
}

type memLog struct{ handle }

func (memLog) IsMonotonic() bool    { return true }
func (memLog) Stats() raftlog.Stats { return raftlog.Stats{} }
func (memLog) FirstVersion() bool   { return false }
func (memLog) Modernize() error     { return nil }
func (memLog) Close() error         { return nil }

func (l memLog) FirstIndex() (i uint64, err error) {
	err = l.read(func() error { i = l.low; return nil })
	return i, err
}

func (l memLog) LastIndex() (i uint64, err error) {
	err = l.read(func() error { i = l.high; return nil })
	return i, err
}

func (l memLog) GetLog(index uint64, into *raft.Log) error {
	return l.read(func() error {
		entry, ok := l.logs[index]
		if !ok {
			return raft.ErrLogNotFound
		}
		*into = entry
		return nil
	})
}

func (l memLog) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

func (l memLog) StoreLogs(entries []*raft.Log) error {
	return l.durable(func() error {
		if l.fail != nil && l.fail() {
			return errDisk
		}
		for _, e := range entries {
			if l.high != 0 && e.Index != l.high+1 {
				panic(fmt.Sprintf("entry %d behind %d", e.Index, l.high))
			}
			if l.high == 0 {
				l.low = e.Index
			}
			l.high = e.Index
			l.logs[e.Index] = *e
		}
		return nil
	})
}

func (l memLog) DeleteRange(low, high uint64) error {
	return l.durable(func() error {
		for i := low; i <= high; i++ {
			delete(l.logs, i)
		}
		if low <= l.low {
			l.low = high + 1
		}
		if high >= l.high {
			l.high = low - 1
		}
		if l.low > l.high {
			l.low, l.high = 0, 0
		}
		return nil
	})
}

func (l memLog) Set(key, value []byte) error {
	return l.durable(func() error { l.values[string(key)] = bytes.Clone(value); return nil })
}

// raft takes an error of this text for an empty store.
var errNoValue = errors.New("not found")

func (l memLog) Get(key []byte) (v []byte, err error) {
	err = l.read(func() error {
		if v = l.values[string(key)]; v == nil {
			return errNoValue
		}
		return nil
	})
	return v, err
}

func (l memLog) SetUint64(key []byte, value uint64) error {
	return l.durable(func() error { l.numbers[string(key)] = value; return nil })
}

func (l memLog) GetUint64(key []byte) (v uint64, err error) {
	err = l.read(func() error {
		var ok bool
		if v, ok = l.numbers[string(key)]; !ok {
			return errNoValue
		}
		return nil
	})
	return v, err
}

type memSnapshots struct{ handle }

func (memSnapshots) Stats() raftlog.SnapshotStats { return raftlog.SnapshotStats{} }
func (memSnapshots) Close() error                 { return nil }

// keptSnapshots as on a disk.
const keptSnapshots = 2

func (s memSnapshots) Create(version raft.SnapshotVersion, index, term uint64, conf raft.Configuration, confIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	meta := raft.SnapshotMeta{
		Version: version, ID: fmt.Sprintf("%d-%d-%d", term, index, time.Now().UnixNano()),
		Index: index, Term: term, Configuration: conf, ConfigurationIndex: confIndex,
	}
	sink := &memSink{snapshots: s, meta: meta}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.snapshots) > 0 {
		sink.body.Grow(len(s.snapshots[0].body) + 64<<10) // growing by doubling costs more than all the rest
	}
	return sink, nil
}

func (s memSnapshots) List() (all []*raft.SnapshotMeta, err error) {
	err = s.read(func() error {
		for _, one := range s.snapshots {
			meta := one.meta
			all = append(all, &meta)
		}
		return nil
	})
	return all, err
}

func (s memSnapshots) Open(id string) (meta *raft.SnapshotMeta, r io.ReadCloser, err error) {
	err = s.read(func() error {
		for _, one := range s.snapshots {
			if one.meta.ID == id {
				found := one.meta
				meta, r = &found, io.NopCloser(bytes.NewReader(one.body))
				return nil
			}
		}
		return errNoValue
	})
	return meta, r, err
}

// memSink shows a snapshot when it is whole.
type memSink struct {
	snapshots memSnapshots
	meta      raft.SnapshotMeta
	body      bytes.Buffer
	done      bool
}

func (s *memSink) ID() string                  { return s.meta.ID }
func (s *memSink) Write(b []byte) (int, error) { return s.body.Write(b) }
func (s *memSink) Cancel() error               { s.done = true; return nil }

func (s *memSink) Close() error {
	if s.done {
		return nil
	}
	s.done = true
	return s.snapshots.durable(func() error {
		d := s.snapshots.memDisk
		s.meta.Size = int64(s.body.Len())
		d.snapshots = append([]*memSnapshot{{s.meta, s.body.Bytes()}}, d.snapshots...)
		d.snapshots = d.snapshots[:min(len(d.snapshots), keptSnapshots)]
		return nil
	})
}
