package replicate

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/state"
)

// ErrNoSource says that this server's own snapshots do not do and that nobody
// else could give one.
var ErrNoSource = errors.New("replicate: no usable snapshot, here or elsewhere")

// raft sends a snapshot to a server whose log does not reach, and would be
// made to by throwing the log away; but a server that has forgotten entries it
// has acknowledged can elect a leader that lacks them. So the log stays, and
// the snapshot alone is asked for, over a stream of its own: the least index
// that will do, 8 bytes; then a head and the file.

const (
	imageStall    = 10 * time.Second // without a byte
	imagePrepare  = time.Minute      // for the other to take a snapshot
	imagePiece    = 64 << 10
	maxHeadBytes  = 1 << 20
	logReachTime  = 30 * time.Second // for the own log to reach a fetched snapshot
	logReachEvery = 20 * time.Millisecond
)

type imageHead struct {
	Refused string `json:",omitempty"`
	Meta    raft.SnapshotMeta
}

// secureSnapshot sees to it that the newest snapshot here is whole and that
// the log goes on from it, so that a rebuild makes the right machine.
func (g *guard) secureSnapshot(diverged bool) error {
	newest, lacking := g.ownSnapshot(diverged)
	if lacking == nil {
		if diverged {
			g.note(newest.ID)
		}
		return nil
	}
	g.n.cfg.Logger.Warn("this server's snapshots do not do; it asks the others for one", "why", lacking)
	failed := ErrNoSource
	for _, id := range g.sources() {
		err := g.fetch(id, newest.Index)
		if err == nil {
			g.counts.fetched.Add(1)
			return nil
		}
		failed = fmt.Errorf("%w; server %d: %w", failed, id, err)
	}
	failed = fmt.Errorf("%w; of its own: %w", failed, lacking)
	if len(g.n.others()) == 0 {
		g.n.fail(failed) // nobody will ever help
	}
	return failed
}

func (g *guard) note(snapshot string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.suspect = snapshot
}

// ownSnapshot is the newest snapshot here, and why it does not do. Its index
// is also the least that another's must have. A machine that differs from the
// others' may have been that of its snapshot already: the same one is not
// tried twice.
func (g *guard) ownSnapshot(diverged bool) (newest raft.SnapshotMeta, lacking error) {
	first, err := g.n.store.FirstIndex()
	if err != nil {
		return newest, err
	}
	all, err := g.n.snaps.List()
	if err != nil {
		return newest, err
	}
	if len(all) > 0 {
		newest = *all[0]
	}
	g.mu.Lock()
	tried := len(all) > 0 && newest.ID == g.suspect
	g.mu.Unlock()
	if first > newest.Index+1 {
		lacking = fmt.Errorf("the log begins at %d, the newest snapshot ends at %d", first, newest.Index)
		newest.Index = first - 1
		return newest, lacking
	}
	switch {
	case len(all) == 0:
		return newest, nil // the log is whole
	case diverged && tried:
		return newest, fmt.Errorf("snapshot %s led to another state than that of the majority", newest.ID)
	}
	return newest, g.verify(newest.ID)
}

func (g *guard) verify(snapshot string) error {
	_, r, err := g.n.snaps.Open(snapshot)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = state.VerifyImage(r)
	return err
}

// sources are the other members, the leader first: it is in the majority.
func (g *guard) sources() []uint64 {
	ids := g.n.others()
	leader, _ := g.n.Leader()
	for i, id := range ids {
		if id == leader {
			ids[0], ids[i] = ids[i], ids[0]
		}
	}
	return ids
}

// fetch puts a snapshot of another server, which ends at index least or later,
// beside our own as the newest.
func (g *guard) fetch(id, least uint64) error {
	to, ok := g.n.target(id)
	if !ok {
		return fmt.Errorf("server %d is no member", id)
	}
	conn, err := g.n.cfg.Peers.Dial(g.ctx, peer.Image, to)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(g.ctx, func() { conn.Close() })()
	if _, err := conn.Write(binary.BigEndian.AppendUint64(nil, least)); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(imagePrepare + imageStall))
	head, err := readHead(conn)
	if err != nil {
		return err
	}
	if head.Meta.Index < least {
		return fmt.Errorf("its snapshot ends at %d, %d is the least that will do", head.Meta.Index, least)
	}
	if err := g.awaitLog(head.Meta.Index); err != nil {
		return err
	}
	m := &head.Meta
	sink, err := g.n.snaps.Create(m.Version, m.Index, m.Term, m.Configuration, m.ConfigurationIndex, nil)
	if err != nil {
		return err
	}
	_, err = io.CopyN(sink, lively{conn}, m.Size)
	if err == nil {
		err = sink.Close() // reads it back and verifies it
	}
	if err != nil {
		return errors.Join(err, sink.Cancel())
	}
	g.n.cfg.Logger.Info("took a snapshot from another server", "server", id, "index", m.Index, "bytes", m.Size)
	return nil
}

// awaitLog waits until the log here reaches a snapshot: raft goes on with the
// entries behind it.
func (g *guard) awaitLog(index uint64) error {
	for deadline := time.Now().Add(logReachTime); ; {
		last, err := g.n.store.LastIndex()
		if err != nil || last >= index {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: the log is at entry %d, the snapshot of another server ends at %d", ErrDeadline, last, index)
		}
		select {
		case <-time.After(logReachEvery):
		case <-g.ctx.Done():
			return ErrClosed
		}
	}
}

// lively gives up on a sender that is silent.
type lively struct{ net.Conn }

func (l lively) Read(b []byte) (int, error) {
	_ = l.SetReadDeadline(time.Now().Add(imageStall))
	return l.Conn.Read(b)
}

func (l lively) Write(b []byte) (int, error) {
	_ = l.SetWriteDeadline(time.Now().Add(imageStall))
	return l.Conn.Write(b)
}

// giveImages serves one server after the other: it is rare.
func (g *guard) giveImages(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		stop := context.AfterFunc(g.ctx, func() { conn.Close() })
		if err := g.give(lively{conn}); err != nil {
			g.n.cfg.Logger.Warn("a snapshot could not be given to another server", "error", err)
		} else {
			g.counts.given.Add(1)
		}
		stop()
		conn.Close()
	}
}

func (g *guard) give(conn net.Conn) error {
	var least [8]byte
	if _, err := io.ReadFull(conn, least[:]); err != nil {
		return err
	}
	meta, r, err := g.snapshotFrom(binary.BigEndian.Uint64(least[:]))
	if err != nil {
		return errors.Join(err, writeHead(conn, imageHead{Refused: err.Error()}))
	}
	defer r.Close()
	if err := writeHead(conn, imageHead{Meta: *meta}); err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{conn}, bufio.NewReaderSize(r, imagePiece), make([]byte, imagePiece))
	return err
}

// snapshotFrom opens a whole snapshot that ends at least there, and takes one
// if it must.
func (g *guard) snapshotFrom(least uint64) (*raft.SnapshotMeta, io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(g.ctx, imagePrepare)
	defer cancel()
	for taken := false; ; taken = true {
		if err := g.condemned(); err != nil {
			return nil, nil, err
		}
		all, err := g.n.snaps.List()
		if err != nil {
			return nil, nil, err
		}
		if len(all) > 0 && all[0].Index >= least && g.verify(all[0].ID) == nil {
			return g.n.snaps.Open(all[0].ID)
		}
		if taken {
			return nil, nil, fmt.Errorf("no whole snapshot that ends at %d or later", least)
		}
		if err := g.n.Snapshot(ctx); err != nil {
			return nil, nil, err
		}
	}
}

func writeHead(w io.Writer, h imageHead) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

func readHead(r io.Reader) (h imageHead, err error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return h, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxHeadBytes {
		return h, fmt.Errorf("a head of %d bytes, the bound is %d", n, maxHeadBytes)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return h, err
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return h, err
	}
	if h.Refused != "" {
		return h, errors.New(h.Refused)
	}
	return h, nil
}
