package replicate

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Both kinds of stream carry frames: a length (uint32, big-endian, of all that
// follows it), a kind byte, a body.
//
//	forward, to the leader   hello    uvarints: term of the reign that the follower has in mind, 1 if it asks for a welcome,
//	                                  1 if it takes words of commits
//	                         txns     a batch as the log has it, its stamp 0
//	                         pulse    uvarint, any number
//	forward, to the follower welcome  uvarints term, zxid: the follower serves once it has applied as much
//	                         doubt    nothing: send everything unapplied again
//	                         pulse    the number of one that came
//	                         commit   uvarints term, index; the leader's address as raft has it: the entry of that term is committed
//	                         farewell nothing: this server leads no more
//	touch, to the leader     hello    uvarint term, then an announcement as JSON
//	                         signs    uvarints seq, zxid, count; 8 bytes digest; count uvarints: ids, each less the one before
//	touch, to the follower   ack      uvarint seq
//	                         members  announcements as JSON
//	                         farewell nothing
//
// While a cluster is upgraded, servers of two versions talk to each other:
// numbers join a frame at its end only, where who does not know them passes
// over them, and who does takes their absence as 0. What is said in frames of
// a new kind must not matter to one who skips it.
const (
	frameHello    = 'h'
	frameTxns     = 't'
	framePulse    = 'p'
	frameWelcome  = 'w'
	frameDoubt    = 'd'
	frameCommit   = 'c'
	frameFarewell = 'f'
	frameSigns    = 's'
	frameAck      = 'a'
	frameMembers  = 'm'

	frameHeaderLen = 4 + 1
)

// errGarbled says that a peer sent what no server of ours sends.
var errGarbled = errors.New("replicate: garbled stream")

// errFarewell says that the other end leads no more.
var errFarewell = errors.New("replicate: the leader steps down")

// beginFrame starts a frame at the end of b.
func beginFrame(b []byte, kind byte) []byte { return append(b, 0, 0, 0, 0, kind) }

// endFrame fills in the length of the frame that starts at from.
func endFrame(b []byte, from int) {
	binary.BigEndian.PutUint32(b[from:], uint32(len(b)-from-4))
}

// appendFrame appends a frame of numbers.
func appendFrame(b []byte, kind byte, numbers ...uint64) []byte {
	from := len(b)
	b = appendNumbers(beginFrame(b, kind), numbers...)
	endFrame(b, from)
	return b
}

func appendNumbers(b []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// frameReader reads frames into one buffer, which is the caller's until the
// next call.
type frameReader struct {
	r    *bufio.Reader
	body []byte
}

func newFrameReader(r io.Reader, size int) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, size)}
}

// next returns a frame. What claims to be larger than a frame may be is
// garbled; room is made as bytes come.
func (f *frameReader) next() (kind byte, body []byte, err error) {
	var head [frameHeaderLen]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(head[:])
	if length == 0 || length > maxStreamFrame {
		return 0, nil, fmt.Errorf("%w: a frame of %d bytes", errGarbled, length)
	}
	left := int(length) - 1
	f.body = f.body[:0]
	for left > 0 {
		part := min(left, frameStep)
		from := len(f.body)
		if cap(f.body)-from < part {
			f.body = append(make([]byte, 0, min(2*(from+part), from+left)), f.body...)
		}
		f.body = f.body[:from+part]
		if _, err := io.ReadFull(f.r, f.body[from:]); err != nil {
			return 0, nil, unexpected(err)
		}
		left -= part
	}
	return head[4], f.body, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// numbers reads uvarints from the front of a frame.
type numbers struct {
	b   []byte
	bad bool
}

func (n *numbers) next() uint64 {
	v, size := binary.Uvarint(n.b)
	if size <= 0 {
		n.bad, n.b = true, nil
		return 0
	}
	n.b = n.b[size:]
	return v
}

func (n *numbers) take(size int) []byte {
	if len(n.b) < size {
		n.bad, n.b = true, nil
		return make([]byte, size)
	}
	part := n.b[:size]
	n.b = n.b[size:]
	return part
}

func (n *numbers) err(what string) error {
	if n.bad {
		return fmt.Errorf("%w: %s cut short", errGarbled, what)
	}
	return nil
}
