package state

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// An image is a header and a row of blocks, each with a checksum of its own:
//
//	header  magic "LYCIMAGE", format version (uint32)
//	block   section byte, records (uint32), size (uint32), CRC-32C of the rest
//	        of the block's head and its payload (uint32), payload
//
// Numbers of fixed width are big-endian. The sections come in their order;
// meta and footer are one block each, of one record. The footer ends the file.
// Equal states make equal files.
const (
	imageMagic   = "LYCIMAGE"
	imageVersion = 1

	imageHeaderLen = len(imageMagic) + 4
	blockHeaderLen = 1 + 4 + 4 + 4

	// A block is closed once its payload has blockBytes; one record may make it
	// larger, up to maxBlockBytes.
	blockBytes    = 256 << 10
	maxBlockBytes = 256 << 20
	readStep      = 1 << 20 // a size is believed this far ahead of its bytes
)

type section byte

const (
	sectionMeta section = 1 + iota
	sectionNodes
	sectionSessions
	sectionEnded
	sectionFooter
)

func (s section) String() string {
	names := [...]string{sectionMeta: "meta", sectionNodes: "nodes", sectionSessions: "sessions", sectionEnded: "ended", sectionFooter: "footer"}
	if s == 0 || int(s) >= len(names) {
		return fmt.Sprintf("section %d", byte(s))
	}
	return names[s]
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// blockCRC leaves out the place of the checksum itself.
func blockCRC(head, payload []byte) uint32 {
	crc := crc32.Update(0, castagnoli, head[:blockHeaderLen-4])
	return crc32.Update(crc, castagnoli, payload)
}

// blockWriter gathers records into blocks and knows what it wrote.
type blockWriter struct {
	w       io.Writer
	section section
	buf     []byte // head and payload of the open block
	records uint32
	bytes   int64
	crc     uint32 // of all written
}

func (b *blockWriter) header() error {
	return b.write(binary.BigEndian.AppendUint32([]byte(imageMagic), imageVersion))
}

func (b *blockWriter) write(p []byte) error {
	b.crc = crc32.Update(b.crc, castagnoli, p)
	n, err := b.w.Write(p)
	b.bytes += int64(n)
	return err
}

// begin opens a block of s. Until end, records are appended to buf.
func (b *blockWriter) begin(s section) {
	b.section, b.records = s, 0
	b.buf = append(b.buf[:0], make([]byte, blockHeaderLen)...)
}

func (b *blockWriter) full() bool { return len(b.buf)-blockHeaderLen >= blockBytes }

func (b *blockWriter) end() error {
	head, payload := b.buf[:blockHeaderLen], b.buf[blockHeaderLen:]
	if len(payload) > maxBlockBytes {
		return fmt.Errorf("a block of %d bytes is above the bound of %d", len(payload), maxBlockBytes)
	}
	head[0] = byte(b.section)
	binary.BigEndian.PutUint32(head[1:], b.records)
	binary.BigEndian.PutUint32(head[5:], uint32(len(payload)))
	binary.BigEndian.PutUint32(head[9:], blockCRC(head, payload))
	return b.write(b.buf)
}

// block is one that was read whole and whose checksum is right.
type block struct {
	section section
	records int
	number  int   // from 0
	offset  int64 // of its head in the file
	cursor        // over its payload
}

// errorf names the place; it wraps ErrCorrupt.
func (b *block) errorf(format string, args ...any) error {
	return fmt.Errorf("image: block %d (%v) at byte %d: %w: %w", b.number, b.section, b.offset, ErrCorrupt, fmt.Errorf(format, args...))
}

// each calls read once a record. read moves the cursor behind the record, or sets
// bad if it is malformed.
func (b *block) each(read func() error) error {
	if b.records == 0 {
		return b.errorf("it is empty")
	}
	for i := range b.records {
		start := b.at
		err := read()
		if b.bad {
			return b.errorf("record %d at byte %d of the payload is malformed", i, start)
		}
		if err != nil {
			return b.wrongRecord(i, start, err)
		}
	}
	if b.at != len(b.b) {
		return b.errorf("%d bytes follow its %d records", len(b.b)-b.at, b.records)
	}
	return nil
}

func (b *block) wrongRecord(i, start int, err error) error {
	return b.errorf("record %d at byte %d of the payload: %w", i, start, err)
}

// blockReader reads blocks into one buffer, which the next block overwrites.
type blockReader struct {
	r     *bufio.Reader
	buf   []byte
	block block
	bytes int64
	crc   uint32 // of all before the present block
	after uint32 // of all read
}

func newBlockReader(r io.Reader) *blockReader {
	return &blockReader{r: bufio.NewReaderSize(r, 64<<10), block: block{number: -1}}
}

func (b *blockReader) header() error {
	if err := b.fill(imageHeaderLen); err != nil {
		return fmt.Errorf("image: its header: %w", cutShort(err))
	}
	if string(b.buf[:len(imageMagic)]) != imageMagic {
		return fmt.Errorf("image: %w: it does not begin with %s", ErrUnknownFormat, imageMagic)
	}
	if version := binary.BigEndian.Uint32(b.buf[len(imageMagic):]); version != imageVersion {
		return fmt.Errorf("image: %w: version %d", ErrUnknownFormat, version)
	}
	b.taken()
	return nil
}

// next reads a block and checks it.
func (b *blockReader) next() (*block, error) {
	k := &b.block
	*k = block{number: k.number + 1, offset: b.bytes}
	if err := b.fill(blockHeaderLen); err != nil {
		return nil, fmt.Errorf("image: block %d at byte %d: %w", k.number, k.offset, cutShort(err))
	}
	k.section = section(b.buf[0])
	k.records = int(binary.BigEndian.Uint32(b.buf[1:]))
	size := binary.BigEndian.Uint32(b.buf[5:])
	if size > maxBlockBytes {
		return nil, k.errorf("its size of %d bytes is above the bound of %d", size, maxBlockBytes)
	}
	if err := b.fill(blockHeaderLen + int(size)); err != nil {
		return nil, fmt.Errorf("image: block %d at byte %d: %w", k.number, k.offset, cutShort(err))
	}
	head, payload := b.buf[:blockHeaderLen], b.buf[blockHeaderLen:]
	if want, got := binary.BigEndian.Uint32(head[9:]), blockCRC(head, payload); want != got {
		return nil, k.errorf("its checksum is %08x, its content has %08x", want, got)
	}
	if k.section < sectionMeta || k.section > sectionFooter {
		return nil, fmt.Errorf("image: block %d at byte %d: %w: %v", k.number, k.offset, ErrUnknownFormat, k.section)
	}
	k.cursor = cursor{b: payload}
	b.taken()
	return k, nil
}

// fill makes buf hold n bytes of the present block, without an allocation that
// the bytes read so far do not justify.
func (b *blockReader) fill(n int) error {
	for len(b.buf) < n {
		have := len(b.buf)
		b.buf = slices.Grow(b.buf, min(n-have, readStep))[:min(n, have+readStep)]
		if got, err := io.ReadFull(b.r, b.buf[have:]); err != nil {
			b.buf = b.buf[:have+got]
			return err
		}
	}
	return nil
}

// cutShort tells a file that ends early from one that cannot be read.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: cut short", ErrCorrupt)
	}
	return err
}

// taken counts the present block. Its bytes stay until the next is filled.
func (b *blockReader) taken() {
	b.crc, b.after = b.after, crc32.Update(b.after, castagnoli, b.buf)
	b.bytes += int64(len(b.buf))
	b.buf = b.buf[:0]
}

// end makes sure that nothing follows the footer.
func (b *blockReader) end() error {
	switch _, err := b.r.ReadByte(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("image: after its footer: %w", err)
	}
	return b.block.errorf("something follows the footer, which ends at byte %d", b.bytes)
}
