package native

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/pipeline"
)

const (
	tlsRecord    = 0x16 // first byte of a TLS client
	passwordSize = 16
	prompt       = 50 * time.Millisecond // most opens and attaches take less
)

var errForeign = errors.New("another protocol")

// handshake brings the connection from its first byte to a lane and the
// Welcome, within handshakeTimeout.
func (c *conn) handshake() bool {
	c.nc.SetDeadline(time.Now().Add(handshakeTimeout))
	c.r = bufio.NewReaderSize(countingReader{c}, readBufferSize)
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
		c.front.counts.handshakesFailed.Add(1)
		c.front.cfg.Logger.Debug("hello refused", "peer", c.nc.RemoteAddr().String(), "code", w.Code.String(), "detail", w.Detail)
	}
	c.nc.SetDeadline(time.Now().Add(handshakeTimeout))
	if _, err := c.nc.Write(protocol.AppendWelcome(nil, w)); err != nil || w.Code != protocol.OK {
		return false
	}
	c.nc.SetDeadline(time.Time{})
	return true
}

func (c *conn) handshakeFailed(err error) {
	c.front.counts.handshakesFailed.Add(1)
	if errors.Is(err, errForeign) {
		c.front.counts.foreign.Add(1)
		refuseForeign(c.nc)
		return
	}
	c.front.cfg.Logger.Debug("no hello", "peer", c.nc.RemoteAddr().String(), "err", err)
	if code := protocol.CodeOf(err); code != protocol.SystemError {
		c.nc.Write(protocol.AppendWelcome(nil, &protocol.Welcome{Code: code, Detail: err.Error()}))
	}
}

func (c *conn) readHello() (*protocol.Hello, error) {
	first, err := c.r.Peek(1)
	if err != nil {
		return nil, err
	}
	if first[0] == tlsRecord {
		if err := c.startTLS(); err != nil {
			return nil, err
		}
	}
	if err := c.readMagic(); err != nil {
		return nil, err
	}
	frame, err := protocol.ReadFrame(c.r, nil, protocol.PreHelloMaxFrame)
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
		b, err := c.r.ReadByte()
		if err != nil {
			return err
		}
		if b != protocol.Magic[i] {
			return errForeign
		}
	}
	return nil
}

// readAhead is a connection whose first bytes have been read already.
type readAhead struct {
	net.Conn
	head []byte
}

func (a *readAhead) Read(p []byte) (int, error) {
	if len(a.head) == 0 {
		return a.Conn.Read(p)
	}
	n := copy(p, a.head)
	a.head = a.head[n:]
	return n, nil
}

// CloseWrite lets tls.Conn half-close what is below it.
func (a *readAhead) CloseWrite() error {
	if half, ok := a.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

func (c *conn) startTLS() error {
	if c.front.cfg.TLS == nil {
		return errors.New("a TLS client, but this server has no certificate")
	}
	head, err := c.r.Peek(c.r.Buffered())
	if err != nil {
		return err
	}
	secure := tls.Server(&readAhead{c.nc, bytes.Clone(head)}, c.front.cfg.TLS)
	if err := secure.Handshake(); err != nil {
		return err
	}
	c.nc = secure
	c.r.Reset(countingReader{c})
	return nil
}

// welcome answers a hello; nil if the client has gone meanwhile.
func (c *conn) welcome(h *protocol.Hello) *protocol.Welcome {
	cfg := &c.front.cfg
	w := &protocol.Welcome{Version: protocol.Version, ServerID: cfg.ServerID, Server: cfg.Server, Zxid: c.front.core.Zxid(), Limits: cfg.Limits}
	version, ok := h.Negotiate()
	switch {
	case !ok:
		return refuse(w, protocol.UnsupportedVersion, "this server speaks version 1")
	case c.refusal != "":
		return refuse(w, protocol.TooManyConnections, c.refusal)
	case c.front.draining.Load():
		return refuse(w, protocol.Closing, goingDown)
	}
	w.Version = version
	ids, err := c.identify(h.Credentials)
	if err != nil {
		c.front.counts.authFailures.Add(1)
		return refuse(w, protocol.AuthFailed, err.Error())
	}
	c.ids, c.admin, w.Identities = ids, isSuper(ids), ids
	c.timeout = c.clamp(h.TimeoutMs)
	w.TimeoutMs = c.timeout.Milliseconds()
	switch h.Mode {
	case protocol.HelloGuest:
		c.guest = true
		return c.welcomeGuest(h, w)
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

func (c *conn) clamp(askedMs int64) time.Duration {
	cfg := &c.front.cfg
	const longest = int64(time.Duration(1<<63-1) / time.Millisecond)
	asked := time.Duration(min(askedMs, longest)) * time.Millisecond
	if cfg.MaxSessionTimeout > 0 {
		asked = min(asked, cfg.MaxSessionTimeout)
	}
	return max(asked, cfg.MinSessionTimeout, time.Millisecond)
}

const behind = "this server has not reached what the client has seen"

func (c *conn) welcomeGuest(h *protocol.Hello, w *protocol.Welcome) *protocol.Welcome {
	if h.LastZxid > w.Zxid {
		return refuse(w, protocol.NotReady, behind)
	}
	l := c.front.core.Guest(c, c.ids)
	if l == nil {
		return refuse(w, protocol.Throttled, "too many requests wait in this server")
	}
	c.setLane(l)
	return w
}

func (c *conn) welcomeNew(h *protocol.Hello, w *protocol.Welcome) *protocol.Welcome {
	if h.LastZxid > w.Zxid {
		return refuse(w, protocol.NotReady, behind)
	}
	password := make(protocol.Secret, passwordSize)
	rand.Read(password)
	return c.welcomeSession(w, password, func(done pipeline.Done) pipeline.Cancel {
		return c.front.core.Open(pipeline.OpenParams{
			PasswordHash: sha256.Sum256(password), TimeoutMs: w.TimeoutMs,
			MaxEphemerals: c.front.cfg.MaxEphemerals, Identities: c.ids,
		}, c, done)
	})
}

func (c *conn) welcomeBack(h *protocol.Hello, w *protocol.Welcome) *protocol.Welcome {
	return c.welcomeSession(w, h.Password, func(done pipeline.Done) pipeline.Cancel {
		return c.front.core.Attach(pipeline.AttachParams{
			Session: h.Session, PasswordHash: sha256.Sum256(h.Password), Attempt: h.Attempt,
			TimeoutMs: w.TimeoutMs, Ack: h.Ack, LastZxid: h.LastZxid, Identities: c.ids,
		}, c, done)
	})
}

func (c *conn) welcomeSession(w *protocol.Welcome, password protocol.Secret, start func(pipeline.Done) pipeline.Cancel) *protocol.Welcome {
	if code, why := c.noHope(); code != protocol.OK {
		return refuse(w, code, why)
	}
	a, ok := c.arrive(start)
	switch {
	case !ok:
		return nil
	case a.code != protocol.OK:
		return refuse(w, a.code, a.detail)
	}
	c.setLane(a.lane)
	c.timeout = time.Duration(a.opened.TimeoutMs) * time.Millisecond
	w.Session, w.Generation, w.Password = a.opened.Session, a.opened.Generation, password
	w.TimeoutMs, w.Zxid = a.opened.TimeoutMs, a.opened.Zxid
	return w
}

// noHope tells why this server will begin no session now.
func (c *conn) noHope() (protocol.Code, string) {
	if c.front.draining.Load() {
		return protocol.Closing, goingDown
	}
	if why := c.front.cfg.notServing(); why != nil {
		c.front.counts.notServing.Add(1)
		return protocol.NotReady, why.Error()
	}
	return protocol.OK, ""
}

// arrival is how an open or attach ended.
type arrival struct {
	lane   *pipeline.Lane
	opened pipeline.Opened
	code   protocol.Code
	detail string
}

// arrive waits for an open or attach. It is given up when the client goes
// away, which then would fence the connection the client has made elsewhere, and
// when this server stops serving, so that the client goes elsewhere.
func (c *conn) arrive(start func(pipeline.Done) pipeline.Cancel) (a arrival, ok bool) {
	done := make(chan arrival, 1)
	cancel := start(func(l *pipeline.Lane, o pipeline.Opened, code protocol.Code, detail string) {
		done <- arrival{l, o, code, detail}
	})
	late := time.NewTimer(prompt)
	defer late.Stop()
	select {
	case a = <-done:
		return a, true
	case <-late.C:
	}
	heard, stop := c.listen()
	defer stop()
	late.Reset(handshakeTimeout - prompt)
	check := time.NewTicker(patienceCheck)
	defer check.Stop()
	for {
		select {
		case a = <-done:
			return a, true
		case err := <-heard:
			if err != nil && cancel() {
				return a, false
			}
			heard = nil
		case <-check.C:
			if code, why := c.noHope(); code != protocol.OK && cancel() {
				return arrival{code: code, detail: why}, true
			}
		case <-late.C:
			if cancel() {
				return arrival{code: protocol.NotReady, detail: "the cluster did not take the session in time"}, true
			}
		}
	}
}

// listen finds out when the client goes away, or speaks before its turn. Until
// stop returns nobody else may read.
func (c *conn) listen() (heard chan error, stop func()) {
	heard, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		_, err := c.r.Peek(1)
		heard <- err
	}()
	return heard, func() {
		c.nc.SetReadDeadline(time.Unix(1, 0))
		<-ended
		c.nc.SetReadDeadline(time.Time{})
	}
}
