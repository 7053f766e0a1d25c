package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// workload is what is asked of servers, and by how many.
type workload struct {
	name   string
	conns  int
	depth  int // requests in flight on each connection
	writes int // per cent
	level  protocol.Consistency
	at     int // of a single connection: 0 the leader, 1 a follower
}

const (
	valueBytes = 1024
	nodes      = 1024
)

func nodePath(i int) string { return nodePaths[i] }

// nodePaths are made once, as is all that is sent often: the servers are what is
// measured.
var nodePaths = func() (paths [nodes]string) {
	for i := range paths {
		paths[i] = fmt.Sprintf("/bench/node-%06d", i)
	}
	return paths
}()

// pipe is a connection with several requests in flight.
type pipe interface {
	get(node int, level protocol.Consistency)
	set(node int)
	create(path string, data []byte)
	createAll(paths []string, data []byte)         // in one transaction
	flush() error                                  // sends what was asked for
	receive() error                                // takes the answer to the oldest request
	await(until time.Time) (there bool, err error) // whether an answer has begun to arrive by then
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

func dial(addr string, buffer int) (*conn, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return greet(nc, buffer, sessionLength.Milliseconds())
}

// What a connection reads into. A large one for each of thousands of short sessions
// would cost more than all else that this program does for them.
const (
	wholeBuffer = 64 << 10 // takes the answers to many requests at once
	smallBuffer = 4 << 10  // of a connection with a request at a time, or of one of very many
)

// greet opens a session on a connection, which it closes if that fails.
func greet(nc net.Conn, buffer int, timeoutMs int64) (c *conn, err error) {
	defer func() {
		if err != nil {
			nc.Close()
		}
	}()
	c = &conn{Conn: nc, in: bufio.NewReaderSize(nc, buffer)}
	c.out = appendGreeting(c.out, timeoutMs)
	if err := c.flush(); err != nil {
		return nil, err
	}
	frame, err := protocol.ReadFrame(c.in, nil, protocol.DefaultLimits().MaxFrame)
	if err != nil {
		return nil, err
	}
	if err := checkWelcome(frame); err != nil {
		return nil, err
	}
	return c, nil
}

// appendGreeting appends what opens a session.
func appendGreeting(b []byte, timeoutMs int64) []byte {
	return protocol.AppendHello(append(b, protocol.Magic[:]...), &protocol.Hello{
		MinVersion: protocol.Version, MaxVersion: protocol.Version,
		Mode: protocol.HelloOpen, Client: "bench", TimeoutMs: timeoutMs,
	})
}

func checkWelcome(frame []byte) error {
	welcome, err := protocol.DecodeWelcome(frame)
	if err == nil && welcome.Code != protocol.OK {
		err = fmt.Errorf("refused: %v %s", welcome.Code, welcome.Detail)
	}
	return err
}

func (c *conn) flush() error {
	_, err := c.Write(c.out)
	c.out = c.out[:0]
	return err
}

// receive reads one reply and fails unless it is the next one and good.
func (c *conn) receive() error {
	frame, err := nextFrame(c.in, &c.buf, protocol.DefaultLimits().MaxFrame)
	if err != nil {
		return err
	}
	err = checkReply(frame, c.acks+1)
	if err == nil || refused(err) {
		c.acks++
	}
	return err
}

// checkReply looks at the header alone: a client that decodes more would be what is
// measured.
func checkReply(frame []byte, want uint64) error {
	if len(frame) < 24 {
		return fmt.Errorf("a frame of %d bytes", len(frame))
	}
	kind, code, xid := frame[0], int32(binary.BigEndian.Uint32(frame[4:])), binary.BigEndian.Uint64(frame[8:])
	if protocol.MessageKind(kind) != protocol.Reply || xid != want {
		return fmt.Errorf("want the reply to xid %d, got kind %d xid %d", want, kind, xid)
	}
	if code != 0 {
		return codeError(code)
	}
	return nil
}

// nextFrame reads what follows the length of a frame, of either protocol, where it
// lies if all of it is there; else into *buf. It is good until the next call.
func nextFrame(in *bufio.Reader, buf *[]byte, most uint32) ([]byte, error) {
	if frame, ok := protocol.BufferedFrame(in, most); ok {
		return frame, nil
	}
	frame, err := protocol.ReadFrame(in, *buf, most)
	*buf = frame[:0]
	return frame, err
}

// codeError is an answer that is an error.
type codeError int32

func (e codeError) Error() string { return protocol.Code(e).String() }

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

func (c *conn) create(path string, data []byte) {
	body := protocol.AppendCreate(nil, &znode.CreateOp{Path: path, Data: data, ACL: znode.OpenACL, IfAbsent: true})
	c.request(&protocol.Request{Op: protocol.OpCreate, Body: body})
}

func (c *conn) createAll(paths []string, data []byte) {
	ops := make([]protocol.WriteOp, len(paths))
	for i, path := range paths {
		ops[i] = protocol.WriteOp{Op: protocol.OpCreate, Create: znode.CreateOp{Path: path, Data: data, ACL: znode.OpenACL}}
	}
	c.request(&protocol.Request{Op: protocol.OpMulti, Body: protocol.AppendMulti(nil, ops)})
}

// setBodies are encoded once.
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

func (c *conn) await(until time.Time) (bool, error) { return awaitBytes(c.Conn, c.in, until) }

// awaitBytes waits until something can be read without taking it.
func awaitBytes(nc net.Conn, in *bufio.Reader, until time.Time) (bool, error) {
	if in.Buffered() > 0 {
		return true, nil
	}
	if err := nc.SetReadDeadline(until); err != nil {
		return false, err
	}
	_, err := in.Peek(1)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return in.Buffered() > 0, errors.Join(err, nc.SetReadDeadline(time.Time{}))
}

// prepare creates the nodes that the loads of scale read and write.
func prepare(addr string) error {
	c, err := dial(addr, wholeBuffer)
	if err != nil {
		return err
	}
	defer c.Close()
	c.create("/bench", nil)
	for i := range nodes {
		c.create(nodePath(i), make([]byte, valueBytes))
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

// result is what a load gave.
type result struct {
	ops, refused  int
	elapsed       time.Duration
	cpu           time.Duration // of the servers
	p50, p95, p99 time.Duration
}

func (r result) rate() float64    { return float64(r.ops) / r.elapsed.Seconds() }
func (r result) cpuPerK() float64 { return r.cpu.Seconds() / float64(r.ops) * 1000 }

// underLoad opens the connections of a workload, spread over the servers, and has all
// of them bear load at once. They are closed when it returns.
func (v *venue) underLoad(e entrant, w workload, bear func(l loader, i int, start time.Time) (tally, error)) (*effort, error) {
	addrs := v.from(v.leader)
	loaders := make([]loader, w.conns)
	for i := range loaders {
		l, err := e.loader(addrs[(w.at+i)%len(addrs)])
		if err != nil {
			return nil, err
		}
		defer l.Close()
		loaders[i] = l
	}
	return v.together(w.conns, func(i int, start time.Time) (tally, error) { return bear(loaders[i], i, start) })
}

func (t *tally) result(elapsed, cpu time.Duration) (result, error) {
	if len(t.answered) == 0 {
		return result{}, errors.New("no operation was answered")
	}
	took := make([]time.Duration, len(t.answered))
	for i, s := range t.answered {
		took[i] = s.took
	}
	slices.Sort(took)
	return result{ops: len(took), refused: t.refused, elapsed: elapsed, cpu: cpu,
		p50: took[len(took)/2], p95: took[rank(len(took), 95)], p99: took[rank(len(took), 99)]}, nil
}

// rank is the place, among n values in order, of the least that so many per cent of them do
// not exceed.
func rank(n, percent int) int { return (n*percent - 1) / 100 }

// drive keeps depth requests in flight until the deadline, then waits for the
// last answers: a closed loop, one write call for what an answer batch frees.
func drive(p pipe, w workload, rng *rand.Rand, deadline time.Time) (tally, error) {
	sent := make([]time.Time, w.depth)
	since := func(n uint64) time.Time { return sent[n%uint64(w.depth)] }
	var t tally
	for {
		now := time.Now()
		for open := now.Before(deadline); open && p.asked()-p.answered() < uint64(w.depth); {
			one(p, w, rng)
			sent[p.asked()%uint64(w.depth)] = now
		}
		if p.asked() == p.answered() {
			return t, nil
		}
		if err := p.flush(); err != nil {
			return t, err
		}
		if err := take(p, func(n uint64, err error) { t.add(since(n), err) }); err != nil {
			return t, err
		}
	}
}

// eachOf runs f for n clients at once and joins what goes wrong.
func eachOf(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = safely(func() error { return f(i) }) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// safely makes an error of a panic: one client ends one scene, not the run.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n%s", p, debug.Stack())
			err = fmt.Errorf("%w: %v", errPanicked, p)
		}
	}()
	return f()
}

var errPanicked = errors.New("the load program panicked")
