package replicate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/state"
)

var _ raft.BatchingFSM = (*fsm)(nil)

// errHalted answers raft once the machine has met an entry that it does not
// know: it must neither go on nor be snapshotted.
var errHalted = errors.New("replicate: the machine has stopped")

// fsm hands raft's entries to the machine. Apply, ApplyBatch, Snapshot and
// Restore come from raft's one goroutine for them, Persist from another.
type fsm struct {
	machine     Machine
	fatal       func(error)
	snapshotDue chan struct{}      // a hint; never blocks
	newTerm     chan struct{}      // a hint: appliedTerm has risen
	persisted   func(index uint64) // after an image is durable, before raft cuts the log
	loading     func() func()      // before an image is read; what it returns afterwards
	restored    func()             // after an image of the snapshot store is in place
	condemned   func() error       // why the machine is not to be believed, nil if it is
	damaged     func(error)        // the machine is found wrong
	threshold   int64              // bytes of log between snapshots
	replayed    uint64             // the last entry of before this life of raft; no snapshot is due below
	halted      bool               // of raft's goroutine
	closing     atomic.Bool        // ends a Persist
	awaited     atomic.Int32       // how many wait for a snapshot, which is then not to rest
	committing  func(logID)        // before a batch is applied, with its last entry
	applied     func()             // after a batch or an image, in raft's goroutine
	committed   atomic.Pointer[configuration]
	newest      atomic.Pointer[logID] // the entry that the machine has applied last
	counts      fsmCounts
}

// configuration is the newest membership known to be committed, and the index
// of its entry.
type configuration struct {
	index uint64
	raft.Configuration
}

// begin makes the fsm that of another life of raft, whose log ends at last.
func (f *fsm) begin(last uint64) {
	f.halted = false
	f.replayed = last
	f.closing.Store(false)
	f.committed.Store(nil)
	f.newest.Store(nil)
	n := &f.counts
	n.index.Store(0)
	n.term.Store(0)
	n.sinceEntries.Store(0)
	n.sinceBytes.Store(0)
}

type fsmCounts struct {
	index, term       atomic.Uint64 // of the last entry applied
	entries, bytes    atomic.Uint64 // applied since the start
	sinceEntries      atomic.Int64  // since the last snapshot
	sinceBytes        atomic.Int64
	restores          atomic.Uint64
	snapshots, failed atomic.Uint64
	persistNanos      atomic.Int64 // of the last one
	persistBytes      atomic.Int64
	persisting        atomic.Bool
}

func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	answers := make([]any, len(logs))
	if last := logs[len(logs)-1]; !f.halted {
		f.committing(logID{last.Index, last.Term})
	}
	for _, l := range logs {
		if f.halted {
			return answers
		}
		switch l.Type {
		case raft.LogCommand:
			f.apply(l)
		case raft.LogConfiguration:
			f.committed.Store(&configuration{l.Index, raft.DecodeConfiguration(l.Data)})
		}
	}
	f.applied()
	return answers
}

func (f *fsm) apply(l *raft.Log) {
	if err := f.machine.Apply(l.Data); err != nil {
		f.halted = true
		f.fatal(fmt.Errorf("log entry %d of term %d: %w", l.Index, l.Term, err))
		return
	}
	n := &f.counts
	n.index.Store(l.Index)
	f.newest.Store(&logID{l.Index, l.Term})
	n.entries.Add(1)
	n.bytes.Add(uint64(len(l.Data)))
	n.sinceEntries.Add(1)
	if n.sinceBytes.Add(int64(len(l.Data)+entryOverheadBytes)) >= f.threshold && l.Index >= f.replayed {
		hint(f.snapshotDue)
	}
	if n.term.Swap(l.Term) < l.Term {
		hint(f.newTerm)
	}
}

// Snapshot is O(1): Persist runs beside Apply.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if f.halted {
		return nil, errHalted
	}
	if err := f.condemned(); err != nil {
		return nil, err
	}
	return &snapshot{
		fsm: f, image: f.machine.Freeze(), index: f.counts.index.Load(),
		entries: f.counts.sinceEntries.Load(), bytes: f.counts.sinceBytes.Load(),
	}, nil
}

// Restore puts the machine of an image in place. It fails as a whole: the
// machine stays as it was.
func (f *fsm) Restore(r io.ReadCloser) error {
	m, err := f.load(r)
	if err != nil {
		err = fmt.Errorf("read image: %w", err)
		f.fatal(err)
		return err
	}
	f.machine.Install(m)
	f.counts.restores.Add(1)
	f.restored()
	f.applied()
	return nil
}

// load reads an image, unless that has been done already.
func (f *fsm) load(image io.ReadCloser) (*state.Machine, error) {
	if m := loadedMachine(image); m != nil {
		return m, nil
	}
	defer f.loading()()
	m, _, err := state.ReadImage(bufio.NewReaderSize(image, imageBufferBytes))
	return m, err
}

type snapshot struct {
	fsm            *fsm
	image          *state.Image
	index          uint64
	entries, bytes int64 // of the log that the image makes superfluous
}

// Persist writes the image. The sink verifies it before it becomes visible.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	n := &s.fsm.counts
	started := time.Now()
	n.persisting.Store(true)
	defer n.persisting.Store(false)
	p := pacer{rest: s.rest, since: started}
	pace := func() error {
		if s.fsm.closing.Load() {
			return ErrClosed
		}
		return p.pace()
	}
	if k, ok := sink.(pacedSink); ok {
		k.SetPace(pace)
	}
	out := &pacedWriter{to: sink, pace: pace}
	err := state.WriteImage(out, s.image, pace)
	if errors.Is(err, state.ErrCorrupt) {
		s.fsm.damaged(err)
	}
	if err == nil {
		err = sink.Close()
	}
	if err != nil {
		n.failed.Add(1)
		return errors.Join(fmt.Errorf("write image: %w", err), sink.Cancel())
	}
	n.persistNanos.Store(int64(time.Since(started)))
	n.persistBytes.Store(out.bytes)
	n.sinceEntries.Add(-s.entries)
	n.sinceBytes.Add(-s.bytes)
	s.fsm.persisted(s.index)
	n.snapshots.Add(1)
	return nil
}

// Release has nothing to give back: an image is garbage once nobody holds it.
func (s *snapshot) Release() {}

// rest is how much of its full rest a snapshot takes: less the more log has
// grown behind it, none once that is twice what lies between two snapshots or
// somebody waits for it. So it ends, and the log stays bounded.
func (s *snapshot) rest() float64 {
	if s.fsm.awaited.Load() > 0 {
		return 0
	}
	grown := s.fsm.counts.sinceBytes.Load() - s.bytes
	return max(0, 1-float64(grown)/float64(2*s.fsm.threshold))
}

// pacedSink is one whose Close is much work, which calls pace again and again
// and fails with its error.
type pacedSink interface{ SetPace(pace func() error) }

// pacedWriter calls pace before each piece and counts bytes.
type pacedWriter struct {
	to    io.Writer
	pace  func() error
	bytes int64
}

func (p *pacedWriter) Write(b []byte) (int, error) {
	if err := p.pace(); err != nil {
		return 0, err
	}
	n, err := p.to.Write(b)
	p.bytes += int64(n)
	return n, err
}

// hint leaves a sign without waiting; one that is there already is enough.
func hint(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
