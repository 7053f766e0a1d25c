package protocol

// skip passes over one value of any type that msgpack knows but extensions,
// without recursion: a stack as deep as the protocol allows counts what is left
// of each open array.
func (d *decoder) skip() {
	var open [maxDepth + 1]uint64
	top := 0
	for open[0] = 1; ; {
		for open[top] == 0 {
			if top == 0 {
				return
			}
			top--
		}
		open[top]--
		inner := d.skipHead()
		if d.err != nil {
			return
		}
		if inner == 0 {
			continue
		}
		if top++; d.depth+top > maxDepth {
			d.fail("arrays nested too deep")
			return
		}
		open[top] = inner
	}
}

// skipHead passes over a scalar, or over the head of an array or map, whose
// count of values it returns.
func (d *decoder) skipHead() (inner uint64) {
	c := d.mark()
	switch {
	case c < 0x80 || c >= 0xe0 || c == mpNil || c == mpFalse || c == mpTrue:
	case c <= 0x8f:
		inner = 2 * uint64(c&0x0f)
	case c <= 0x9f:
		inner = uint64(c & 0x0f)
	case c <= 0xbf:
		d.take(uint64(c & 0x1f))
	case c >= mpBin8 && c <= mpBin32:
		d.take(d.number(1 << (c - mpBin8)))
	case c == 0xca: // float of 32 bits
		d.take(4)
	case c == 0xcb: // float of 64 bits
		d.take(8)
	case c >= mpUint8 && c <= mpUint64:
		d.take(1 << (c - mpUint8))
	case c >= mpInt8 && c <= mpInt64:
		d.take(1 << (c - mpInt8))
	case c >= mpStr8 && c <= mpStr32:
		d.take(d.number(1 << (c - mpStr8)))
	case c == mpArray16:
		inner = d.number(2)
	case c == mpArray32:
		inner = d.number(4)
	case c == 0xde: // map of up to 2^16 pairs
		inner = 2 * d.number(2)
	case c == 0xdf: // map of up to 2^32 pairs
		inner = 2 * d.number(4)
	default:
		d.fail("a type that the protocol does not use")
	}
	if inner > uint64(d.left()) {
		d.fail("more elements than bytes")
		return 0
	}
	return inner
}
