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

func (c *conn) get(path string, level protocol.Consistency) {
	c.request(&protocol.Request{Op: protocol.OpGet, Consistency: level, Read: protocol.Read{Op: protocol.OpGet, Path: path}})
}

func (c *conn) set(body []byte) { c.request(&protocol.Request{Op: protocol.OpSet, Body: body}) }

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
func run(addrs []string, pids []int, w workload, length time.Duration) (result, error) {
	conns := make([]*conn, w.conns)
	for i := range conns {
		c, err := dial(addrs[(w.at+i)%len(addrs)])
		if err != nil {
			return result{}, err
		}
		defer c.Close()
		conns[i] = c
	}
	before, err := cpuOf(pids)
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	lat := make([][]time.Duration, w.conns)
	errs := make([]error, w.conns)
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() { lat[i], errs[i] = c.drive(w, rand.New(rand.NewPCG(1, uint64(i))), start.Add(length)) })
	}
	wg.Wait()
	elapsed := time.Since(start)
	after, err := cpuOf(pids)
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
func (c *conn) drive(w workload, rng *rand.Rand, deadline time.Time) ([]time.Duration, error) {
	bodies := make([][]byte, nodes)
	value := make([]byte, valueBytes)
	for i := range bodies {
		bodies[i] = protocol.AppendSet(nil, nodePath(i), value, znode.AnyVersion)
	}
	sent := make([]time.Time, w.depth)
	var lat []time.Duration
	for {
		now := time.Now()
		for open := now.Before(deadline); open && c.xid-c.acks < uint64(w.depth); {
			i := rng.IntN(nodes)
			if rng.IntN(100) < w.writes {
				c.set(bodies[i])
			} else {
				c.get(nodePath(i), w.level)
			}
			sent[c.xid%uint64(w.depth)] = now
		}
		if c.xid == c.acks {
			return lat, nil
		}
		if err := c.flush(); err != nil {
			return nil, err
		}
		for first := true; c.acks < c.xid && (first || c.in.Buffered() > 0); first = false {
			if err := c.receive(); err != nil {
				return nil, err
			}
			lat = append(lat, time.Since(sent[c.acks%uint64(w.depth)]))
		}
	}
}
