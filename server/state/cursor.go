package state

import "encoding/binary"

// cursor reads bytes from front to back. A read past the end or of a
// malformed number sets bad and yields zero from then on, so that a caller
// checks once after many reads.
type cursor struct {
	b   []byte
	at  int
	bad bool
}

func (c *cursor) byte() byte {
	if c.bad || c.at >= len(c.b) {
		c.bad = true
		return 0
	}
	c.at++
	return c.b[c.at-1]
}

func (c *cursor) uvarint() uint64 {
	if c.at < len(c.b) && c.b[c.at] < 0x80 && !c.bad {
		c.at++
		return uint64(c.b[c.at-1])
	}
	return c.longUvarint()
}

func (c *cursor) longUvarint() uint64 {
	if c.bad {
		return 0
	}
	v, n := binary.Uvarint(c.b[c.at:])
	if n <= 0 || c.b[c.at+n-1] == 0 && n > 1 { // a padded number: no second spelling
		c.bad = true
		return 0
	}
	c.at += n
	return v
}

// take returns the next n bytes; they alias the input.
func (c *cursor) take(n int) []byte {
	if c.bad || n < 0 || n > len(c.b)-c.at {
		c.bad = true
		return nil
	}
	c.at += n
	return c.b[c.at-n : c.at : c.at]
}

// bytes returns a length-prefixed run; it aliases the input.
func (c *cursor) bytes() []byte {
	n := c.uvarint()
	if n > uint64(len(c.b)) {
		c.bad = true
		return nil
	}
	return c.take(int(n))
}

// string returns a length-prefixed run as a copy; unless keep, it only skips.
func (c *cursor) string(keep bool) string {
	run := c.bytes()
	if !keep {
		return ""
	}
	return string(run)
}
