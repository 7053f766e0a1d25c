package differential

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/lycaon-io/lycaon/protocol/jute"
)

const (
	answerWithin = 15 * time.Second
	dialWithin   = 5 * time.Second
	timeoutMs    = 40_000 // of a session
	maxAnswer    = 16 << 20
	maxHeard     = 100_000 // items of one step
)

// side is one of the two systems as one episode sees it. One goroutine uses it
// at a time.
type side struct {
	name   string
	addrs  []string // a client goes from one to the next when it attaches
	root   string   // what $ stands for
	ledger *ledger
	slots  []*client
	asked  int   // requests so far
	first  int64 // newest zxid when the episode began

	// tamper, if set, may change or drop what was received, or add to it.
	tamper func(frame []byte) [][]byte
}

func newSide(name string, addrs []string, slots int) *side {
	s := &side{name: name, addrs: addrs, ledger: newLedger()}
	for i := range slots {
		s.slots = append(s.slots, &client{hops: i})
	}
	return s
}

// do carries out one step and returns what was heard. An error is the
// harness's, never the system's.
func (s *side) do(st *step) ([]*item, error) {
	c := s.slots[st.Slot]
	s.asked++
	switch st.Kind {
	case stepOpen:
		return s.open(c, st)
	case stepAttach:
		return s.attach(c, st)
	case stepDrop:
		heard := s.barrier(c)
		return append(heard, c.hangUp()...), nil
	case stepSend:
		if c.conn == nil || len(st.Ops) == 0 {
			s.asked += len(st.Ops)
			return nil, nil
		}
		var heard []*item
		if len(s.addrs) > 1 {
			if heard = s.barrier(c); c.conn == nil {
				return heard, nil
			}
		}
		return append(heard, s.send(c, st.Ops)...), nil
	}
	if st.Kind == stepAwait && c.conn != nil {
		return s.await(c, st.Ops), nil
	}
	return nil, fmt.Errorf("a step of kind %q", st.Kind)
}

const (
	awaitWithin = 30 * time.Second
	askEvery    = 50 * time.Millisecond
)

// await asks until it is told NoNode, and hears the events and that reply.
func (s *side) await(c *client, ops []*op) (heard []*item) {
	number := s.asked
	for end := time.Now().Add(awaitWithin); time.Now().Before(end) && c.conn != nil; time.Sleep(askEvery) {
		s.asked = number
		for _, it := range s.send(c, ops) {
			if it.kind == itemReply && it.err != errNoNode {
				continue
			}
			if heard = append(heard, it); it.kind == itemReply {
				return heard
			}
		}
	}
	return append(heard, &item{kind: itemSilent})
}

func (s *side) open(c *client, st *step) ([]*item, error) {
	heard := s.barrier(c)
	heard = append(heard, c.hangUp()...)
	c.session, c.password, c.newest = 0, nil, 0
	welcome, err := s.greet(c, st)
	return append(heard, welcome), err
}

// attach connects again, while the former connection stands, and hears how that
// one ends.
func (s *side) attach(c *client, st *step) ([]*item, error) {
	if c.session == 0 {
		return nil, nil
	}
	heard := s.barrier(c)
	former := *c
	c.conn, c.hops = nil, c.hops+1
	welcome, err := s.greet(c, st)
	if err != nil {
		return heard, err
	}
	if former.conn != nil && c.conn != nil {
		heard = append(heard, s.receive(&former))
	}
	former.close()
	return append(heard, welcome), nil
}

// greet connects. A server of an ensemble that is behind what the client has seen
// closes without a word, and the client tries again.
func (s *side) greet(c *client, st *step) (*item, error) {
	for end := time.Now().Add(answerWithin); ; time.Sleep(askEvery) {
		it, err := s.hello(c, st)
		if err != nil || it.kind != itemClosed || len(s.addrs) == 1 || st.How == aheadOfServer || time.Now().After(end) {
			return it, err
		}
	}
}

// hello sends the hello of the client's session and reads the welcome.
func (s *side) hello(c *client, st *step) (*item, error) {
	conn, err := net.DialTimeout("tcp", s.addrs[c.hops%len(s.addrs)], dialWithin)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	c.conn, c.reader, c.ready, c.xid = conn, bufio.NewReader(conn), nil, 0
	hello := c.hello(st)
	if _, err := conn.Write(hello); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	frame, err := s.frame(c)
	if err != nil {
		c.close()
		return failedItem(err), nil
	}
	it, err := s.welcome(c, frame)
	if err != nil {
		c.close()
		return &item{kind: itemBroken, fields: []field{{"why", err.Error()}}}, nil
	}
	return it, nil
}

// welcome judges a ConnectResponse. A session that is gone has timeout 0.
func (s *side) welcome(c *client, frame []byte) (*item, error) {
	w, err := jute.DecodeConnectResponse(frame)
	if err != nil {
		return nil, err
	}
	if _, known := s.ledger.sessions[w.Session]; !known && c.session == 0 && w.Session != 0 {
		s.ledger.sessions[w.Session] = s.asked
	}
	it := &item{kind: itemWelcome}
	it.add("version", "%d", w.ProtocolVersion)
	it.add("timeout", "%d", w.TimeoutMs)
	it.add("session", "%s", s.ledger.session(w.Session))
	it.add("password", "%d bytes, zero %t", len(w.Password), strings.Trim(string(w.Password), "\x00") == "")
	it.add("readOnly", "%t", w.ReadOnly)
	it.add("bytes", "%d", len(frame))
	if w.TimeoutMs == 0 {
		it.add("then", "%s", s.ending(c))
		c.close()
		c.session = 0
		return it, nil
	}
	c.session, c.password = w.Session, slices.Clone(w.Password)
	return it, nil
}

// barrier hears everything that is on its way to a connection.
func (s *side) barrier(c *client) []*item {
	if c.conn == nil {
		return nil
	}
	return s.send(c, s.barrierOps())
}

// barrierOps asks for nothing but what went before: of one server by a ping, of
// one among several by a write that fails. ZooKeeper's sync would not do, since a
// leader answers it from what it has applied itself.
func (s *side) barrierOps() []*op {
	if len(s.addrs) > 1 {
		return failingOps
	}
	return pingOps
}

var pingOps, failingOps = []*op{{Op: opPing}}, []*op{{Op: opDelete, Path: "/nobody", Version: -1}}

// send sends ops at once and hears everything up to the last reply.
func (s *side) send(c *client, ops []*op) []*item {
	var out []byte
	var xids []int32
	for _, o := range ops {
		xid := c.xidOf(o)
		out = s.appendFrame(out, c, xid, o)
		xids = append(xids, xid)
	}
	wait := &waiting{ops: slices.Clone(ops), xids: xids}
	for range ops {
		s.asked++
		wait.numbers = append(wait.numbers, s.asked)
	}
	if err := s.write(c, out); err != nil && !ended(err) {
		c.close()
		return []*item{failedItem(err)}
	}
	heard := s.hear(c, wait)
	switch {
	case c.conn == nil:
	case closes(ops[len(ops)-1]):
		heard = append(heard, s.receive(c))
	case slices.ContainsFunc(heard, failedRenewal): // wherever it stands: a ping behind it may be answered before
		heard = append(heard, s.barrier(c)...) // to see whether the connection goes on
	}
	return heard
}

func failedRenewal(it *item) bool { return it.kind == itemReply && renews(it.op) && it.err != 0 }

// closes says that the connection ends with the reply.
func closes(o *op) bool { return o.Op == opCloseSession || !o.Op.known() }

func (s *side) write(c *client, out []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(answerWithin)); err != nil {
		return err
	}
	_, err := c.conn.Write(out)
	return err
}

// waiting are the requests of a step that have no reply yet.
type waiting struct {
	ops     []*op
	xids    []int32
	numbers []int // of the episode
}

// hear reads until every request has its reply, or the connection ends.
func (s *side) hear(c *client, wait *waiting) (heard []*item) {
	for len(wait.ops) > 0 && c.conn != nil && len(heard) < maxHeard {
		frame, err := s.frame(c)
		if err != nil {
			c.close()
			return append(heard, failedItem(err))
		}
		it, err := s.item(c, frame, wait)
		if err != nil {
			c.close()
			return append(heard, &item{kind: itemBroken, fields: []field{{"why", err.Error()}}})
		}
		heard = append(heard, it)
	}
	return heard
}

// receive hears one thing on a connection that waits for no reply; the end of
// it, usually.
func (s *side) receive(c *client) *item {
	frame, err := s.frame(c)
	if err != nil {
		c.close()
		return failedItem(err)
	}
	it, err := s.item(c, frame, &waiting{})
	if err != nil {
		c.close()
		return &item{kind: itemBroken, fields: []field{{"why", err.Error()}}}
	}
	return it
}
