package state

import (
	"encoding/binary"
	"fmt"

	"github.com/lycaon-io/lycaon/protocol"
)

// A batch is one entry of the log: a header and any number of transactions.
//
//	header  version byte (1), stamp (int64, big-endian, ms since the Unix epoch)
//	txn     kind byte, then uvarints origin, ticket, session, generation, then
//	  write   op byte, uvarints seq, xid, ack, bytes ids, bytes body
//	  open    hash (32 bytes), uvarints timeoutMs, maxEphemerals
//	  attach  hash (32 bytes), uvarints attempt, timeoutMs, ack
//	  expire  bytes cause
//	  reap    uvarints mzxid, pzxid, bytes path
//	  noop    nothing
//	  config  bytes members
//
// bytes is a uvarint length and that many bytes.
const (
	batchVersion = 1

	// BatchHeaderLen is the size of an empty batch.
	BatchHeaderLen = 1 + 8
)

// AppendBatchHeader starts a batch. The stamp may be patched by StampBatch.
func AppendBatchHeader(b []byte, stampMs int64) []byte {
	b = append(b, batchVersion)
	return binary.BigEndian.AppendUint64(b, uint64(stampMs))
}

// StampBatch gives the batch its time, as late as its sender likes.
func StampBatch(batch []byte, stampMs int64) {
	binary.BigEndian.PutUint64(batch[1:BatchHeaderLen], uint64(stampMs))
}

// AppendTxn appends t to a batch and copies all it needs. What is not listed
// for t's kind above does not travel.
func AppendTxn(b []byte, t *Txn) []byte {
	b = append(b, byte(t.Kind))
	b = binary.AppendUvarint(b, t.Origin)
	b = binary.AppendUvarint(b, t.Ticket)
	b = binary.AppendUvarint(b, t.Session)
	b = binary.AppendUvarint(b, t.Generation)
	switch t.Kind {
	case TxnWrite:
		b = append(b, byte(t.Op))
		b = binary.AppendUvarint(b, t.Seq)
		b = binary.AppendUvarint(b, t.Xid)
		b = binary.AppendUvarint(b, t.Ack)
		b = appendBytes(b, t.IDs)
		b = appendBytes(b, t.Body)
	case TxnOpen:
		b = append(b, t.PasswordHash[:]...)
		b = binary.AppendUvarint(b, uint64(t.TimeoutMs))
		b = binary.AppendUvarint(b, uint64(t.MaxEphemerals))
	case TxnAttach:
		b = append(b, t.PasswordHash[:]...)
		b = binary.AppendUvarint(b, t.Attempt)
		b = binary.AppendUvarint(b, uint64(t.TimeoutMs))
		b = binary.AppendUvarint(b, t.Ack)
	case TxnExpire:
		b = appendBytes(b, t.Cause)
	case TxnReap:
		b = binary.AppendUvarint(b, t.Mzxid)
		b = binary.AppendUvarint(b, t.Pzxid)
		b = appendBytes(b, t.Path)
	case TxnConfig:
		b = appendBytes(b, t.Members)
	}
	return b
}

func appendBytes[S ~string | ~[]byte](b []byte, s S) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// Batch walks the transactions of one entry.
type Batch struct {
	stampMs int64
	rest    cursor
	last    int // where the transaction that Next gave begins
}

// StampMs is the time its sender gave it.
func (b *Batch) StampMs() int64 { return b.stampMs }

// DecodeBatch checks the whole envelope of an entry before any of it runs, so
// that a replica that must stop has applied nothing of it. The error wraps
// ErrUnknownFormat or ErrCorrupt and gives the offset. What stands inside a
// client's body is not looked at.
func DecodeBatch(entry []byte) (Batch, error) {
	if len(entry) == 0 {
		return Batch{}, fmt.Errorf("log entry: %w: it is empty", ErrCorrupt)
	}
	if entry[0] != batchVersion {
		return Batch{}, fmt.Errorf("log entry: %w: batch version %d", ErrUnknownFormat, entry[0])
	}
	if len(entry) < BatchHeaderLen {
		return Batch{}, fmt.Errorf("log entry: %w: %d bytes are shorter than a header", ErrCorrupt, len(entry))
	}
	b := Batch{
		stampMs: int64(binary.BigEndian.Uint64(entry[1:BatchHeaderLen])),
		rest:    cursor{b: entry, at: BatchHeaderLen},
	}
	var t Txn
	for n, c := 0, b.rest; c.at < len(entry); n++ {
		start := c.at
		if err := c.txn(&t, false); err != nil {
			return Batch{}, fmt.Errorf("log entry of %d bytes: transaction %d at byte %d: %w", len(entry), n, start, err)
		}
	}
	return b, nil
}

// Next decodes the next transaction into t, whose slices alias the entry, and
// tells whether there was one. It fails only if the entry was changed since
// DecodeBatch checked it.
func (b *Batch) Next(t *Txn) (bool, error) {
	if b.rest.at >= len(b.rest.b) {
		return false, nil
	}
	b.last = b.rest.at
	if err := b.rest.txn(t, true); err != nil {
		return false, fmt.Errorf("log entry: %w", err)
	}
	return true, nil
}

// Raw is the encoding of the transaction that Next gave last, as AppendTxn
// would make it. It aliases the entry.
func (b *Batch) Raw() []byte { return b.rest.b[b.last:b.rest.at:b.rest.at] }

// txn reads one transaction. Unless keep, it makes no strings.
func (c *cursor) txn(t *Txn, keep bool) error {
	*t = Txn{Kind: TxnKind(c.byte())}
	if t.Kind < TxnWrite || t.Kind > TxnConfig {
		return fmt.Errorf("%w: kind %d", ErrUnknownFormat, t.Kind)
	}
	t.Origin, t.Ticket = c.uvarint(), c.uvarint()
	t.Session, t.Generation = c.uvarint(), c.uvarint()
	switch t.Kind {
	case TxnWrite:
		t.Op = protocol.Op(c.byte())
		if !c.bad && !t.Op.IsWrite() {
			return fmt.Errorf("%w: write operation %d", ErrUnknownFormat, t.Op)
		}
		t.Seq, t.Xid, t.Ack = c.uvarint(), c.uvarint(), c.uvarint()
		t.IDs, t.Body = c.bytes(), c.bytes()
	case TxnOpen:
		copy(t.PasswordHash[:], c.take(len(t.PasswordHash)))
		t.TimeoutMs, t.MaxEphemerals = int64(c.uvarint()), int64(c.uvarint())
	case TxnAttach:
		copy(t.PasswordHash[:], c.take(len(t.PasswordHash)))
		t.Attempt, t.TimeoutMs, t.Ack = c.uvarint(), int64(c.uvarint()), c.uvarint()
	case TxnExpire:
		t.Cause = c.string(keep)
	case TxnReap:
		t.Mzxid, t.Pzxid = c.uvarint(), c.uvarint()
		t.Path = c.string(keep)
	case TxnConfig:
		t.Members = c.string(keep)
	}
	if c.bad {
		return fmt.Errorf("%w: cut short or malformed", ErrCorrupt)
	}
	return nil
}
