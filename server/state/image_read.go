package state

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

// ReadImage builds the machine that an image holds. It accepts a whole and
// undamaged image that ends where r ends, and nothing else: every block's
// checksum, every count, the rules of the tree and of the sessions, and at
// last the digest of what was built. The error of an image that it does not
// accept names the block and the byte, if it has one, and wraps ErrCorrupt or
// ErrUnknownFormat; that of r is wrapped as it is.
func ReadImage(r io.Reader) (*Machine, Info, error) {
	x := imageReader{blockReader: newBlockReader(r)}
	b := newBuilder()
	err := x.read(b)
	if first := b.drain(); first != nil {
		err = first
	}
	if err != nil {
		return nil, Info{}, err
	}
	m, err := b.machine(&x.info)
	if err != nil {
		return nil, Info{}, fmt.Errorf("image: %w: %w", ErrCorrupt, err)
	}
	if found := m.Digest(); found != x.info.Digest {
		return nil, Info{}, x.wrongDigest(found)
	}
	return m, x.info, nil
}

// VerifyImage checks an image like ReadImage, but for the rules of the tree and
// of the sessions, and without the memory of a machine.
func VerifyImage(r io.Reader) (Info, error) {
	x := imageReader{blockReader: newBlockReader(r)}
	var s summer
	if err := x.read(&s); err != nil {
		return Info{}, err
	}
	if found := digest(x.info.Zxid, x.info.ClockMs, s.tree, s.sessions); found != x.info.Digest {
		return Info{}, x.wrongDigest(found)
	}
	return x.info, nil
}

func (x *imageReader) wrongDigest(found uint64) error {
	return x.block.errorf("its digest is %016x, the records make %016x", x.info.Digest, found)
}

// sink takes the records of an image, those of nodes by the block. They are
// valid during the call alone.
type sink interface {
	begin(info *Info)
	nodes(b *block) error
	session(r session.Record) error
	ended(e session.Ended) error
}

type imageReader struct {
	*blockReader
	info Info
	seen Info // what was counted
	room []session.Outcome
}

func (x *imageReader) read(to sink) error {
	if err := x.header(); err != nil {
		return err
	}
	if err := x.meta(); err != nil {
		return err
	}
	to.begin(&x.info)
	for last := sectionMeta; ; {
		b, err := x.next()
		if err != nil {
			return err
		}
		if b.section < last || b.section == sectionMeta {
			return b.errorf("it comes after %v", last)
		}
		last = b.section
		if b.section == sectionFooter {
			break
		}
		if err := x.section(b, to); err != nil {
			return err
		}
	}
	if err := x.footer(); err != nil {
		return err
	}
	return x.end()
}

func (x *imageReader) meta() error {
	b, err := x.next()
	if err != nil {
		return err
	}
	if b.section != sectionMeta || b.records != 1 {
		return b.errorf("an image begins with one record of meta")
	}
	zxid, clockMs := b.uvarint(), int64(b.uvarint())
	nodes, sessions, ended := b.uvarint(), b.uvarint(), b.uvarint()
	if b.bad || b.at != len(b.b) {
		return b.errorf("its record is malformed")
	}
	x.info = Info{
		Format: imageVersion, Zxid: zxid, ClockMs: clockMs,
		Nodes: int(nodes), Sessions: int(sessions), Ended: int(ended),
	}
	return nil
}

// section hands the records of a block to the sink.
func (x *imageReader) section(b *block, to sink) error {
	switch b.section {
	case sectionNodes:
		x.seen.Nodes += b.records
		return to.nodes(b)
	case sectionSessions:
		x.seen.Sessions += b.records
		return b.each(func() error {
			r := readSession(&b.cursor, x.room)
			x.room = r.Outcomes
			if b.bad {
				return nil
			}
			return to.session(r)
		})
	default:
		x.seen.Ended += b.records
		return b.each(func() error {
			e := readEnded(&b.cursor)
			if b.bad {
				return nil
			}
			return to.ended(e)
		})
	}
}

func (x *imageReader) footer() error {
	b := &x.block
	f := b.take(footerLen)
	if f == nil || b.at != len(b.b) || b.records != 1 {
		return b.errorf("its record is malformed")
	}
	word := func(i int) uint64 { return binary.BigEndian.Uint64(f[i*8:]) }
	nodes, sessions, ended := int(word(0)), int(word(1)), int(word(2))
	switch {
	case nodes != x.seen.Nodes || sessions != x.seen.Sessions || ended != x.seen.Ended:
		return b.errorf("%d nodes, %d sessions and %d ended were written, %d, %d and %d are here",
			nodes, sessions, ended, x.seen.Nodes, x.seen.Sessions, x.seen.Ended)
	case nodes != x.info.Nodes || sessions != x.info.Sessions || ended != x.info.Ended:
		return b.errorf("the counts of meta and footer differ")
	case word(4) != uint64(b.offset):
		return b.errorf("%d bytes were written before it", word(4))
	case binary.BigEndian.Uint32(f[5*8:]) != x.crc:
		return b.errorf("the checksum of all before it is %08x, the content has %08x", binary.BigEndian.Uint32(f[5*8:]), x.crc)
	}
	x.info.Digest, x.info.Bytes = word(3), x.bytes
	return nil
}

// summer is the sink that keeps the digests alone.
type summer struct {
	reader         nodeReader
	tree, sessions uint64
}

func (s *summer) begin(*Info) {}

func (s *summer) nodes(b *block) error {
	return s.reader.each(b, func(r *znode.Record) error {
		s.tree += r.Digest()
		return nil
	})
}

func (s *summer) session(r session.Record) error {
	s.sessions += r.Digest()
	return nil
}

func (s *summer) ended(e session.Ended) error {
	s.sessions += e.Digest()
	return nil
}
