package zkfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"unicode/utf8"

	"github.com/lycaon-io/lycaon/znode"
)

// maxItemBytes bounds one buffer, string or record. ZooKeeper's own bound,
// jute.maxbuffer, is 1 MiB unless raised, and nobody raises it so far.
const maxItemBytes = 64 << 20

// chunkBytes is how much is allocated before any of it was read.
const chunkBytes = 64 << 10

// ErrDamaged goes with every error about bytes that ZooKeeper did not write so.
var ErrDamaged = errors.New("damaged")

// input reads jute, ZooKeeper's encoding. After an error it reads nothing.
type input struct {
	r    io.Reader
	sum  hash.Hash32 // of all that was read; may be nil
	at   int64       // bytes read
	left int64       // bytes that there are, at most
	err  error
	buf  [8]byte
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// fail keeps the first error, with the place.
func (in *input) fail(err error) {
	if in.err == nil {
		in.err = fmt.Errorf("byte %d: %w", in.at, err)
	}
}

// fill reads exactly len(b) bytes.
func (in *input) fill(b []byte) bool {
	if in.err != nil {
		return false
	}
	if int64(len(b)) > in.left {
		in.fail(io.ErrUnexpectedEOF)
		return false
	}
	n, err := io.ReadFull(in.r, b)
	if in.sum != nil {
		in.sum.Write(b[:n])
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		in.fail(err)
		return false
	}
	in.at += int64(n)
	in.left -= int64(n)
	return true
}

func (in *input) int8() int8 {
	if !in.fill(in.buf[:1]) {
		return 0
	}
	return int8(in.buf[0])
}

func (in *input) bool() bool { return in.int8() != 0 }

func (in *input) int32() int32 {
	if !in.fill(in.buf[:4]) {
		return 0
	}
	return int32(binary.BigEndian.Uint32(in.buf[:]))
}

func (in *input) int64() int64 {
	if !in.fill(in.buf[:8]) {
		return 0
	}
	return int64(binary.BigEndian.Uint64(in.buf[:]))
}

// buffer returns nil for null, which is not empty.
func (in *input) buffer() []byte {
	n := int64(in.int32())
	switch {
	case in.err != nil || n == -1:
		return nil
	case n < 0 || n > maxItemBytes:
		in.fail(damaged("a length of %d, at most %d is possible", n, maxItemBytes))
		return nil
	case n > in.left:
		in.fail(io.ErrUnexpectedEOF)
		return nil
	}
	b := make([]byte, min(n, chunkBytes))
	for read := int64(0); in.fill(b[read:]); {
		if read = int64(len(b)); read == n {
			return b
		}
		grown := make([]byte, min(n, 2*read))
		copy(grown, b)
		b = grown
	}
	return nil
}

// text returns "" for null.
func (in *input) text() string {
	b := in.buffer()
	if !utf8.Valid(b) {
		in.fail(damaged("%.40q is no UTF-8", b))
	}
	return string(b)
}

// count is the length of a vector, 0 for null. Each of its items has at least
// one byte, so that a loop over it ends with the input.
func (in *input) count() int {
	n := in.int32()
	if n < -1 {
		in.fail(damaged("a count of %d", n))
	}
	if in.err != nil {
		return 0
	}
	return max(0, int(n))
}

// acl is never empty: no list is that of a node that is open to everybody. Bits
// that are no permission, which ZooKeeper keeps, are left out.
func (in *input) acl() (acl znode.ACL) {
	for n := in.count(); n > 0 && in.err == nil; n-- {
		acl = append(acl, znode.Entry{Perms: znode.Perm(in.int32()) & znode.AllPerms, Scheme: in.text(), ID: in.text()})
	}
	if acl == nil {
		return znode.OpenACL
	}
	return acl
}
