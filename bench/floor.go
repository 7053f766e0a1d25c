package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/lycaon-io/lycaon/protocol"
)

// loop is the floor beside real servers, in a process of its own. There is one alone.
type loop struct{}

func (loop) name() string { return floorName }

func (loop) picks() bool { return true }

func (loop) lay(dir string, n int) ([]*member, error) {
	if n != 1 {
		return nil, fmt.Errorf("%d floors: there is one alone", n)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	return []*member{{addr: addr, args: []string{self, "-floor", addr, "-dir", dir}}}, err
}

func (loop) leads(_ context.Context, m *member) (bool, error) {
	if !listens(m.addr) {
		return false, fmt.Errorf("nothing listens on %s", m.addr)
	}
	return true, nil
}

func (loop) open(_ context.Context, addrs []string) (session, error) {
	c, err := dial(addrs[0], smallBuffer)
	return loopSession{c}, err
}

// loopSession is a connection: the floor has no sessions.
type loopSession struct{ *conn }

func (s loopSession) write(context.Context) error { return nativeActor(s).create("/health", nil) }

func (loopSession) survives(context.Context) (session, ephemeral bool, err error) {
	return false, false, nil
}

func (s loopSession) close() { s.conn.Close() }

// floor answers creates, sets, gets and listings from maps. A write waits until the
// group it fell into is synced; meanwhile the next group gathers. It keeps no
// version, no session and no order between connections: what it costs is what
// the frames, the sockets and the disk cost. Watchers are told one after the
// other, with a call each.
type floor struct {
	mu       sync.RWMutex
	values   map[string][]byte
	lists    map[string][]byte     // names of children, as they are sent
	watchers map[string][]net.Conn // also those that have left

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

// serveFloor serves until ctx ends.
func serveFloor(ctx context.Context, addr, dir string) error {
	file, err := os.Create(filepath.Join(dir, "floor.log"))
	if err != nil {
		return err
	}
	f := &floor{values: map[string][]byte{}, lists: map[string][]byte{}, watchers: map[string][]net.Conn{}, group: newGroup(), file: file}
	f.ready = sync.NewCond(&f.gather)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	go f.sync()
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
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
		var changed []string
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
				if f.watched(path) {
					changed = append(changed, strings.Clone(path)) // it is part of the frame
				}
				zxid++
			}
			switch req.Op {
			case protocol.OpWatch:
				f.watch(req.Watches[0].Path, nc)
			case protocol.OpGet:
				m.Data = f.get(f.values, req.Read.Path)
			case protocol.OpChildren:
				m.Body = f.get(f.lists, req.Read.Path)
			}
			out = protocol.AppendMessage(out, &m)
		}
		if last != nil {
			<-last.done
		}
		if _, err := nc.Write(out); err != nil {
			return err
		}
		for _, path := range changed {
			f.tell(path)
		}
	}
}

func (f *floor) watched(path string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.watchers[path]) > 0
}

func (f *floor) watch(path string, nc net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers[string([]byte(path))] = append(f.watchers[path], nc)
}

func (f *floor) tell(path string) {
	f.mu.RLock()
	told := f.watchers[path]
	f.mu.RUnlock()
	news := protocol.AppendMessage(nil, &protocol.Message{Kind: protocol.Event, Path: path})
	for _, nc := range told {
		nc.Write(news) // to nobody, if it has left
	}
}

func (f *floor) set(path string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slash := strings.LastIndexByte(path, '/'); slash >= 0 && f.values[path] == nil {
		parent := strings.Clone(path[:slash])
		f.lists[parent] = append(f.lists[parent], path[slash:]...)
	}
	f.values[strings.Clone(path)] = append([]byte{}, data...)
}

func (f *floor) get(from map[string][]byte, path string) []byte {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return from[path]
}
