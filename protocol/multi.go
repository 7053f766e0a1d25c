package protocol

import (
	"fmt"
	"iter"

	"github.com/lycaon-io/lycaon/znode"
)

// AppendMulti appends the body of a multi.
func AppendMulti(b []byte, ops []WriteOp) []byte {
	return appendOps(appendArray(b, 1), ops)
}

// AppendBriefMulti appends the body of a multi that is answered without a
// result for each operation.
func AppendBriefMulti(b []byte, ops []WriteOp) []byte {
	return appendBool(appendOps(appendArray(b, 2), ops), true)
}

func appendOps(b []byte, ops []WriteOp) []byte {
	b = appendArray(b, len(ops))
	for i := range ops {
		b = appendArray(b, 2)
		b = appendUint(b, uint64(ops[i].Op))
		b = AppendWrite(b, &ops[i])
	}
	return b
}

// DecodeMulti decodes the operations of a multi into into[:0], grown as
// needed, and tells whether its answer is to be brief. They alias body and
// into, as a WriteOp does.
func DecodeMulti(body []byte, into []WriteOp) (_ []WriteOp, brief bool, _ error) {
	m := readMulti(body)
	into = into[:0]
	for m.left > 0 && m.d.err == nil {
		if len(into) == cap(into) {
			into = append(into, WriteOp{})
		} else {
			into = into[:len(into)+1] // with the memory of its last use
		}
		m.next(&into[len(into)-1])
	}
	brief, err := m.end()
	return into, brief, err
}

// Writes walks the operations of a write, one but for a multi, up to the first that
// does not decode. Each is good until the next.
func Writes(op Op, body []byte) iter.Seq[*WriteOp] {
	return func(yield func(*WriteOp) bool) {
		var w WriteOp
		if op != OpMulti {
			if DecodeWrite(op, body, &w) == nil {
				yield(&w)
			}
			return
		}
		for m := readMulti(body); m.left > 0; {
			if m.next(&w); m.d.err != nil || !yield(&w) {
				return
			}
		}
	}
}

// IsBriefMulti tells whether the body of a multi, which decodes, asks for a
// brief answer.
func IsBriefMulti(body []byte) bool {
	d := newDecoder(body)
	t := d.tuple()
	if t.need() {
		d.skip()
	}
	return t.optBool()
}

// multiReader walks the operations of a multi's body.
type multiReader struct {
	d    decoder
	body tuple
	left int
}

func readMulti(body []byte) *multiReader {
	m := &multiReader{d: newDecoder(body)}
	m.body = m.d.tuple()
	if m.body.need() {
		m.left = m.d.array(maxMultiOps)
	}
	return m
}

func (m *multiReader) next(into *WriteOp) {
	m.left--
	t := m.d.tuple()
	op := Op(t.uintUpTo(0xff))
	if (op < OpCreate || op > OpCheck) && op != OpGuard {
		m.d.failWith(fmt.Errorf("%w: %v in a multi", znode.ErrBadArguments, op))
	}
	if t.need() {
		m.d.write(op, into)
	}
	t.end()
}

func (m *multiReader) end() (brief bool, _ error) {
	brief = m.body.optBool()
	m.body.end()
	return brief, m.d.done()
}
