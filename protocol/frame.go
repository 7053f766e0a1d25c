package protocol

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/lycaon-io/lycaon/znode"
)

const (
	lengthBytes        = 4
	requestHeaderBytes = 18 // op, flags, xid, arg
	messageHeaderBytes = 24 // kind, op or event, flags, 0, code, xid, zxid

	// PingBytes is the length of a ping's frame, its length included. Nothing else
	// that AppendRequest makes is as short.
	PingBytes = lengthBytes + requestHeaderBytes + 1

	// firstRead is what a frame gets before its first byte has come, so that a
	// length alone costs its receiver next to nothing.
	firstRead = 4 << 10

	// keepBuffer is what a connection may hold on to between frames: above it, a
	// frame that does not need the space gives it back.
	keepBuffer = 64 << 10
)

// FrameTooLargeError is a frame that announces more bytes than the limit. Only
// the length has been read. It is a znode.ErrTooLarge.
type FrameTooLargeError struct {
	Length, Max uint32
}

func (e *FrameTooLargeError) Error() string {
	return fmt.Sprintf("%v: a frame of %d bytes, at most %d are allowed", znode.ErrTooLarge, e.Length, e.Max)
}

func (e *FrameTooLargeError) Unwrap() error { return znode.ErrTooLarge }

// ReadFrame reads one frame and returns what follows its length, in buf if
// that is large enough; the caller keeps the result as its next buf. Memory
// grows with the bytes that come, not with the length announced. The error is
// io.EOF only between two frames.
func ReadFrame(r *bufio.Reader, buf []byte, max uint32) ([]byte, error) {
	head, err := r.Peek(lengthBytes)
	if err != nil {
		if len(head) > 0 && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return buf[:0], err
	}
	length := binary.BigEndian.Uint32(head)
	if _, err := r.Discard(lengthBytes); err != nil {
		return buf[:0], err
	}
	if length > max {
		return buf[:0], &FrameTooLargeError{Length: length, Max: max}
	}
	return readBody(r, buf[:0], int(length))
}

// BufferedFrame returns what follows the length of the next frame if all of it is
// in r's buffer already. It is that memory, and good until r is used again. What
// it does not return is left to ReadFrame.
func BufferedFrame(r *bufio.Reader, max uint32) (frame []byte, ok bool) {
	buffered, _ := r.Peek(r.Buffered())
	if len(buffered) < lengthBytes {
		return nil, false
	}
	length := binary.BigEndian.Uint32(buffered)
	if length > max || uint64(length) > uint64(len(buffered)-lengthBytes) {
		return nil, false
	}
	end := lengthBytes + int(length)
	_, err := r.Discard(end)
	return buffered[lengthBytes:end:end], err == nil
}

func readBody(r *bufio.Reader, buf []byte, length int) ([]byte, error) {
	if cap(buf) > keepBuffer && length <= keepBuffer {
		buf = nil
	}
	for len(buf) < length {
		got := len(buf)
		if got == cap(buf) {
			buf = append(make([]byte, 0, min(length, max(2*got, firstRead))), buf...)
		}
		buf = buf[:min(length, cap(buf))]
		n, err := io.ReadFull(r, buf[got:])
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return buf[:got+n], err
		}
	}
	return buf, nil
}

// SkipRequest reads over the request that ReadFrame found too large, so that it
// can be answered and the connection goes on. It fails on a frame without a
// whole header.
func SkipRequest(r *bufio.Reader, e *FrameTooLargeError) (Op, uint64, error) {
	var head [requestHeaderBytes]byte
	if e.Length < requestHeaderBytes {
		return 0, 0, errShortFrame
	}
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, err
	}
	_, err := io.CopyN(io.Discard, r, int64(e.Length)-requestHeaderBytes)
	return Op(head[0]), binary.BigEndian.Uint64(head[2:]), err
}

var errShortFrame = fmt.Errorf("%w: the frame is shorter than its header", ErrMarshalling)

// beginFrame leaves room for the length, which endFrame fills in; start is
// where the frame begins in b.
func beginFrame(b []byte) (frame []byte, start int) {
	return append(b, 0, 0, 0, 0), len(b)
}

func endFrame(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-lengthBytes))
	return b
}
