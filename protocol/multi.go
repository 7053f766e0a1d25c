package protocol

import (
	"fmt"

	"github.com/lycaon-io/lycaon/znode"
)

// AppendMulti appends the body of a multi.
func AppendMulti(b []byte, ops []WriteOp) []byte {
	b = appendArray(b, 1)
	b = appendArray(b, len(ops))
	for i := range ops {
		b = appendArray(b, 2)
		b = appendUint(b, uint64(ops[i].Op))
		b = AppendWrite(b, &ops[i])
	}
	return b
}

// DecodeMulti decodes the operations of a multi into into[:0], grown as
// needed. They alias body and into, as a WriteOp does.
func DecodeMulti(body []byte, into []WriteOp) ([]WriteOp, error) {
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
	return into, m.end()
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

func (m *multiReader) end() error {
	m.body.end()
	return m.d.done()
}
