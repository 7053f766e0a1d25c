package state

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// generator makes transactions that meet each rule often: it looks into the
// oracle for what would succeed, and strays from that on purpose.
type generator struct {
	rng     *rand.Rand
	o       *oracle
	clients []*client
	gone    []uint64 // sessions that ended
	hoarder *client  // acknowledges nothing until its session is full
	known   []string // paths that were created, many of them deleted since
	hashes  uint64
}

// client is what a session's client remembers.
type client struct {
	id   uint64
	hash [32]byte
	who  []znode.Identity
	xid  uint64
	ack  uint64
	sent []*action // the last ones, answered or not
}

var (
	alice = znode.Identity{Scheme: "digest", ID: "alice:aGFzaA=="}
	bob   = znode.Identity{Scheme: "digest", ID: "bobby:b3RoZXI="} // as long as alice
	carol = znode.Identity{Scheme: "sasl", ID: "carol"}
	david = znode.Identity{Scheme: "x509", ID: "CN=david,O=x"}
	near  = znode.Identity{Scheme: "ip", ID: "10.1.2.3"}
	far   = znode.Identity{Scheme: "ip", ID: "192.168.0.9"}
	root  = znode.Identity{Scheme: "super", ID: ""}

	actorsOfModel = [][]znode.Identity{{near, alice}, {near, bob}, {near, alice}, {far, bob}, {far, alice, bob}, {far, carol, david}, {near, david}, {near}, {far}, {near, root}, {far, root}, nil}

	open     = znode.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}
	someACLs = []znode.ACL{
		{{Perms: 1, Scheme: "world", ID: "anyone"}},
		{{Perms: 31, Scheme: "auth", ID: ""}, {Perms: 1, Scheme: "world", ID: "anyone"}},
		{{Perms: 31, Scheme: "digest", ID: alice.ID}, {Perms: 31, Scheme: "digest", ID: alice.ID}},
		{{Perms: 31, Scheme: "digest", ID: bob.ID}, {Perms: 5, Scheme: "world", ID: "anyone"}},
		{{Perms: 31, Scheme: "ip", ID: "10.0.0.0/8"}},
		{{Perms: 30, Scheme: "world", ID: "anyone"}},
		{{Perms: 15, Scheme: "world", ID: "anyone"}},
		{{Perms: 31, Scheme: "sasl", ID: carol.ID}, {Perms: 7, Scheme: "world", ID: "anyone"}},
		{{Perms: 31, Scheme: "x509", ID: david.ID}, {Perms: 29, Scheme: "world", ID: "anyone"}},
		{{Perms: 31, Scheme: "sasl", ID: ""}},
		{{Perms: 31, Scheme: "host", ID: "x"}},
		{{Perms: 31, Scheme: "world", ID: "nobody"}},
		nil,
	}
	badPaths    = []string{"", "a", "/a/", "/a//b", "/a/../b", "/a\x00", "/./b", "/a\ue000", "//"}
	systemPaths = []string{"/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"}
	names       = []string{"a", "b", "c", "d", "e", "f", "gg", "h-"}
)

// badPath is the rule as far as the generator breaks it.
func badPath(path string) bool {
	if path == "/" {
		return false
	}
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "\x00\ue000") {
		return true
	}
	for _, name := range strings.Split(path[1:], "/") {
		if name == "" || name == "." || name == ".." {
			return true
		}
	}
	return false
}

func (g *generator) chance(perMille int) bool { return g.rng.IntN(1000) < perMille }

func pick[T any](g *generator, from []T) T { return from[g.rng.IntN(len(from))] }

// next makes a transaction, which the caller then applies.
func (g *generator) next() *action {
	g.forgetEnded()
	if len(g.clients) < 4 {
		return g.open()
	}
	switch p := g.rng.IntN(1000); {
	case p < 4 && len(g.clients) < 12:
		return g.open()
	case p < 6:
		return &action{txn: Txn{Kind: TxnOpen, PasswordHash: pick(g, g.clients).hash, TimeoutMs: 9}}
	case p < 20:
		return g.attach()
	case p < 28:
		return g.expire()
	case p < 45:
		return g.reap()
	case p < 48:
		return &action{txn: Txn{Kind: TxnNoop, Origin: 7, Ticket: 8}}
	case p < 51:
		members := []string{"", "server.1=a:1:1:participant;a:2\n", "server.1=a:1:1:participant\nserver.2=b:1:1:observer\n"}
		return &action{txn: Txn{Kind: TxnConfig, Members: pick(g, members)}}
	case p < 54:
		if c := pick(g, g.clients); c != g.hoarder {
			return g.write(c, protocol.OpCloseSession, nil)
		}
	case p < 59 && len(g.gone) > 0:
		lost := &client{id: pick(g, g.gone)}
		return g.write(lost, protocol.OpCheck, []protocol.WriteOp{{Op: protocol.OpCheck, Path: "/"}})
	case p < 89:
		if a := g.resend(); a != nil {
			return a
		}
	}
	return g.fresh()
}

func (g *generator) forgetEnded() {
	g.clients = slices.DeleteFunc(g.clients, func(c *client) bool {
		if g.o.sessions[c.id] != nil {
			return false
		}
		g.gone = append(g.gone[max(0, len(g.gone)-50):], c.id)
		return true
	})
	if g.hoarder == nil || !slices.Contains(g.clients, g.hoarder) {
		g.hoarder = nil
		if len(g.clients) > 0 {
			g.hoarder = g.clients[len(g.clients)-1]
		}
	}
}

func (g *generator) open() *action {
	g.hashes++
	c := &client{id: g.o.zxid + 1, who: pick(g, actorsOfModel)}
	binary.BigEndian.PutUint64(c.hash[:], g.hashes)
	g.clients = append(g.clients, c)
	most := int64(0)
	if g.chance(600) {
		most = int64(1 + g.rng.IntN(5))
	}
	return &action{txn: Txn{Kind: TxnOpen, Origin: 7, Ticket: 1, PasswordHash: c.hash, TimeoutMs: 1000 + int64(g.rng.IntN(9)), MaxEphemerals: most}}
}

func (g *generator) attach() *action {
	c := pick(g, g.clients)
	s := g.o.sessions[c.id]
	t := Txn{Kind: TxnAttach, Session: c.id, PasswordHash: c.hash, Attempt: s.attempt + 1, TimeoutMs: 2000 + int64(g.rng.IntN(9)), Ack: c.ack}
	switch g.rng.IntN(10) {
	case 0, 1:
		t.Attempt = s.attempt
	case 2:
		t.Attempt = max(s.attempt, 1) - 1
	case 3:
		t.PasswordHash[31] ^= 1
	case 4:
		if len(g.gone) > 0 {
			t.Session = pick(g, g.gone)
		}
	}
	return &action{txn: t}
}

func (g *generator) expire() *action {
	c := pick(g, g.clients)
	t := Txn{Kind: TxnExpire, Session: c.id, Generation: g.o.sessions[c.id].generation, Cause: "no word for 1000 ms"}
	switch p := g.rng.IntN(10); {
	case c == g.hoarder && !g.chance(20), p < 4:
		t.Generation--
	case p < 6 && len(g.gone) > 0:
		t.Session = pick(g, g.gone)
	}
	return &action{txn: t}
}

func (g *generator) reap() *action {
	path := g.path()
	for range 40 {
		if n := g.o.nodes[path]; n != nil && n.mortal() {
			break
		}
		path = g.path()
	}
	t := Txn{Kind: TxnReap, Path: path}
	if n := g.o.nodes[path]; n != nil && g.chance(900) {
		t.Mzxid, t.Pzxid = n.stat.Mzxid, n.stat.Pzxid
		switch g.rng.IntN(8) {
		case 0:
			t.Mzxid--
		case 1:
			t.Pzxid--
		}
	}
	return &action{txn: t}
}

// write wraps steps into a transaction of c's session.
func (g *generator) write(c *client, op protocol.Op, steps []protocol.WriteOp) *action {
	a := &action{ids: c.who, steps: steps}
	a.txn = Txn{
		Kind: TxnWrite, Session: c.id, Generation: 1, Seq: 1, Ack: c.ack, Op: op,
		IDs: protocol.AppendIdentities(nil, a.ids),
	}
	if op == protocol.OpMulti {
		a.txn.Body = protocol.AppendMulti(nil, steps)
	} else {
		w := protocol.WriteOp{Op: op}
		if len(steps) > 0 {
			w = steps[0]
		}
		a.txn.Body = protocol.AppendWrite(nil, &w)
	}
	if s := g.o.sessions[c.id]; s != nil {
		a.txn.Generation, a.txn.Seq = s.generation, s.nextSeq
	}
	if !g.chance(30) {
		c.xid++
		a.txn.Xid = c.xid
	}
	return a
}

// fresh makes a write that its client has not sent before.
func (g *generator) fresh() *action {
	c, multi := pick(g, g.clients), 200
	if g.chance(250) {
		c = g.hoarder
	}
	if c == g.hoarder {
		multi = 90 + int(c.id%2)*260 // full by the count or by the bytes
	}
	op, steps := protocol.OpMulti, []protocol.WriteOp(nil)
	if g.chance(multi) {
		for range g.rng.IntN(7) {
			steps = append(steps, g.step(steps))
		}
	} else {
		steps = []protocol.WriteOp{g.step(nil)}
		if g.chance(20) {
			steps[0] = g.raise()
		}
		op = steps[0].Op
	}
	a := g.write(c, op, steps)
	if op == protocol.OpMulti && c != g.hoarder && g.chance(300) {
		a.brief, a.txn.Body = true, protocol.AppendBriefMulti(nil, steps)
	}
	g.acknowledge(c)
	g.stray(a)
	if a.txn.Xid != 0 {
		c.sent = append(c.sent[max(0, len(c.sent)-40):], a)
	}
	return a
}

// acknowledge moves on what c will tell with its next write.
func (g *generator) acknowledge(c *client) {
	switch {
	case c != g.hoarder:
		c.ack = max(c.ack, c.xid-min(c.xid, uint64(g.rng.IntN(12))))
	case g.full(c) && g.chance(50):
		c.ack = c.xid - min(c.xid, uint64(g.rng.IntN(300)))
	}
}

func (g *generator) full(c *client) bool {
	s := g.o.sessions[c.id]
	return len(s.outcomes) >= 1024 || s.bytes > 250<<10
}

// stray breaks the order of the lane, or the bytes.
func (g *generator) stray(a *action) {
	t := &a.txn
	switch p := g.rng.IntN(1000); {
	case p < 10:
		t.Seq -= min(t.Seq, uint64(1+g.rng.IntN(3)))
	case p < 20:
		t.Seq += uint64(1 + g.rng.IntN(3))
	case p < 28:
		t.Generation -= uint64(1 + g.rng.IntN(2))
	case p < 30:
		t.Generation++
	case p < 34:
		t.Body, a.garbled = t.Body[:len(t.Body)-1], true
	case p < 36:
		t.IDs, a.garbled = append(slices.Clone(t.IDs), 0xc1), true
	}
}

// resend repeats a write under the session's present generation.
func (g *generator) resend() *action {
	c := pick(g, g.clients)
	if len(c.sent) == 0 {
		return nil
	}
	a := *pick(g, c.sent)
	s := g.o.sessions[c.id]
	a.txn.Generation, a.txn.Seq, a.txn.Ack = s.generation, s.nextSeq, c.ack
	return &a
}
