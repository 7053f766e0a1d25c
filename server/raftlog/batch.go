package raftlog

import (
	"fmt"
	"math"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/raft"
)

const slabBytes = 1 << 20

// batch collects one transaction in memory that is used again by the next. Keys and values are slices of the slab;
// Badger has copied them by the time a commit returns.
type batch struct {
	slab    []byte
	entries []badger.Entry
	bytes   int
}

func (b *batch) reset() {
	b.slab = b.slab[:0]
	clear(b.entries)
	b.entries = b.entries[:0]
	b.bytes = 0
}

func (b *batch) fits(keys, bytes, limit int) bool {
	return b.bytes+bytes+keys*txnEntryOverheadBytes <= limit && len(b.entries)+keys <= limit/txnBytesPerEntry
}

// room returns the slab with n free bytes. Entries keep an outgrown one alive until reset.
func (b *batch) room(n int) []byte {
	if cap(b.slab)-len(b.slab) < n {
		b.slab = make([]byte, 0, max(n, slabBytes))
	}
	return b.slab
}

func (b *batch) add(key, value []byte) {
	b.entries = append(b.entries, badger.Entry{Key: key, Value: value})
	b.bytes += len(key) + len(value) + txnEntryOverheadBytes
}

// addRecord encodes l, advances next past it and splits it into chunks. The chunks after the first are returned
// apart when the record is too large for one transaction.
func (b *batch) addRecord(l *raft.Log, next *state, chunk int) {
	size := recordLen(l)
	chunks := (size + chunk - 1) / chunk
	slab := b.room(size + chunks*entryKeyLen)
	start := len(slab)
	slab = appendEntryKey(slab, l.Index, 0)
	key := slab[start:len(slab):len(slab)]
	body := len(slab)
	slab, sum := appendRecord(slab, key, l, uint16(chunks), next.endPos, next.lastSum)
	record := slab[body:len(slab):len(slab)]
	b.add(key, record[:min(chunk, size)])
	for c := 1; c < chunks; c++ {
		at := len(slab)
		slab = appendEntryKey(slab, l.Index, uint16(c))
		b.add(slab[at:len(slab):len(slab)], record[c*chunk:min((c+1)*chunk, size)])
	}
	b.slab = slab
	next.advance(l, size, sum)
}

func (s *state) advance(l *raft.Log, size int, sum uint32) {
	if s.empty() {
		s.first, s.startPos = l.Index, s.endPos
	}
	s.last, s.lastTerm, s.lastSum = l.Index, l.Term, sum
	s.endPos += uint64(size)
}

// commit makes the batch durable together with the state next, whose sequence it sets, and publishes next. Any error
// poisons: whether the transaction is durable is then unknown.
func (s *Store) commit(next *state) error {
	next.seq = s.view.Load().seq + 1
	s.batch.add([]byte{tagState}, next.encodeAs(s.stateVersion()))
	if err := s.commitRaw(); err != nil {
		return err
	}
	published := *next
	s.view.Store(&published)
	if s.guard == nil {
		return nil // during creation
	}
	if err := s.guard.write(&published); err != nil {
		return s.fail(fmt.Errorf("raftlog: write tail guard: %w", err))
	}
	s.stats.guardWrites.Add(1)
	s.stats.guardDirty.Store(true)
	return nil
}

// commitRaw makes the batch durable and empties it. Without a state record it may only hold keys that the state does
// not vouch for.
func (s *Store) commitRaw() error {
	start := time.Now()
	s.stats.inFlight.Store(int64(start.Sub(clockBase)))
	defer s.stats.inFlight.Store(0)
	bytes := s.batch.bytes
	g := s.newest()
	g.single = g.single && g.used.Load() < s.opt.memTableBytes
	if err := g.layAhead(int64(bytes + (len(s.batch.entries)+1)*txnEntryOverheadBytes)); err != nil {
		return s.fail(fmt.Errorf("raftlog: write ahead: %w", err))
	}
	if err := s.send(); err != nil {
		return s.fail(fmt.Errorf("raftlog: write: %w", err))
	}
	g.used.Add(int64(bytes + (len(s.batch.entries)+1)*memTableEntryOverheadBytes))
	s.batch.reset()
	s.stats.syncs.Add(1)
	took := time.Since(start)
	s.stats.latency.add(took)
	if s.opt.Observe != nil {
		s.opt.Observe(took, bytes)
	}
	if s.sinceCheck.Add(int64(bytes)) >= housekeepBytes {
		s.wake()
	}
	return nil
}

func (s *Store) send() error {
	if s.beforeCommit != nil {
		if err := s.beforeCommit(); err != nil {
			return err
		}
	}
	g := s.newest()
	txn := g.db.NewTransactionAt(math.MaxUint64, true)
	defer txn.Discard()
	for i := range s.batch.entries {
		e := &s.batch.entries[i]
		if int64(len(e.Value)) >= g.db.Opts().ValueThreshold {
			return fmt.Errorf("a value of %d bytes would go to the value log", len(e.Value))
		}
		var err error
		if e.Value == nil {
			err = txn.Delete(e.Key)
		} else {
			err = txn.SetEntry(e)
		}
		if err != nil {
			return err
		}
	}
	g.ts++
	if err := txn.CommitAt(g.ts, nil); err != nil {
		return err
	}
	if err := g.ahead.sync(g.db); err != nil {
		return err
	}
	// Everything is read at the newest version, so older ones need not get into a table.
	g.db.SetDiscardTs(g.ts)
	return nil
}
