package state

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

// maxSizeHint bounds the room made for nodes that have not been read yet.
const maxSizeHint = 4 << 20

// ReadImage builds the machine that an image holds. It accepts a whole and
// undamaged image that ends where r ends, and nothing else: every block's
// checksum, every count, the rules of the tree and of the sessions, and at
// last the digest of what was built. The error names the block and the byte,
// and wraps ErrCorrupt or ErrUnknownFormat.
func ReadImage(r io.Reader) (*Machine, Info, error) {
	x := imageReader{blockReader: newBlockReader(r)}
	b := &builder{sessions: session.NewLoader()}
	if err := x.read(b); err != nil {
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

// VerifyImage checks an image like ReadImage, but for the rules among records,
// and without the memory of a machine.
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

// sink takes the records of an image. They are valid during the call alone.
type sink interface {
	begin(info *Info)
	node(r znode.Record) error
	session(r session.Record) error
	ended(e session.Ended) error
}

type imageReader struct {
	*blockReader
	info  Info
	seen  Info // what was counted
	nodes nodeReader
	room  []session.Outcome
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
		if err := x.records(b, to); err != nil {
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

func (x *imageReader) records(b *block, to sink) error {
	if b.records == 0 {
		return b.errorf("it is empty")
	}
	x.nodes.reset()
	for i := range b.records {
		start := b.at
		err := x.record(b, to)
		if b.bad {
			return b.errorf("record %d at byte %d of the payload is malformed", i, start)
		}
		if err != nil {
			return b.errorf("record %d at byte %d of the payload: %w", i, start, err)
		}
	}
	if b.at != len(b.b) {
		return b.errorf("%d bytes follow its %d records", len(b.b)-b.at, b.records)
	}
	return nil
}

// record hands one record to the sink, unless it is malformed.
func (x *imageReader) record(b *block, to sink) error {
	switch b.section {
	case sectionNodes:
		x.seen.Nodes++
		if r := x.nodes.read(&b.cursor); !b.bad {
			return to.node(r)
		}
	case sectionSessions:
		x.seen.Sessions++
		r := readSession(&b.cursor, x.room)
		x.room = r.Outcomes
		if !b.bad {
			return to.session(r)
		}
	case sectionEnded:
		x.seen.Ended++
		if e := readEnded(&b.cursor); !b.bad {
			return to.ended(e)
		}
	}
	return nil
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

// builder is the sink that makes a machine.
type builder struct {
	tree     *znode.Loader
	sessions *session.Loader
	zxid     uint64
	owners   map[uint64]string // session of an ephemeral, to one of its paths
}

func (b *builder) begin(info *Info) {
	b.tree = znode.NewLoader(min(max(info.Nodes, 0), maxSizeHint))
	b.zxid, b.owners = info.Zxid, map[uint64]string{}
}

func (b *builder) node(r znode.Record) error {
	if newest := max(r.Stat.Mzxid, r.Stat.Pzxid); newest > b.zxid {
		return fmt.Errorf("%q was changed by zxid %d, the image is of %d", r.Path, newest, b.zxid)
	}
	if _, seen := b.owners[r.Stat.Owner]; r.Stat.Kind == znode.Ephemeral && !seen {
		b.owners[r.Stat.Owner] = strings.Clone(r.Path)
	}
	return b.tree.Add(r)
}

func (b *builder) session(r session.Record) error {
	if r.ID > b.zxid {
		return fmt.Errorf("session %d was opened after zxid %d, of which the image is", r.ID, b.zxid)
	}
	return b.sessions.Add(r)
}

func (b *builder) ended(e session.Ended) error { return b.sessions.AddEnded(e) }

func (b *builder) machine(info *Info) (*Machine, error) {
	tree, err := b.tree.Tree()
	if err != nil {
		return nil, err
	}
	table := b.sessions.Table()
	for owner, path := range b.owners {
		if _, alive := table.Get(owner); !alive {
			return nil, fmt.Errorf("%q belongs to session %d, which is not alive", path, owner)
		}
	}
	m := newMachine(tree, table)
	m.zxid, m.clockMs = info.Zxid, info.ClockMs
	return m, nil
}

// summer is the sink that keeps the digests alone.
type summer struct{ tree, sessions uint64 }

func (s *summer) begin(*Info) {}

func (s *summer) node(r znode.Record) error {
	s.tree += r.Digest()
	return nil
}

func (s *summer) session(r session.Record) error {
	s.sessions += r.Digest()
	return nil
}

func (s *summer) ended(e session.Ended) error {
	s.sessions += e.Digest()
	return nil
}
