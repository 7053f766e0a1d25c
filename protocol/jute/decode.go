package jute

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/lycaon-io/lycaon/protocol"
)

// decoder walks one record. What it returns aliases the record. The first
// failure stays and moves to the end, so that every read after it returns a zero
// value, and a caller checks once. Bytes after a record are passed over, as
// ZooKeeper does: a newer client may have something to add.
type decoder struct {
	record []byte
	at     int
	err    error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = &decodeError{what, d.at}
		d.at = len(d.record)
	}
}

// decodeError says what does not decode and where.
type decodeError struct {
	what string
	at   int
}

func (e *decodeError) Error() string {
	return fmt.Sprintf("%v: %s at byte %d of the record", protocol.ErrMarshalling, e.what, e.at)
}
func (e *decodeError) Unwrap() error { return protocol.ErrMarshalling }

func (d *decoder) left() int { return len(d.record) - d.at }

func (d *decoder) take(n int) []byte {
	if n > d.left() {
		d.fail("a length beyond the end")
		return nil
	}
	from := d.at
	d.at += n
	return d.record[from:d.at:d.at]
}

func (d *decoder) int() int32 {
	if p := d.take(4); p != nil {
		return int32(binary.BigEndian.Uint32(p))
	}
	return 0
}

func (d *decoder) long() int64 {
	if p := d.take(8); p != nil {
		return int64(binary.BigEndian.Uint64(p))
	}
	return 0
}

// bool takes every byte but 0 for true, as ZooKeeper does.
func (d *decoder) bool() bool {
	p := d.take(1)
	return p != nil && p[0] != 0
}

// buffer returns nil for null, never nil for empty.
func (d *decoder) buffer() []byte {
	n := d.int()
	switch {
	case d.err != nil || n == -1:
		return nil
	case n < 0:
		d.fail("a negative length")
		return nil
	}
	return d.take(int(n))
}

// str returns a string over the bytes of the record, "" for null.
func (d *decoder) str() (s string, null bool) {
	p := d.buffer()
	if len(p) == 0 {
		return "", p == nil
	}
	return unsafe.String(&p[0], len(p)), false
}

// text is a string that may be null, which counts as empty.
func (d *decoder) text() string {
	s, _ := d.str()
	return s
}

// path is a string that may not be null.
func (d *decoder) path() string {
	s, null := d.str()
	if null {
		d.fail("a null path")
	}
	return s
}

// vector returns the count of a vector, each of whose elements takes least
// bytes at least. One below zero is a vector that is not there.
func (d *decoder) vector(least int) (n int, null bool) {
	count := d.int()
	switch {
	case d.err != nil || count < 0:
		return 0, true
	case int(count) > d.left()/least:
		d.fail("more elements than bytes")
		return 0, true
	}
	return int(count), false
}
