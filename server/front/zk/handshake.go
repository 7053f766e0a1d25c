package zk

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

var (
	errTooMany  = errors.New("more connections than this server may hold")
	errGone     = errors.New("the client has gone")
	errNoLonger = errors.New("the session is no more")
)

// Handshake implements front.Speaker. A client that this server cannot take is
// left without an answer, on which it goes to another server; only that its
// session is no more it has to be told, or it would try for ever.
func (c *conn) Handshake() bool {
	if done, ok := c.word(); done {
		return ok
	}
	frame, err := protocol.ReadFrame(c.Reader(), nil, protocol.PreHelloMaxFrame)
	if err != nil {
		c.HandshakeFailed(err)
		return false
	}
	r, err := jute.DecodeConnectRequest(frame)
	if err == nil {
		err = c.begin(&r)
	}
	if err != nil {
		c.HandshakeFailed(err)
	}
	if errors.Is(err, errNoLonger) {
		c.Say(jute.AppendConnectResponse(nil, &jute.ConnectResponse{Password: make([]byte, passwordSize)}, r.HasReadOnly))
	}
	return err == nil
}

func (c *conn) begin(r *jute.ConnectRequest) error {
	if c.Refusal() != "" {
		return errTooMany
	}
	ids, err := c.Identify()
	if err != nil {
		return err
	}
	timeout := c.Config().Clamp(int64(r.TimeoutMs))
	if r.ReadOnly && !c.Front().Draining() && c.Config().NotServing() != nil {
		return c.beginReadOnly(r, ids, timeout)
	}
	password := r.Password
	start := c.attach(r, ids, timeout)
	if r.Session == 0 {
		password = newPassword()
		start = c.open(password, ids, timeout)
	}
	a, gone := c.Arrive(start)
	switch {
	case gone:
		return errGone
	case a.Code == protocol.SessionExpired:
		return fmt.Errorf("%w: %s", errNoLonger, a.Detail)
	case a.Code != protocol.OK:
		return fmt.Errorf("%w: %s", a.Code.Err(), a.Detail)
	}
	return c.welcome(r, a.Lane, &jute.ConnectResponse{
		TimeoutMs: int32(a.Opened.TimeoutMs), Session: int64(a.Opened.Session), Password: password,
	})
}

func newPassword() []byte {
	password := make([]byte, passwordSize)
	rand.Read(password)
	return password
}

func (c *conn) open(password []byte, ids []znode.Identity, timeout time.Duration) func(pipeline.Done) pipeline.Cancel {
	return func(done pipeline.Done) pipeline.Cancel {
		return c.Core().Open(pipeline.OpenParams{
			PasswordHash: sha256.Sum256(password), TimeoutMs: timeout.Milliseconds(),
			MaxEphemerals: c.Config().MaxEphemerals, Identities: ids,
		}, c, done)
	}
}

// attach asks for a session by id and password. What its client has seen is
// compared only once the session was found: one of another cluster has seen
// zxids that this one may never reach, and is to learn that it has no session
// here.
func (c *conn) attach(r *jute.ConnectRequest, ids []znode.Identity, timeout time.Duration) func(pipeline.Done) pipeline.Cancel {
	return func(done pipeline.Done) pipeline.Cancel {
		return c.Core().Attach(pipeline.AttachParams{
			Session: uint64(r.Session), PasswordHash: sha256.Sum256(r.Password), Uncounted: true,
			TimeoutMs: timeout.Milliseconds(), LastZxid: uint64(max(r.LastZxid, 0)), Identities: ids,
		}, c, done)
	}
}

func (c *conn) welcome(r *jute.ConnectRequest, l *pipeline.Lane, w *jute.ConnectResponse) error {
	c.SetLane(l, time.Duration(w.TimeoutMs)*time.Millisecond)
	c.about.session.Store(w.Session)
	c.about.timeout.Store(int64(w.TimeoutMs))
	return c.Write(jute.AppendConnectResponse(nil, w, r.HasReadOnly))
}

// beginReadOnly serves a client without a session while this server cannot
// serve any. One that has a session, which must be right, keeps its id: it
// comes back with it once there is a server that can take it.
func (c *conn) beginReadOnly(r *jute.ConnectRequest, ids []znode.Identity, timeout time.Duration) error {
	if r.LastZxid > int64(c.Core().Zxid()) {
		return errors.New("this server has not reached what the client has seen")
	}
	session, password := r.Session, r.Password
	switch {
	case session == 0:
		session, password = inventedSession(), newPassword()
	case !invented(session) && !c.owns(uint64(session), password):
		return errors.New("without the others this server does not know that session")
	}
	l := c.Core().Onlooker(c, ids)
	if l == nil {
		return protocol.ErrThrottled
	}
	c.readOnly = true
	c.zk.onlookers.add(c)
	return c.welcome(r, l, &jute.ConnectResponse{
		TimeoutMs: int32(timeout.Milliseconds()), Session: session, Password: password, ReadOnly: true,
	})
}

// owns tells whether a session is known here by that password.
func (c *conn) owns(id uint64, password []byte) (owns bool) {
	hash := sha256.Sum256(password)
	c.Core().View(func(m *state.Machine) {
		s, ok := m.Sessions().Get(id)
		owns = ok && subtle.ConstantTimeCompare(s.PasswordHash[:], hash[:]) == 1
	})
	return owns
}

// inventedTop marks the ids of those who have no session: no zxid gets there.
const inventedTop = 0x7e

func inventedSession() int64 {
	var b [7]byte
	rand.Read(b[:])
	id := int64(inventedTop)
	for _, v := range b {
		id = id<<8 | int64(v)
	}
	return id
}

func invented(session int64) bool { return session>>56 == inventedTop }

var _ front.Speaker = (*conn)(nil)
