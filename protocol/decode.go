package protocol

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
	"unsafe"
)

// decoder walks one body. What it returns aliases the body. The first failure
// stays, and every read after it returns a zero value, so that a caller checks
// once, at the end.
type decoder struct {
	rest  []byte
	size  int // of the whole body, to tell where it failed
	depth int
	err   error
}

// newDecoder returns a decoder whose results live only as long as body is
// left alone.
func newDecoder(body []byte) decoder { return decoder{rest: body, size: len(body)} }

// newOwnedDecoder copies body once; its results keep that copy alive.
func newOwnedDecoder(body []byte) decoder { return newDecoder(bytes.Clone(body)) }

// decodeError says what does not decode and where.
type decodeError struct {
	what string
	at   int
}

func (e *decodeError) Error() string {
	return fmt.Sprintf("%v: %s at byte %d of the body", ErrMarshalling, e.what, e.at)
}
func (e *decodeError) Unwrap() error { return ErrMarshalling }

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = &decodeError{what: what, at: d.size - len(d.rest)}
		d.rest = nil
	}
}

// failWith fails with an error that says more than that the bytes are wrong.
func (d *decoder) failWith(err error) {
	if d.err == nil {
		d.err = err
		d.rest = nil
	}
}

// done ends a body: nothing may follow.
func (d *decoder) done() error {
	if d.err == nil && len(d.rest) != 0 {
		d.fail("bytes after the end")
	}
	return d.err
}

// take returns the next n bytes; the caller has n from a length that was read,
// so it is compared before anything is made of it.
func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.fail("a length beyond the end")
		return nil
	}
	p := d.rest[:n:n]
	d.rest = d.rest[n:]
	return p
}

func (d *decoder) mark() byte {
	if len(d.rest) == 0 {
		d.fail("an early end")
		return mpNil
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

// number reads an unsigned big-endian number of width bytes.
func (d *decoder) number(width uint64) uint64 {
	p := d.take(width)
	if p == nil {
		return 0
	}
	switch width {
	case 1:
		return uint64(p[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(p))
	case 4:
		return uint64(binary.BigEndian.Uint32(p))
	}
	return binary.BigEndian.Uint64(p)
}

func (d *decoder) uint() uint64 {
	c := d.mark()
	switch {
	case d.err != nil:
		return 0
	case c < 0x80:
		return uint64(c)
	case c >= mpUint8 && c <= mpUint64:
		return d.number(1 << (c - mpUint8))
	case c >= mpInt8 && c <= mpInt64:
		if v := d.signed(c); v >= 0 {
			return uint64(v)
		}
	}
	d.fail("not an unsigned integer")
	return 0
}

func (d *decoder) int() int64 {
	c := d.mark()
	switch {
	case d.err != nil:
		return 0
	case c < 0x80 || c >= 0xe0:
		return int64(int8(c))
	case c >= mpUint8 && c <= mpUint64:
		if v := d.number(1 << (c - mpUint8)); v <= math.MaxInt64 {
			return int64(v)
		}
	case c >= mpInt8 && c <= mpInt64:
		return d.signed(c)
	}
	d.fail("not an integer of 64 bits")
	return 0
}

func (d *decoder) signed(c byte) int64 {
	width := uint64(1) << (c - mpInt8)
	shift := 64 - 8*width
	return int64(d.number(width)<<shift) >> shift
}

// uintUpTo reads a number that may not exceed most.
func (d *decoder) uintUpTo(most uint64) uint64 {
	v := d.uint()
	if v > most {
		d.fail("a number out of its range")
		return 0
	}
	return v
}

// size0 reads a number from 0 to the greatest int64.
func (d *decoder) natural() int64 { return int64(d.uintUpTo(math.MaxInt64)) }

func (d *decoder) bool() bool {
	switch d.mark() {
	case mpTrue:
		return true
	case mpFalse:
		return false
	}
	d.fail("not a boolean")
	return false
}

// str returns a string over the bytes of the body: it changes if they do.
func (d *decoder) str() string {
	c := d.mark()
	var p []byte
	switch {
	case c&0xe0 == mpFixStr:
		p = d.take(uint64(c & 0x1f))
	case c >= mpStr8 && c <= mpStr32:
		p = d.take(d.number(1 << (c - mpStr8)))
	default:
		d.fail("not a string")
	}
	if len(p) == 0 {
		return ""
	}
	if !utf8.Valid(p) {
		d.fail("a string that is not UTF-8")
		return ""
	}
	return unsafe.String(&p[0], len(p))
}

// bin returns bytes of the body, nil for null, never nil for empty.
func (d *decoder) bin() []byte {
	switch c := d.mark(); {
	case c == mpNil:
		return nil
	case c >= mpBin8 && c <= mpBin32:
		return d.take(d.number(1 << (c - mpBin8)))
	}
	d.fail("not binary data")
	return nil
}

// array reads the head of an array of at most most elements. Each takes a byte
// at least, so a count beyond the bytes left is a lie.
func (d *decoder) array(most int) int {
	c := d.mark()
	var n uint64
	switch {
	case c&0xf0 == mpFixArray:
		n = uint64(c & 0x0f)
	case c == mpArray16:
		n = d.number(2)
	case c == mpArray32:
		n = d.number(4)
	default:
		d.fail("not an array")
		return 0
	}
	if n > uint64(len(d.rest)) {
		d.fail("more elements than bytes")
		return 0
	}
	if n > uint64(most) {
		d.fail("too many elements")
		return 0
	}
	return int(n)
}
