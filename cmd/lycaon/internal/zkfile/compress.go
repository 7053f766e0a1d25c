package zkfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/snappy"
)

var (
	gzipMagic   = []byte{0x1f, 0x8b}
	snappyMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}
)

// snappyHead is the magic and two versions.
const snappyHead = 16

// maxSnappyBlock bounds one block of snappy-java, which makes them of 32 KiB.
const maxSnappyBlock = 1 << 20

// decompress tells by the first bytes how a snapshot was compressed, whatever
// its file is called.
func decompress(r io.Reader) (*bufio.Reader, error) {
	b := bufio.NewReaderSize(r, 256<<10)
	head, _ := b.Peek(len(snappyMagic)) // a short file fails when it is read
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("%w: gzip: %w", ErrDamaged, err)
		}
		return bufio.NewReaderSize(z, 256<<10), nil
	case bytes.Equal(head, snappyMagic):
		if _, err := b.Discard(snappyHead); err != nil {
			return nil, damaged("snappy: it ends within its head")
		}
		return bufio.NewReaderSize(&snappyBlocks{r: b}, 256<<10), nil
	}
	return b, nil
}

// snappyBlocks reads the blocks of snappy-java: a length, then that many bytes.
type snappyBlocks struct {
	r     io.Reader
	block []byte // compressed
	plain []byte // all of one block
	rest  []byte // of plain, not yet read
}

func (s *snappyBlocks) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *snappyBlocks) next() error {
	var head [4]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxSnappyBlock {
		return damaged("snappy: a block of %d bytes, at most %d are possible", n, maxSnappyBlock)
	}
	if uint32(cap(s.block)) < n {
		s.block = make([]byte, n)
	}
	s.block = s.block[:n]
	if _, err := io.ReadFull(s.r, s.block); err != nil {
		return io.ErrUnexpectedEOF
	}
	size, err := snappy.DecodedLen(s.block)
	if err == nil && size > maxSnappyBlock {
		return damaged("snappy: a block of %d bytes, at most %d are possible", size, maxSnappyBlock)
	}
	if err == nil {
		s.plain, err = snappy.Decode(s.plain[:cap(s.plain)], s.block)
	}
	if err != nil {
		return fmt.Errorf("%w: snappy: %w", ErrDamaged, err)
	}
	s.rest = s.plain
	return nil
}
