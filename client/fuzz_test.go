package client

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// FuzzReplies lets a server say anything after its welcome: the client may
// lose the connection, never panic or hang.
func FuzzReplies(f *testing.F) {
	get := protocol.Message{Op: protocol.OpGet, Xid: 2, Zxid: 9, Data: []byte("data"), Stat: znode.Stat{Czxid: 3}}
	watch := protocol.Message{Op: protocol.OpWatch, Xid: 1, Zxid: 5}
	event := protocol.Message{Kind: protocol.Event, Event: protocol.EventCreated, Path: "/a", Zxid: 7}
	names := protocol.Message{Op: protocol.OpChildren, Xid: 3, Zxid: 9, More: &protocol.More{Names: []string{"a", "b"}, Truncated: true}}
	multi := protocol.Message{Op: protocol.OpMulti, Xid: 4, Zxid: 9, More: &protocol.More{Results: []protocol.Message{{Op: protocol.OpSet}}}}
	bye := protocol.Message{Kind: protocol.Goodbye, Code: protocol.Closing}
	var all []byte
	for _, m := range []*protocol.Message{&watch, &get, &event, &names, &multi, &bye} {
		f.Add(protocol.AppendMessage(nil, m))
		all = protocol.AppendMessage(all, m)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, replies []byte) {
		c, err := newClient([]string{"a:1"}, protocol.HelloOpen, nil)
		if err != nil {
			t.Fatal(err)
		}
		l := newLink(c, sayer{bytes.NewReader(replies)}, "a:1")
		l.limit = 1 << 20
		welcome := &protocol.Welcome{Version: 1, Session: 1, TimeoutMs: 1000, Limits: protocol.DefaultLimits()}
		welcome.Password = make([]byte, passwordSize)
		if err := c.welcomed(l, welcome, c.now()); err != nil {
			t.Fatal(err)
		}
		ask(t, c, l)
		l.read()
		c.mu.Lock()
		c.takeBackSent()
		c.watches.disconnected()
		c.watches.reconnected(c)
		c.mu.Unlock()
		c.end(Expired, ErrSessionExpired)
	})
}

// ask leaves a watch, a resume and three reads and writes unanswered.
func ask(t *testing.T, c *Client, l *link) {
	w := &Watch{c: c, path: "/a", mode: protocol.WatchRecursive, types: changeTypes, signal: make(chan struct{}, 1)}
	cl := c.newCall(protocol.OpWatch)
	cl.watch = w
	cl.req.Watches = []protocol.Watch{{Path: w.path, Mode: w.mode}}
	if err := c.startWatch(cl); err != nil {
		t.Fatal(err)
	}
	from := *w
	from.mode = protocol.WatchPersistent
	for _, op := range []protocol.Op{protocol.OpGet, protocol.OpChildren, protocol.OpMulti, protocol.OpResume} {
		cl := c.newCall(op)
		cl.req.Read.Path = "/a"
		if op == protocol.OpResume {
			cl.watch, cl.replay = &from, &replay{[]*Watch{&from}}
			cl.req.Watches = []protocol.Watch{{Path: from.path, Mode: from.mode}}
		}
		if err := c.start(cl); err != nil {
			t.Fatal(err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gather(l, nil)
}

// sayer is a connection that says what it holds.
type sayer struct{ r *bytes.Reader }

func (s sayer) Read(p []byte) (int, error)     { return s.r.Read(p) }
func (sayer) Write(p []byte) (int, error)      { return len(p), nil }
func (sayer) Close() error                     { return nil }
func (sayer) LocalAddr() net.Addr              { return nil }
func (sayer) RemoteAddr() net.Addr             { return nil }
func (sayer) SetDeadline(time.Time) error      { return nil }
func (sayer) SetReadDeadline(time.Time) error  { return nil }
func (sayer) SetWriteDeadline(time.Time) error { return nil }
