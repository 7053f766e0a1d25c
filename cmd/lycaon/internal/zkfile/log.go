package zkfile

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"slices"
)

// endOfRecord follows each record of a log.
const endOfRecord = 'B'

// Replayed says what a log had.
type Replayed struct {
	Applied int    // transactions
	Known   int    // that the tree had before
	Torn    string // where and why the log ended early, "" if it did not
}

// MissingError says that transactions between those of a Tree and the next of
// a log are nowhere.
type MissingError struct{ After, Before int64 }

func (e *MissingError) Error() string {
	return fmt.Sprintf("the transactions between 0x%x and 0x%x are missing", e.After, e.Before)
}

// Replay applies the transactions of a log that are later than those of the
// tree. Logs come in the order of their transactions. A server that is killed
// leaves a torn record, or a torn head, at the end of its log, which it cuts off
// when it starts: it has promised nothing about it.
func (t *Tree) Replay(r io.Reader) (Replayed, error) {
	var done Replayed
	l, err := openLog(r)
	if err != nil {
		return done, err
	}
	l.lenient = t.lenient
	for {
		h, in, err := l.next()
		if t.lenient && errors.Is(err, ErrDamaged) {
			done.Torn = err.Error()
			return done, nil
		}
		if err == io.EOF {
			done.Torn = l.torn
			return done, nil
		}
		if err != nil {
			return done, err
		}
		if h.zxid <= t.zxid {
			done.Known++
			continue
		}
		if !t.follows(h.zxid) && !t.lenient {
			return done, &MissingError{t.zxid, h.zxid}
		}
		if t.apply(h, in); in.err != nil {
			err := fmt.Errorf("transaction 0x%x of the record at byte %d: %w", h.zxid, l.start, in.err)
			if t.lenient {
				done.Torn = err.Error()
				return done, nil
			}
			return done, err
		}
		t.zxid = h.zxid
		done.Applied++
	}
}

// follows tells whether a transaction may be the next. Its upper half is the
// epoch: within one there are no holes, and a new leader begins one with 1. How
// far the epoch before went the log does not say, but other snapshots may, also
// one whose name has a lower half of 0: whoever takes the whole tree of a leader
// that has not written yet calls it so.
func (t *Tree) follows(zxid int64) bool {
	if zxid == t.zxid+1 {
		return true
	}
	return zxid>>32 > t.zxid>>32 && uint32(zxid) == 1 && !slices.ContainsFunc(t.reached, func(r int64) bool {
		return t.zxid < r && r < zxid
	})
}

// Reached tells of a transaction that the server had come to, as the name of
// another of its snapshots says: one that it took whole from its leader stands
// for transactions that no log of it has.
func (t *Tree) Reached(zxid int64) { t.reached = append(t.reached, zxid) }

// Lenient lets Replay and Complete pass over transactions that are missing, and
// a record that is damaged or cannot be understood end its log: the tree may then
// be one that never was.
func (t *Tree) Lenient() { t.lenient = true }

// Complete returns a MissingError if the snapshot was written while ZooKeeper
// went on, and the transactions it has parts of were not all replayed.
func (t *Tree) Complete() error {
	if t.zxid < t.ahead && !t.lenient {
		return &MissingError{t.zxid, t.ahead + 1}
	}
	return nil
}

// FirstZxid returns the first transaction of a log, or 0 and perhaps how it is
// torn of one that has none. Logs are replayed in its order.
func FirstZxid(r io.Reader) (first int64, torn string, err error) {
	l, err := openLog(r)
	if err != nil {
		return 0, "", err
	}
	h, _, err := l.next()
	if err == io.EOF {
		return 0, l.torn, nil
	}
	return h.zxid, "", err
}

// logReader reads the records of a log: a checksum, a length, a transaction of
// that length, and the letter B.
type logReader struct {
	r       *bufio.Reader
	start   int64 // of the record
	at      int64 // bytes read
	torn    string
	lenient bool
}

const logHead, recordHead = 4 + 4 + 8, 8 + 4

func openLog(r io.Reader) (*logReader, error) {
	l := &logReader{r: bufio.NewReaderSize(r, 256<<10), at: logHead}
	in := &input{r: l.r, left: logHead}
	in.fileHeader(logMagic, "transaction log")
	if errors.Is(in.err, io.ErrUnexpectedEOF) {
		l.torn = "it ends within its head"
		return l, nil
	}
	return l, in.err
}

// next returns a transaction and its body, or io.EOF.
func (l *logReader) next() (txn, *input, error) {
	if l.torn != "" {
		return txn{}, nil, io.EOF
	}
	l.start = l.at
	var head [recordHead]byte
	switch n, err := io.ReadFull(l.r, head[:]); {
	case n == 0 && err == io.EOF: // nothing was reserved
		return txn{}, nil, io.EOF
	case err == io.ErrUnexpectedEOF:
		return txn{}, nil, l.tear("the file ends within a record")
	case err != nil:
		return txn{}, nil, err
	}
	l.at += recordHead
	sum, size := binary.BigEndian.Uint64(head[:]), int32(binary.BigEndian.Uint32(head[8:]))
	if size == 0 {
		return txn{}, nil, l.end(sum)
	}
	record, err := l.record(size, sum)
	if err != nil {
		return txn{}, nil, err
	}
	if got := adler32.Checksum(record); uint64(got) != sum {
		return txn{}, nil, l.damaged("the checksum of a record is %#x, it must be %#x", got, sum)
	}
	in := recordInput(record)
	h := in.txn()
	if in.err != nil {
		return txn{}, nil, l.damaged("a record of %d bytes has no room for a transaction", size)
	}
	return h, in, nil
}

func (l *logReader) damaged(format string, args ...any) error {
	return fmt.Errorf("byte %d: %w", l.start, damaged(format, args...))
}

// tear ends the log at a torn record.
func (l *logReader) tear(why string) error {
	l.torn = fmt.Sprintf("byte %d: %s", l.start, why)
	return io.EOF
}

// end comes to what is reserved for more records, which is zero, behind a
// checksum that may have been written alone.
func (l *logReader) end(sum uint64) error {
	if err := l.nothingFollows(); err != nil || sum == 0 {
		return cmp.Or(err, io.EOF)
	}
	return l.tear("a record has no length")
}

// record reads the bytes of a record and the letter behind.
func (l *logReader) record(size int32, sum uint64) ([]byte, error) {
	if size < 0 || size > maxItemBytes {
		return nil, l.damaged("a record of %d bytes, at most %d are possible", size, maxItemBytes)
	}
	record, err := io.ReadAll(io.LimitReader(l.r, int64(size)+1))
	l.at += int64(len(record))
	cut := len(record) <= int(size)
	switch {
	case err != nil:
		return nil, err
	case !cut && record[size] == endOfRecord:
		return record[:size], nil
	case wholeWithin(record, sum):
		return nil, l.damaged("a record is whole, but not with its length of %d bytes", size)
	case cut:
		return nil, l.tear("the file ends within a record")
	}
	return nil, cmp.Or(l.nothingFollows(), l.tear("a record is not finished"))
}

// wholeWithin tells whether the checksum is that of the bytes up to a mark in b:
// then the length is wrong, by which the records behind would be lost.
func wholeWithin(b []byte, sum uint64) bool {
	until := adler32.New()
	for i := range b {
		if b[i] == endOfRecord && uint64(until.Sum32()) == sum {
			return true
		}
		until.Write(b[i : i+1])
	}
	return false
}

// nothingFollows wants the rest of the file to be zero: else a record is
// damaged that others follow.
func (l *logReader) nothingFollows() error {
	if l.lenient {
		return nil
	}
	for {
		b, err := l.r.Peek(1)
		if err == nil {
			b, err = l.r.Peek(l.r.Buffered())
		}
		if used := bytes.TrimRight(b, "\x00"); len(used) > 0 {
			return l.damaged("a record is not finished, and others follow")
		}
		if err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		l.r.Discard(len(b))
	}
}
