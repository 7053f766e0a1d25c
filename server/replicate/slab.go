package replicate

import "github.com/lycaon-io/lycaon/server/state"

// slab is memory from which batches are cut, one behind the other, so that none
// has to guess its size or be copied as it grows. What was written there is never
// written again: who is given a part of it keeps that as long as he likes, and the
// collector does the rest. It is of one goroutine at a time.
type slab struct {
	rest []byte // nothing, and behind it what is free
	size int    // of the newest one
}

// begin gives the start of a batch, to be grown by extend.
func (s *slab) begin() []byte { return s.extend(s.rest, minSlabRest) }

// extend gives the batch room for n bytes more. If there is no such room it moves
// to the front of new memory; what was kept of it where it stood stays good.
func (s *slab) extend(batch []byte, n int) []byte {
	if cap(batch)-len(batch) >= n {
		return batch
	}
	s.size = min(max(minSlabBytes, 2*s.size), maxSlabBytes)
	return append(make([]byte, 0, max(s.size, len(batch)+n)), batch...)
}

// end takes the room behind a batch back, which cannot grow any more.
func (s *slab) end(batch []byte) []byte {
	s.rest = batch[len(batch):]
	return batch[:len(batch):len(batch)]
}

// drop forgets the memory of a batch that was begun and will not be ended.
func (s *slab) drop() { s.rest = nil }

// appendTxn appends t, or raw if that is its encoding, to the batch, which is
// given the room. kept is where the body of a write stands then.
func (s *slab) appendTxn(batch []byte, t *state.Txn, raw []byte) (_, kept []byte) {
	if raw != nil {
		return append(s.extend(batch, len(raw)), raw...), nil
	}
	batch = state.AppendTxn(s.extend(batch, txnRoom(t)), t)
	if t.Kind == state.TxnWrite { // whose encoding ends with it
		kept = batch[len(batch)-len(t.Body) : len(batch) : len(batch)]
	}
	return batch, kept
}

// txnRoom is what a transaction takes, at most.
func txnRoom(t *state.Txn) int {
	return txnOverhead + len(t.IDs) + len(t.Body) + len(t.Cause) + len(t.Path) + len(t.Members)
}
