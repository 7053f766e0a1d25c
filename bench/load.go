package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// workload is one row of the table.
type workload struct {
	name   string
	conns  int
	depth  int // requests in flight on each connection
	writes int // per cent
	level  protocol.Consistency
	at     int // of a single connection: 0 the leader, 1 a follower
}

var workloads = []workload{
	{name: "writes 1x1", conns: 1, depth: 1, writes: 100},
	{name: "writes 1x1 at a follower", conns: 1, depth: 1, writes: 100, at: 1},
	{name: "reads 1x1", conns: 1, depth: 1},
	{name: "reads 1x1 at a follower", conns: 1, depth: 1, at: 1},
	{name: "writes 32x32", conns: 32, depth: 32, writes: 100},
	{name: "mixed 50% 32x32", conns: 32, depth: 32, writes: 50},
	{name: "reads 32x32", conns: 32, depth: 32},
	{name: "linearizable reads 32x32", conns: 32, depth: 32, level: protocol.Linearizable},
}

const (
	valueBytes = 1024
	nodes      = 1024
)

func nodePath(i int) string { return fmt.Sprintf("/bench/node-%06d", i) }

// pipe is a connection with several requests in flight.
type pipe interface {
	get(node int, level protocol.Consistency)
	set(node int)
	flush() error   // sends what get and set have made
	receive() error // takes the answer to the oldest request
	asked() uint64
	answered() uint64
	buffered() bool // whether the next answer has arrived
	Close() error
}

// conn is one raw connection: frames in, frames out, nothing between.
type conn struct {
	net.Conn
	in   *bufio.Reader
	out  []byte
	buf  []byte
	xid  uint64
	acks uint64 // answers received: all xids up to it
}

func dial(addr string) (*conn, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, in: bufio.NewReaderSize(nc, 64<<10)}
	c.out = append(c.out, protocol.Magic[:]...)
	c.out = protocol.AppendHello(c.out, &protocol.Hello{
		MinVersion: protocol.Version, MaxVersion: protocol.Version,
		Mode: protocol.HelloOpen, Client: "bench", TimeoutMs: 30_000,
	})
	if err := c.flush(); err != nil {
		return nil, err
	}
	frame, err := protocol.ReadFrame(c.in, nil, protocol.DefaultLimits().MaxFrame)
	if err != nil {
		return nil, err
	}
	welcome, err := protocol.DecodeWelcome(frame)
	if err != nil {
		return nil, err
	}
	if welcome.Code != protocol.OK {
		return nil, fmt.Errorf("refused: %v %s", welcome.Code, welcome.Detail)
	}
	return c, nil
}

func (c *conn) flush() error {
	_, err := c.Write(c.out)
	c.out = c.out[:0]
	return err
}

// receive reads one reply and fails unless it is the next one and good.
func (c *conn) receive() error {
	frame, err := protocol.ReadFrame(c.in, c.buf, protocol.DefaultLimits().MaxFrame)
	if err != nil {
		return err
	}
	c.buf = frame[:0]
	// The header alone: a client that decodes more would be what is measured.
	if len(frame) < 24 {
		return fmt.Errorf("a frame of %d bytes", len(frame))
	}
	kind, code, xid := frame[0], int32(binary.BigEndian.Uint32(frame[4:])), binary.BigEndian.Uint64(frame[8:])
	if protocol.MessageKind(kind) != protocol.Reply || xid != c.acks+1 {
		return fmt.Errorf("want the reply to xid %d, got kind %d xid %d", c.acks+1, kind, xid)
	}
	c.acks++
	if code != 0 {
		return fmt.Errorf("xid %d: code %d", xid, code)
	}
	return nil
}

func (c *conn) request(r *protocol.Request) {
	c.xid++
	r.Xid = c.xid
	if r.Op.IsWrite() {
		r.Arg = c.acks + 1
	}
	c.out = protocol.AppendRequest(c.out, r)
}

func (c *conn) get(node int, level protocol.Consistency) {
	c.request(&protocol.Request{Op: protocol.OpGet, Consistency: level, Read: protocol.Read{Op: protocol.OpGet, Path: nodePath(node)}})
}

func (c *conn) set(node int) {
	c.request(&protocol.Request{Op: protocol.OpSet, Body: setBodies()[node]})
}

// setBodies are encoded once: the server is what is measured.
var setBodies = sync.OnceValue(func() [][]byte {
	bodies := make([][]byte, nodes)
	for i := range bodies {
		bodies[i] = protocol.AppendSet(nil, nodePath(i), make([]byte, valueBytes), znode.AnyVersion)
	}
	return bodies
})

func (c *conn) asked() uint64    { return c.xid }
func (c *conn) answered() uint64 { return c.acks }
func (c *conn) buffered() bool   { return c.in.Buffered() > 0 }

func dialPipe(addr string) (pipe, error) { return dial(addr) }

// prepare creates the nodes that every workload reads and writes.
func prepare(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	value := make([]byte, valueBytes)
	create := func(path string, data []byte) {
		body := protocol.AppendCreate(nil, &znode.CreateOp{Path: path, Data: data, ACL: znode.OpenACL, IfAbsent: true})
		c.request(&protocol.Request{Op: protocol.OpCreate, Body: body})
	}
	create("/bench", nil)
	for i := range nodes {
		create(nodePath(i), value)
		if c.xid-c.acks >= 100 || i == nodes-1 {
			if err := c.flush(); err != nil {
				return err
			}
			for c.acks < c.xid {
				if err := c.receive(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// result is what one run of one workload gave.
type result struct {
	ops      int
	elapsed  time.Duration
	cpu      time.Duration // of the servers
	p50, p99 time.Duration
}

func (r result) rate() float64    { return float64(r.ops) / r.elapsed.Seconds() }
func (r result) cpuPerK() float64 { return r.cpu.Seconds() / float64(r.ops) * 1000 }

// run spreads the connections over the servers.
func (t *target) run(w workload, length time.Duration) (result, error) {
	pipes := make([]pipe, w.conns)
	for i := range pipes {
		p, err := t.dial(t.addrs[(w.at+i)%len(t.addrs)])
		if err != nil {
			return result{}, err
		}
		defer p.Close()
		pipes[i] = p
	}
	before, err := cpuOf(t.pids)
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	lat := make([][]time.Duration, w.conns)
	errs := make([]error, w.conns)
	var wg sync.WaitGroup
	for i, p := range pipes {
		wg.Go(func() { lat[i], errs[i] = drive(p, w, rand.New(rand.NewPCG(1, uint64(i))), start.Add(length)) })
	}
	wg.Wait()
	elapsed := time.Since(start)
	after, err := cpuOf(t.pids)
	if err := errors.Join(append(errs, err)...); err != nil {
		return result{}, err
	}
	all := slices.Concat(lat...)
	slices.Sort(all)
	if len(all) == 0 {
		return result{}, errors.New("no operation was answered")
	}
	return result{ops: len(all), elapsed: elapsed, cpu: after - before, p50: all[len(all)/2], p99: all[len(all)*99/100]}, nil
}

// drive keeps depth requests in flight until the deadline, then waits for the
// last answers: a closed loop, one write call for what an answer batch frees.
func drive(p pipe, w workload, rng *rand.Rand, deadline time.Time) ([]time.Duration, error) {
	sent := make([]time.Time, w.depth)
	var lat []time.Duration
	for {
		now := time.Now()
		for open := now.Before(deadline); open && p.asked()-p.answered() < uint64(w.depth); {
			i := rng.IntN(nodes)
			if rng.IntN(100) < w.writes {
				p.set(i)
			} else {
				p.get(i, w.level)
			}
			sent[p.asked()%uint64(w.depth)] = now
		}
		if p.asked() == p.answered() {
			return lat, nil
		}
		if err := p.flush(); err != nil {
			return nil, err
		}
		for first := true; p.answered() < p.asked() && (first || p.buffered()); first = false {
			if err := p.receive(); err != nil {
				return nil, err
			}
			lat = append(lat, time.Since(sent[p.answered()%uint64(w.depth)]))
		}
	}
}
