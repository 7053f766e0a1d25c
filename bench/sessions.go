package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// visit is the life of one short session as bytes: what is sent, each time after
// the answer to what was sent before. Frames of both protocols begin with their
// length, so one program plays either.
type visit struct {
	says  [3][]byte // to open, to make an ephemeral node, to close
	heard func(step int, frame []byte) error
}

func nativeVisit(path string) visit {
	c := &conn{}
	var v visit
	v.says[0] = appendGreeting(nil, sessionLength.Milliseconds())
	create := protocol.AppendCreate(nil, &znode.CreateOp{Path: path, Kind: znode.Ephemeral, ACL: znode.OpenACL})
	c.request(&protocol.Request{Op: protocol.OpCreate, Body: create})
	v.says[1], c.out, c.acks = c.out, nil, 1
	c.request(&protocol.Request{Op: protocol.OpCloseSession})
	v.says[2] = c.out
	v.heard = func(step int, frame []byte) error {
		if step == 0 {
			return checkWelcome(frame)
		}
		return checkReply(frame, uint64(step))
	}
	return v
}

func zkVisit(path string) visit {
	p := &zkPipe{zkSession: &zkSession{}}
	v := visit{says: [3][]byte{zkBytes(nil, zkGreeting(0, 0, make([]byte, 16)))}}
	p.append(zkCreate, p.zkSession.create(path, nil, zkEphemeral))
	v.says[1], p.out = p.out, nil
	closing := int32(zkCloseSession)
	p.append(uint32(closing), nil)
	v.says[2] = p.out
	v.heard = func(step int, frame []byte) error {
		if step == 0 {
			return checkZKWelcome(frame)
		}
		_, err := checkZKReply(frame, int32(step))
		return err
	}
	return v
}

// visitors are clients of which each makes its visit again and again, on a new
// connection each time. One goroutine asks the kernel which of them has an answer:
// a session is a handful of packets, and whatever its client does beside system
// calls that it must make is time that the server on the same cores does not get.
type visitors struct {
	queue   int // epoll's descriptor
	clients []*visitor
	done    tally
}

// visitor is one of them. Its socket blocks: it is read from when there is
// something, and what is sent is always less than an empty socket takes.
type visitor struct {
	visit
	to      syscall.SockaddrInet4
	fd      int // -1 without a connection
	step    int // of the visit: which answer is awaited
	began   time.Time
	in      []byte
	arrived int // bytes of in
}

// churn has n clients make visits for as long as there is time; each then ends its
// last one.
func churn(n int, addrs []string, visit func(path string) visit, end time.Time) (t tally, err error) {
	v := &visitors{clients: make([]*visitor, n)}
	for i := range v.clients {
		at, err := netip.ParseAddrPort(addrs[i%len(addrs)])
		if err != nil || !at.Addr().Is4() {
			return t, fmt.Errorf("no address of version 4 with a port: %s", addrs[i%len(addrs)])
		}
		v.clients[i] = &visitor{visit: visit(fmt.Sprintf("/bench/ephemeral-%d", i)), fd: -1, in: make([]byte, smallBuffer),
			to: syscall.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}}
	}
	if v.queue, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return t, os.NewSyscallError("epoll_create1", err)
	}
	defer func() {
		for _, c := range v.clients {
			c.leave()
		}
		syscall.Close(v.queue)
	}()
	err = v.run(end)
	return v.done, err
}

func (v *visitors) run(end time.Time) error {
	for i := range v.clients {
		if err := v.arrive(i); err != nil {
			return err
		}
	}
	events := make([]syscall.EpollEvent, len(v.clients))
	for present := len(v.clients); present > 0; {
		n, err := v.await(events)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return os.NewSyscallError("epoll_wait", err)
		case n == 0:
			return errNoAnswer
		}
		for _, e := range events[:n] {
			over, err := v.clients[e.Fd].hear()
			if err != nil {
				return err
			}
			if !over {
				continue
			}
			v.done.add(v.clients[e.Fd].began, nil)
			if present--; time.Now().Before(end) {
				present++
				if err := v.arrive(int(e.Fd)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// soon is longer than an answer takes while sessions come and go.
const soon = 10 * time.Millisecond

// await asks the queue who has an answer. What comes soon is waited for without Go's
// scheduler, which would have its monitor look after the thread meanwhile and the
// goroutine go on with another one: 7 % of the CPU of the load. Beyond that the
// collector of garbage may want to stop the program, which has to know of the wait then.
func (v *visitors) await(events []syscall.EpollEvent) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(v.queue), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(soon.Milliseconds()), 0, 0)
	if errno == 0 && n > 0 {
		return int(n), nil
	}
	return syscall.EpollWait(v.queue, events, int(answerWithin.Milliseconds()))
}

// arrive connects a client and has it say its first words.
func (v *visitors) arrive(i int) error {
	c := v.clients[i]
	c.step, c.arrived, c.began = 0, 0, time.Now()
	var err error
	if c.fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err != nil {
		c.fd = -1
		return os.NewSyscallError("socket", err)
	}
	for err = syscall.EINTR; err == syscall.EINTR; {
		err = syscall.Connect(c.fd, &c.to)
	}
	if err != nil && err != syscall.EISCONN {
		return os.NewSyscallError("connect", err)
	}
	// The queue's word for the client is the descriptor's place, which is ours to fill.
	if err := syscall.EpollCtl(v.queue, syscall.EPOLL_CTL_ADD, c.fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)}); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	return c.say()
}

func (c *visitor) say() error {
	n, err := syscall.Write(c.fd, c.says[c.step])
	if err == nil && n < len(c.says[c.step]) {
		err = syscall.EAGAIN
	}
	return os.NewSyscallError("write", err)
}

// hear reads what has come and says what is next; over tells that the visit is.
func (c *visitor) hear() (over bool, err error) {
	n, err := syscall.Read(c.fd, c.in[c.arrived:])
	switch {
	case errors.Is(err, syscall.EINTR):
		return false, nil
	case err != nil:
		return false, os.NewSyscallError("read", err)
	case n == 0:
		return false, fmt.Errorf("the server closed the connection at step %d of a session", c.step)
	}
	c.arrived += n
	if c.arrived < 4 {
		return false, nil
	}
	size := binary.BigEndian.Uint32(c.in)
	if size > uint32(len(c.in)-4) {
		return false, fmt.Errorf("a frame of %d bytes", size)
	}
	switch want := 4 + int(size); {
	case c.arrived < want:
		return false, nil
	case c.arrived > want && c.step < len(c.says)-1: // behind the last answer there may be a goodbye
		return false, fmt.Errorf("more than one answer at step %d of a session", c.step)
	}
	c.arrived = 0
	if err := c.heard(c.step, c.in[4:4+size]); err != nil {
		return false, err
	}
	if c.step++; c.step < len(c.says) {
		return false, c.say()
	}
	return true, c.leave()
}

func (c *visitor) leave() error {
	if c.fd < 0 {
		return nil
	}
	fd := c.fd
	c.fd = -1
	return os.NewSyscallError("close", syscall.Close(fd))
}
