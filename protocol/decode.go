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
// stays and moves to the end of the body, so that every read after it finds
// nothing and returns a zero value, and a caller checks once, at the end.
type decoder struct {
	body  []byte
	at    int // next byte
	depth int
	err   error
}

// newDecoder returns a decoder whose results live only as long as body is
// left alone.
func newDecoder(body []byte) decoder { return decoder{body: body} }

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
		d.failWith(&decodeError{what: what, at: d.at})
	}
}

// failWith fails with an error that says more than that the bytes are wrong.
func (d *decoder) failWith(err error) {
	if d.err == nil {
		d.err = err
		d.at = len(d.body)
	}
}

// done ends a body: nothing may follow.
func (d *decoder) done() error {
	if d.err == nil && d.at != len(d.body) {
		d.fail("bytes after the end")
	}
	return d.err
}

func (d *decoder) left() int { return len(d.body) - d.at }

// take returns the next n bytes; the caller has n from a length that was read,
// so it is compared before anything is made of it.
func (d *decoder) take(n uint64) []byte {
	if n > uint64(d.left()) {
		d.fail("a length beyond the end")
		return nil
	}
	from := d.at
	d.at += int(n)
	return d.body[from:d.at:d.at]
}

// mark returns the byte that tells the type of the next value.
func (d *decoder) mark() byte {
	if d.at >= len(d.body) {
		d.fail("an early end")
		return mpNil
	}
	c := d.body[d.at]
	d.at++
	return c
}

// small returns the next value if it is a number of one byte, which most are.
func (d *decoder) small() (v uint64, ok bool) {
	if d.at < len(d.body) && d.body[d.at] < 0x80 {
		v = uint64(d.body[d.at])
		d.at++
		return v, true
	}
	return 0, false
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
	if v, ok := d.small(); ok {
		return v
	}
	switch c := d.mark(); {
	case d.err != nil:
		return 0
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
	if v, ok := d.small(); ok {
		return int64(v)
	}
	switch c := d.mark(); {
	case d.err != nil:
		return 0
	case c >= 0xe0:
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

// null passes over a null and tells whether there was one.
func (d *decoder) null() bool {
	if d.at < len(d.body) && d.body[d.at] == mpNil {
		d.at++
		return true
	}
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
	if n > uint64(d.left()) {
		d.fail("more elements than bytes")
		return 0
	}
	if n > uint64(most) {
		d.fail("too many elements")
		return 0
	}
	return int(n)
}
