package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/lycaon-io/lycaon/protocol"
)

// floor answers creates, sets and gets from a map. A write waits until the
// group it fell into is synced; meanwhile the next group gathers. It keeps no
// version, no session and no order between connections: what it costs is what
// the frames, the sockets and the disk cost.
type floor struct {
	mu     sync.RWMutex
	values map[string][]byte

	gather sync.Mutex
	ready  *sync.Cond
	group  *group
	file   *os.File
}

// group is what one sync makes durable.
type group struct {
	bytes []byte
	done  chan struct{}
}

func newGroup() *group { return &group{done: make(chan struct{})} }

func serveFloor(addr, dir string) error {
	file, err := os.Create(filepath.Join(dir, "floor.log"))
	if err != nil {
		return err
	}
	f := &floor{values: map[string][]byte{}, group: newGroup(), file: file}
	f.ready = sync.NewCond(&f.gather)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	go f.sync()
	for {
		nc, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer nc.Close()
			if err := f.serve(nc); err != nil {
				fmt.Fprintln(os.Stderr, "floor:", err)
			}
		}()
	}
}

func (f *floor) sync() {
	for {
		f.gather.Lock()
		for len(f.group.bytes) == 0 {
			f.ready.Wait()
		}
		g := f.group
		f.group = newGroup()
		f.gather.Unlock()
		if _, err := f.file.Write(g.bytes); err != nil {
			panic(err)
		}
		if err := syscall.Fdatasync(int(f.file.Fd())); err != nil {
			panic(err)
		}
		close(g.done)
	}
}

func (f *floor) log(body []byte) *group {
	f.gather.Lock()
	defer f.gather.Unlock()
	f.group.bytes = append(f.group.bytes, body...)
	f.ready.Signal()
	return f.group
}

// serve answers the requests of one connection in order, a batch at a time:
// everything that has arrived is taken, the last group of its writes awaited,
// and the answers flushed with one call.
func (f *floor) serve(nc net.Conn) error {
	in := bufio.NewReaderSize(nc, 64<<10)
	if _, err := in.Discard(len(protocol.Magic)); err != nil {
		return nil // a probe that connected and left
	}
	frame, err := protocol.ReadFrame(in, nil, protocol.PreHelloMaxFrame)
	if err != nil {
		return err
	}
	out := protocol.AppendWelcome(nil, &protocol.Welcome{Version: protocol.Version, Session: 1, TimeoutMs: 30_000, Limits: protocol.DefaultLimits()})
	if _, err := nc.Write(out); err != nil {
		return err
	}
	var wop protocol.WriteOp
	for zxid := uint64(1); ; {
		out = out[:0]
		var last *group
		for first := true; first || in.Buffered() > 0; first = false {
			if frame, err = protocol.ReadFrame(in, frame[:0], protocol.DefaultLimits().MaxFrame); err != nil {
				return nil // the client left
			}
			var req protocol.Request
			if err := protocol.DecodeRequest(frame, &req); err != nil {
				return err
			}
			m := protocol.Message{Kind: protocol.Reply, Op: req.Op, Xid: req.Xid, Zxid: zxid}
			if req.Op.IsWrite() {
				if err := protocol.DecodeWrite(req.Op, req.Body, &wop); err != nil {
					return err
				}
				path, data := wop.Path, wop.Data
				if req.Op == protocol.OpCreate {
					path, data = wop.Create.Path, wop.Create.Data
				}
				f.set(path, data)
				last = f.log(req.Body)
				zxid++
			} else {
				m.Data = f.get(req.Read.Path)
			}
			out = protocol.AppendMessage(out, &m)
		}
		if last != nil {
			<-last.done
		}
		if _, err := nc.Write(out); err != nil {
			return err
		}
	}
}

func (f *floor) set(path string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.values[string([]byte(path))] = append([]byte(nil), data...)
}

func (f *floor) get(path string) []byte {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.values[path]
}
