package state

import (
	"fmt"
	"strings"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

const (
	// maxInFlight is how many blocks may be made into nodes beside each other: what
	// reads and attaches them would be the bound for more.
	maxInFlight = 16
	// maxFlightBytes bounds their payloads, of which one may be larger.
	maxFlightBytes = 4 * maxInFlight * blockBytes
)

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
	room     []*part             // attached, and small enough to be used again
	bytes    int                 // of payloads in flight
	err      error               // the first in the order of the file; nothing is attached behind it
}

func newBuilder() *builder {
	return &builder{tree: znode.NewLoader(), sessions: session.NewLoader(), known: map[uint64]struct{}{}}
}

func (b *builder) begin(info *Info) { b.zxid = info.Zxid }

func (b *builder) nodes(k *block) error {
	for !mutant.On(mutant.Greedy) && (len(b.flight) == maxInFlight || len(b.flight) > 0 && b.bytes+len(k.b) > maxFlightBytes) {
		b.land()
	}
	if b.err != nil {
		return b.err
	}
	p := b.part()
	p.begin(b, k)
	b.flight = append(b.flight, p)
	b.bytes += len(p.buf)
	go p.make()
	return nil
}

func (b *builder) part() *part {
	last := len(b.room) - 1
	if last < 0 {
		return &part{done: make(chan struct{}, 1)}
	}
	p := b.room[last]
	b.room = b.room[:last]
	return p
}

// drain has all in flight attached.
func (b *builder) drain() error {
	for len(b.flight) > 0 {
		b.land()
	}
	b.room = nil
	return b.err
}

// land waits for the oldest in flight and attaches it.
func (b *builder) land() {
	p := b.flight[0]
	b.flight = append(b.flight[:0], b.flight[1:]...)
	b.bytes -= len(p.buf)
	<-p.done
	if b.err == nil {
		b.err = b.attach(p)
	}
	if cap(p.buf) <= 2*blockBytes {
		b.room = append(b.room, p)
	}
}

func (b *builder) attach(p *part) error {
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
		if _, alive := table.Get(o.session); !alive && !mutant.On(mutant.AnyOwner) {
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
