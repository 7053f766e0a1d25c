package state

import (
	"fmt"
	"strings"

	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

// maxInFlight is how many blocks may be made into nodes beside each other: what
// reads and attaches them would be the bound for more.
const maxInFlight = 16

// builder is the sink that makes a machine. Blocks of nodes are decoded and made
// into nodes in goroutines of their own, while the next are read, and attached in
// their order: what comes out, an error too, is as if each had waited for the one
// before.
type builder struct {
	tree     *znode.Loader
	sessions *session.Loader
	zxid     uint64
	owners   []owner             // of ephemerals, each once
	known    map[uint64]struct{} // their sessions
	flight   []*part             // the oldest first
}

func newBuilder() *builder {
	return &builder{tree: znode.NewLoader(), sessions: session.NewLoader(), known: map[uint64]struct{}{}}
}

func (b *builder) begin(info *Info) { b.zxid = info.Zxid }

func (b *builder) nodes(k *block) error {
	p := &part{done: make(chan struct{}, 1)}
	if len(b.flight) == maxInFlight {
		p = b.flight[0]
		b.flight = append(b.flight[:0], b.flight[1:]...)
		if err := b.attach(p); err != nil {
			return err
		}
	}
	p.begin(b, k)
	b.flight = append(b.flight, p)
	go p.make()
	return nil
}

// drain attaches what is in flight. The error is of what comes before all that was
// read later.
func (b *builder) drain() (err error) {
	for _, p := range b.flight {
		if wrong := b.attach(p); err == nil {
			err = wrong
		}
	}
	b.flight = nil
	return err
}

func (b *builder) attach(p *part) error {
	<-p.done
	if at, err := b.tree.Attach(&p.run); err != nil {
		return p.block.wrongRecord(at, p.starts[at], err)
	}
	for _, o := range p.owners {
		if _, known := b.known[o.session]; !known {
			b.known[o.session] = struct{}{}
			b.owners = append(b.owners, o)
		}
	}
	return p.err
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
	for _, o := range b.owners {
		if _, alive := table.Get(o.session); !alive {
			return nil, fmt.Errorf("%q belongs to session %d, which is not alive", o.path, o.session)
		}
	}
	m := newMachine(tree, table)
	m.zxid, m.clockMs = info.Zxid, info.ClockMs
	return m, nil
}

// part is a block of nodes on its way into a tree.
type part struct {
	zxid   uint64 // of the image
	block  block
	buf    []byte // its payload
	reader nodeReader
	run    znode.Run
	starts []int // where each record begins
	owners []owner
	err    error // of the record behind those in run
	done   chan struct{}
}

// owner is a session with one of its ephemerals.
type owner struct {
	session uint64
	path    string
}

// begin copies the block.
func (p *part) begin(b *builder, k *block) {
	p.buf = append(p.buf[:0], k.b...)
	p.zxid, p.block, p.block.b = b.zxid, *k, p.buf
	p.starts, p.owners = p.starts[:0], p.owners[:0]
	p.run.Begin(b.tree)
}

func (p *part) make() {
	at := p.block.at
	p.err = p.reader.each(&p.block, func(r *znode.Record) error {
		p.starts = append(p.starts, at)
		at = p.block.at
		return p.node(r)
	})
	p.done <- struct{}{}
}

func (p *part) node(r *znode.Record) error {
	if newest := max(r.Stat.Mzxid, r.Stat.Pzxid); newest > p.zxid {
		return fmt.Errorf("%q was changed by zxid %d, the image is of %d", r.Path, newest, p.zxid)
	}
	if last := len(p.owners) - 1; r.Stat.Kind == znode.Ephemeral && (last < 0 || p.owners[last].session != r.Stat.Owner) {
		p.owners = append(p.owners, owner{r.Stat.Owner, strings.Clone(r.Path)})
	}
	return p.run.Add(r)
}
