package native

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/pipeline"
)

const passwordSize = 16

var errForeign = errors.New("another protocol")

// Handshake implements front.Speaker: it brings the connection from its magic
// to a lane and the Welcome.
func (c *conn) Handshake() bool {
	hello, err := c.readHello()
	if err != nil {
		c.handshakeFailed(err)
		return false
	}
	w := c.welcome(hello)
	if w == nil {
		return false // the client has gone
	}
	if w.Code != protocol.OK {
		c.HandshakeFailed(fmt.Errorf("hello refused: %v: %s", w.Code, w.Detail))
	}
	return c.Write(protocol.AppendWelcome(nil, w)) == nil && w.Code == protocol.OK
}

func (c *conn) handshakeFailed(err error) {
	if errors.Is(err, errForeign) {
		c.Foreign()
		return
	}
	c.HandshakeFailed(err)
	if code := protocol.CodeOf(err); code != protocol.SystemError {
		c.Write(protocol.AppendWelcome(nil, &protocol.Welcome{Code: code, Detail: err.Error()}))
	}
}

func (c *conn) readHello() (*protocol.Hello, error) {
	if err := c.readMagic(); err != nil {
		return nil, err
	}
	frame, err := protocol.ReadFrame(c.Reader(), nil, protocol.PreHelloMaxFrame)
	if err != nil {
		return nil, err
	}
	hello, err := protocol.DecodeHello(frame)
	return &hello, err
}

// readMagic gives up at the first byte that does not fit: who speaks another
// protocol may wait for an answer before it sends a fourth.
func (c *conn) readMagic() error {
	for i := range protocol.Magic {
		b, err := c.Reader().ReadByte()
		if err != nil {
			return err
		}
		if b != protocol.Magic[i] {
			return errForeign
		}
	}
	return nil
}

// welcome answers a hello; nil if the client has gone meanwhile.
func (c *conn) welcome(h *protocol.Hello) *protocol.Welcome {
	cfg := &c.native.cfg
	w := &protocol.Welcome{Version: protocol.Version, ServerID: cfg.ServerID, Server: cfg.Server, Zxid: c.Core().Zxid(), Limits: c.Config().Limits}
	version, ok := h.Negotiate()
	switch {
	case !ok:
		return refuse(w, protocol.UnsupportedVersion, "this server speaks version 1")
	case c.Refusal() != "":
		return refuse(w, protocol.TooManyConnections, c.Refusal())
	case c.Front().Draining():
		return refuse(w, protocol.Closing, front.GoingDown)
	}
	w.Version = version
	ids, err := c.Identify(h.Credentials...)
	if err != nil {
		c.Counts().AuthFailures.Add(1)
		return refuse(w, protocol.AuthFailed, err.Error())
	}
	c.ids, c.admin, w.Identities = ids, front.IsSuper(ids), ids
	timeout := c.Config().Clamp(h.TimeoutMs)
	w.TimeoutMs = timeout.Milliseconds()
	switch h.Mode {
	case protocol.HelloGuest:
		c.guest = true
		return c.welcomeGuest(h, w, timeout)
	case protocol.HelloOpen:
		return c.welcomeNew(h, w)
	case protocol.HelloAttach:
		return c.welcomeBack(h, w)
	}
	return refuse(w, protocol.BadArguments, "the hello does not say what it wants")
}

func refuse(w *protocol.Welcome, code protocol.Code, detail string) *protocol.Welcome {
	w.Code, w.Detail = code, detail
	return w
}

const behind = "this server has not reached what the client has seen"

func (c *conn) welcomeGuest(h *protocol.Hello, w *protocol.Welcome, timeout time.Duration) *protocol.Welcome {
	l := c.Core().Guest(c, c.ids)
	if l == nil {
		return refuse(w, protocol.Throttled, "too many requests wait in this server")
	}
	w.Zxid = c.Core().Zxid() // of the lane's machine, or of one whose coming ends the lane
	if h.LastZxid > w.Zxid {
		l.Detach()
		return refuse(w, protocol.NotReady, behind)
	}
	c.SetLane(l, timeout)
	return w
}

func (c *conn) welcomeNew(h *protocol.Hello, w *protocol.Welcome) *protocol.Welcome {
	if h.LastZxid > w.Zxid {
		return refuse(w, protocol.NotReady, behind)
	}
	password := make(protocol.Secret, passwordSize)
	rand.Read(password)
	return c.welcomeSession(w, password, func(done pipeline.Done) pipeline.Cancel {
		return c.Core().Open(pipeline.OpenParams{
			PasswordHash: sha256.Sum256(password), TimeoutMs: w.TimeoutMs,
			MaxEphemerals: c.Config().MaxEphemerals, Identities: c.ids,
		}, c, done)
	})
}

func (c *conn) welcomeBack(h *protocol.Hello, w *protocol.Welcome) *protocol.Welcome {
	if h.Ack > protocol.MaxXid {
		return refuse(w, protocol.BadArguments, "no xid is above 2^63")
	}
	return c.welcomeSession(w, h.Password, func(done pipeline.Done) pipeline.Cancel {
		return c.Core().Attach(pipeline.AttachParams{
			Session: h.Session, PasswordHash: sha256.Sum256(h.Password), Attempt: h.Attempt,
			TimeoutMs: w.TimeoutMs, Ack: h.Ack, LastZxid: h.LastZxid, Identities: c.ids,
		}, c, done)
	})
}

func (c *conn) welcomeSession(w *protocol.Welcome, password protocol.Secret, start func(pipeline.Done) pipeline.Cancel) *protocol.Welcome {
	a, gone := c.Arrive(start)
	switch {
	case gone:
		return nil
	case a.Code != protocol.OK:
		return refuse(w, a.Code, a.Detail)
	}
	c.SetLane(a.Lane, time.Duration(a.Opened.TimeoutMs)*time.Millisecond)
	w.Session, w.Generation, w.Password = a.Opened.Session, a.Opened.Generation, password
	w.TimeoutMs, w.Zxid, w.HighXid = a.Opened.TimeoutMs, a.Opened.Zxid, a.Opened.HighXid
	return w
}
