package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// zkSession is a client of ZooKeeper's protocol: one connection, one request
// at a time. When a connection breaks or an answer is late it goes on with
// the next server at once, which is sooner than the usual clients: those wait
// before they dial, and up to two thirds of the session timeout for an answer.
type zkSession struct {
	addrs     []string
	next      int // of addrs, to dial
	buffer    int // for what is received
	nc        net.Conn
	in        *bufio.Reader
	xid       int32
	id        int64
	first     int64 // the session of the beginning
	password  []byte
	lastZxid  int64
	node      string
	ephemeral string
	value     []byte
}

const (
	zkCreate       = 1
	zkExists       = 3
	zkSetData      = 5
	zkCloseSession = -11
	zkNodeExists   = -110

	zkPermAll   = 31
	zkEphemeral = 1
	zkMaxFrame  = 4 << 20
)

var zkNodes atomic.Int64

func openZK(ctx context.Context, addrs []string) (session, error) {
	n := zkNodes.Add(1)
	z := &zkSession{addrs: addrs, buffer: smallBuffer, password: make([]byte, 16), value: make([]byte, valueBytes),
		node: fmt.Sprintf("/failover-%d", n%64), ephemeral: fmt.Sprintf("/ephemeral-%d", n)}
	err := z.ensure(ctx)
	if err == nil {
		z.first = z.id
		_, err = z.call(ctx, zkCreate, z.create(z.node, z.value, 0))
		if errors.Is(err, zkError(zkNodeExists)) {
			err = nil
		}
	}
	if err == nil {
		_, err = z.call(ctx, zkCreate, z.create(z.ephemeral, nil, zkEphemeral))
	}
	if err != nil {
		z.close()
		return nil, err
	}
	return z, nil
}

// zkError is an error code of a server.
type zkError int32

func (e zkError) Error() string { return fmt.Sprintf("ZooKeeper's error %d", int32(e)) }

func (z *zkSession) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	if err := z.ensure(ctx); err != nil {
		return err
	}
	_, err := z.call(ctx, zkSetData, binary.BigEndian.AppendUint32(zkBytes(zkString(nil, z.node), z.value), ^uint32(0)))
	return err
}

func (z *zkSession) survives(ctx context.Context) (session, ephemeral bool, err error) {
	for { // a try that comes too late is begun again elsewhere
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		if err = z.ensure(try); err == nil {
			_, err = z.call(try, zkExists, append(zkString(nil, z.ephemeral), 0))
		}
		cancel()
		if code := zkError(0); err == nil || errors.As(err, &code) {
			return z.id == z.first, err == nil, nil
		}
		if ctx.Err() != nil {
			return false, false, err
		}
	}
}

func (z *zkSession) close() {
	if z.nc != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		z.call(ctx, zkCloseSession, nil)
		z.drop()
	}
}

func (z *zkSession) drop() {
	if z.nc != nil {
		z.nc.Close()
		z.nc = nil
		z.next++
	}
}

// ensure dials the servers in turn until one takes the session. A session
// that has expired is replaced by a new one.
func (z *zkSession) ensure(ctx context.Context) error {
	for z.nc == nil {
		err := z.connect(ctx)
		if err == nil {
			return nil
		}
		z.drop()
		select {
		case <-ctx.Done():
			return err
		case <-time.After(redialAfter):
		}
	}
	return nil
}

func (z *zkSession) connect(ctx context.Context) error {
	addr := z.addrs[z.next%len(z.addrs)]
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		z.next++
		return err
	}
	z.nc, z.in = nc, bufio.NewReaderSize(nc, z.buffer)
	welcome, err := z.exchange(ctx, zkGreeting(z.lastZxid, z.id, z.password))
	if err == nil {
		err = checkZKWelcome(welcome)
	}
	if errors.Is(err, errZKExpired) {
		z.id, z.password = 0, make([]byte, 16)
	}
	if err != nil {
		return err
	}
	z.id, z.password = int64(binary.BigEndian.Uint64(welcome[8:])), append([]byte(nil), welcome[20:36]...)
	return nil
}

// zkGreeting is what opens a session, or goes on with one.
func zkGreeting(lastZxid, id int64, password []byte) []byte {
	hello := binary.BigEndian.AppendUint32(nil, 0)
	hello = binary.BigEndian.AppendUint64(hello, uint64(lastZxid))
	hello = binary.BigEndian.AppendUint32(hello, uint32(sessionLength.Milliseconds()))
	hello = binary.BigEndian.AppendUint64(hello, uint64(id))
	return append(zkBytes(hello, password), 0)
}

var errZKExpired = errors.New("the session has expired")

func checkZKWelcome(frame []byte) error {
	if len(frame) < 36 {
		return fmt.Errorf("a welcome of %d bytes", len(frame))
	}
	if timeout := binary.BigEndian.Uint32(frame[4:]); timeout == 0 {
		return errZKExpired
	}
	return nil
}

// call sends one request and takes its answer; the connection is gone after
// any error but the server's own.
func (z *zkSession) call(ctx context.Context, op int32, body []byte) ([]byte, error) {
	z.xid++
	req := binary.BigEndian.AppendUint32(nil, uint32(z.xid))
	req = binary.BigEndian.AppendUint32(req, uint32(op))
	reply, err := z.exchange(ctx, append(req, body...))
	var zxid int64
	if err == nil {
		zxid, err = checkZKReply(reply, z.xid)
	}
	if err != nil && !refused(err) {
		z.drop()
		return nil, err
	}
	z.lastZxid = max(z.lastZxid, zxid)
	if err != nil {
		return nil, err
	}
	return reply[16:], nil
}

// checkZKReply looks at the header of an answer.
func checkZKReply(frame []byte, want int32) (zxid int64, err error) {
	if len(frame) < 16 || int32(binary.BigEndian.Uint32(frame)) != want {
		return 0, fmt.Errorf("an answer that is not of request %d", want)
	}
	if code := int32(binary.BigEndian.Uint32(frame[12:])); code != 0 {
		err = zkError(code)
	}
	return int64(binary.BigEndian.Uint64(frame[4:])), err
}

func (z *zkSession) exchange(ctx context.Context, frame []byte) ([]byte, error) {
	end, _ := ctx.Deadline()
	z.nc.SetDeadline(end)
	if _, err := z.nc.Write(zkBytes(nil, frame)); err != nil {
		return nil, err
	}
	return protocol.ReadFrame(z.in, nil, zkMaxFrame)
}

func (z *zkSession) create(path string, data []byte, flags uint32) []byte {
	b := zkBytes(zkString(nil, path), data)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, zkPermAll)
	b = zkString(zkString(b, "world"), "anyone")
	return binary.BigEndian.AppendUint32(b, flags)
}

func zkBytes(b, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(data))), data...)
}

func zkString(b []byte, s string) []byte { return zkBytes(b, []byte(s)) }
