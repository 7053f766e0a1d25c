package protocol

import "math"

// tuple reads the fields of one array in order. A missing field that has a
// default takes it; fields beyond those known are skipped, so that a newer
// peer may append some.
type tuple struct {
	d    *decoder
	left int
}

func (d *decoder) tuple() tuple {
	if d.depth++; d.depth > maxDepth {
		d.fail("arrays nested too deep")
	}
	return tuple{d, d.array(math.MaxInt32)}
}

func (t *tuple) end() {
	for ; t.left > 0 && t.d.err == nil; t.left-- {
		t.d.skip()
	}
	t.d.depth--
}

func (t *tuple) need() bool {
	if t.left == 0 {
		t.d.fail("a field is missing")
		return false
	}
	t.left--
	return true
}

func (t *tuple) has() bool {
	if t.left == 0 {
		return false
	}
	t.left--
	return true
}

func (t *tuple) str() string {
	if !t.need() {
		return ""
	}
	return t.d.str()
}

func (t *tuple) optStr() string {
	if !t.has() {
		return ""
	}
	return t.d.str()
}

func (t *tuple) optBin() []byte {
	if !t.has() {
		return nil
	}
	return t.d.bin()
}

func (t *tuple) uint() uint64 {
	if !t.need() {
		return 0
	}
	return t.d.uint()
}

func (t *tuple) optUint() uint64 {
	if !t.has() {
		return 0
	}
	return t.d.uint()
}

func (t *tuple) uintUpTo(most uint64) uint64 {
	if !t.need() {
		return 0
	}
	return t.d.uintUpTo(most)
}

func (t *tuple) optUintUpTo(most uint64) uint64 {
	if !t.has() {
		return 0
	}
	return t.d.uintUpTo(most)
}

func (t *tuple) int() int64 {
	if !t.need() {
		return 0
	}
	return t.d.int()
}

func (t *tuple) optInt(absent int64) int64 {
	if !t.has() {
		return absent
	}
	return t.d.int()
}

func (t *tuple) optNatural() int64 { return int64(t.optUintUpTo(math.MaxInt64)) }

func (t *tuple) optBool() bool {
	return t.has() && t.d.bool()
}
