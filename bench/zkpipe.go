package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// zkPipe is a connection of ZooKeeper's protocol with several requests in
// flight. A linearizable read is a sync and a read behind it.
type zkPipe struct {
	*zkSession
	out    []byte
	frame  []byte
	frames []zkAwaited // of each request in flight
	sent   uint64
	acks   uint64
}

// zkAwaited is what is to come for a request.
type zkAwaited struct {
	answers  uint8
	multi    bool
	ifAbsent bool // that the node is there is no failure
}

const (
	zkGetData     = 4
	zkGetChildren = 8
	zkSync        = 9
	zkPing        = 11
	zkMulti       = 14
	zkAddWatch    = 106
	zkPingXid     = -2 // of every ping
)

func dialZKPipe(addr string, buffer int) (*zkPipe, error) {
	z := &zkSession{addrs: []string{addr}, buffer: buffer, password: make([]byte, 16)}
	ctx, cancel := context.WithTimeout(context.Background(), sessionLength)
	defer cancel()
	if err := z.ensure(ctx); err != nil {
		return nil, err
	}
	z.nc.SetDeadline(time.Time{})
	return &zkPipe{zkSession: z}, nil
}

func (p *zkPipe) get(node int, level protocol.Consistency) {
	body := zkBodies().gets[node]
	answers := uint8(1)
	if level == protocol.Linearizable {
		p.append(zkSync, body[:len(body)-1]) // without the flag of a watch
		answers++
	}
	p.request(zkGetData, body, answers)
}

func (p *zkPipe) set(node int) {
	p.request(zkSetData, zkBodies().sets[node], 1)
}

// zkBodies are encoded once, as are those of the native protocol.
var zkBodies = sync.OnceValue(func() *struct{ gets, sets [nodes][]byte } {
	var bodies struct{ gets, sets [nodes][]byte }
	for i := range nodes {
		bodies.sets[i] = anyVersion(zkBytes(zkString(nil, nodePath(i)), make([]byte, valueBytes)))
		bodies.gets[i] = append(zkString(nil, nodePath(i)), 0)
	}
	return &bodies
})

// anyVersion ends a request that may find any version.
func anyVersion(body []byte) []byte { return binary.BigEndian.AppendUint32(body, ^uint32(0)) }

func (p *zkPipe) create(path string, data []byte) {
	p.append(zkCreate, p.zkSession.create(path, data, 0))
	p.expect(zkAwaited{answers: 1, ifAbsent: true})
}

// createAll sends a multi: a header before each operation, and one behind the last.
func (p *zkPipe) createAll(paths []string, data []byte) {
	var body []byte
	for _, path := range paths {
		body = append(zkMultiHeader(body, zkCreate, false), p.zkSession.create(path, data, 0)...)
	}
	p.append(zkMulti, zkMultiHeader(body, zkMultiEnd, true))
	p.expect(zkAwaited{answers: 1, multi: true})
}

const zkMultiEnd = ^uint32(0) // also what a result that is an error begins with

func zkMultiHeader(b []byte, op uint32, last bool) []byte {
	b = append(binary.BigEndian.AppendUint32(b, op), 0)
	if last {
		b[len(b)-1] = 1
	}
	return binary.BigEndian.AppendUint32(b, ^uint32(0))
}

func (p *zkPipe) await(until time.Time) (bool, error) { return awaitBytes(p.nc, p.in, until) }

func (p *zkPipe) request(op uint32, body []byte, answers uint8) {
	p.append(op, body)
	p.expect(zkAwaited{answers: answers})
}

func (p *zkPipe) expect(a zkAwaited) {
	p.frames = append(p.frames, a)
	p.sent++
}

func (p *zkPipe) append(op uint32, body []byte) {
	p.xid++
	p.appendAs(p.xid, op, body)
}

func (p *zkPipe) appendAs(xid int32, op uint32, body []byte) {
	p.out = binary.BigEndian.AppendUint32(p.out, uint32(8+len(body)))
	p.out = binary.BigEndian.AppendUint32(p.out, uint32(xid))
	p.out = binary.BigEndian.AppendUint32(p.out, op)
	p.out = append(p.out, body...)
}

func (p *zkPipe) flush() error {
	_, err := p.nc.Write(p.out)
	p.out = p.out[:0]
	return err
}

func (p *zkPipe) receive() error {
	awaited := p.frames[0]
	p.frames = p.frames[1:]
	p.acks++
	var failed error
	for range awaited.answers {
		frame, err := nextFrame(p.in, &p.frame, zkMaxFrame)
		if err != nil {
			return err
		}
		if len(frame) < 16 {
			return fmt.Errorf("a frame of %d bytes", len(frame))
		}
		if code := int32(binary.BigEndian.Uint32(frame[12:])); code != 0 && !(awaited.ifAbsent && code == zkNodeExists) {
			failed = zkError(code)
		} else if awaited.multi {
			failed = zkMultiFailure(frame[16:])
		}
	}
	return failed
}

// zkMultiFailure looks at the first result: if one fails, all are errors.
func zkMultiFailure(results []byte) error {
	if len(results) < 9 {
		return fmt.Errorf("results of %d bytes", len(results))
	}
	if binary.BigEndian.Uint32(results) == zkCreate {
		return nil
	}
	return zkError(int32(binary.BigEndian.Uint32(results[5:])))
}

func (p *zkPipe) asked() uint64    { return p.sent }
func (p *zkPipe) answered() uint64 { return p.acks }
func (p *zkPipe) buffered() bool   { return p.in.Buffered() > 0 }
func (p *zkPipe) Close() error {
	p.zkSession.close()
	return nil
}

// ask sends one request and awaits its answer.
func (p *zkPipe) ask(op uint32, body []byte) error {
	p.request(op, body, 1)
	return errors.Join(p.flush(), p.receive())
}

// event reads one frame, which no request asked for.
func (p *zkPipe) event() error {
	_, err := nextFrame(p.in, &p.frame, zkMaxFrame)
	return err
}
