package client

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"time"
)

// SessionID names a session, ephemeral nodes carry it as their owner.
type SessionID uint64

func (id SessionID) String() string { return fmt.Sprintf("%#x", uint64(id)) }

// State is what a client knows of its session.
type State uint8

const (
	Disconnected State = iota // no server now; the session may live on
	Connected
	Expired // the session is lost; Context's cause says how
	Closed  // by Close
)

func (s State) String() string {
	switch s {
	case Disconnected:
		return "disconnected"
	case Connected:
		return "connected"
	case Expired:
		return "expired"
	case Closed:
		return "closed"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Session is the session of a Client: one, from Open until it is closed or
// lost. A lost session is never replaced; open another Client.
type Session struct{ c *Client }

// String is for people: the ID and the present state.
func (s *Session) String() string { return fmt.Sprintf("session %s, %s", s.ID(), s.State()) }

// ID is 0 until a lazily opened client has its session, and for guests.
func (s *Session) ID() SessionID {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return SessionID(s.c.sess.id)
}

// Timeout is what the server granted, 0 before it did.
func (s *Session) Timeout() time.Duration {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.c.sess.timeout
}

// Context is cancelled when the session is lost or closed; context.Cause says
// which: ErrSessionExpired, ErrSessionMoved, ErrClosed or what a server
// refused the client for. It is cancelled at the latest one timeout after the
// client sent the last sign of life that the leader is known to have heard of,
// even if no server can be reached: before that moment the cluster does not end
// the session. What a server answers that has lost the leader prolongs nothing.
// While a machine is suspended its clock stands still, and this comes as much later.
func (s *Session) Context() context.Context { return s.c.ctx }

// State is the present state.
func (s *Session) State() State {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.c.state
}

// States yields the present state and then each change, ending after Expired
// or Closed. A consumer that falls behind misses states that have passed,
// never the latest one.
func (s *Session) States() iter.Seq[State] {
	return func(yield func(State) bool) {
		for {
			s.c.mu.Lock()
			state, changed := s.c.state, s.c.stateChanged
			s.c.mu.Unlock()
			if !yield(state) || state == Expired || state == Closed {
				return
			}
			<-changed
		}
	}
}

// Token lets another process take the session over, WithResume. Take it as
// late as possible: only this client's doings until then are behind it.
func (s *Session) Token() SessionToken {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	t := SessionToken{
		ID: SessionID(s.c.sess.id), attempt: s.c.sess.attempt, xid: s.c.nextXid, zxid: s.c.lastZxid,
		timeout: s.c.sess.timeout,
	}
	copy(t.password[:], s.c.sess.password)
	return t
}

const passwordSize = 16

// SessionToken is the right to a session. It prints redacted; MarshalText
// gives all of it, to be kept as carefully as a password.
type SessionToken struct {
	ID       SessionID
	password [passwordSize]byte
	attempt  uint64
	xid      uint64
	zxid     uint64
	timeout  time.Duration
}

func (t SessionToken) String() string { return "session " + t.ID.String() + " redacted" }

// Format keeps every verb of fmt from printing the password.
func (t SessionToken) Format(f fmt.State, _ rune) { io.WriteString(f, t.String()) }

const tokenSize = 5*8 + passwordSize

// MarshalText is base64 of the token's numbers and password.
func (t SessionToken) MarshalText() ([]byte, error) {
	b := make([]byte, 0, tokenSize)
	for _, n := range []uint64{uint64(t.ID), t.attempt, t.xid, t.zxid, uint64(t.timeout)} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(b, t.password[:]...)
	return []byte(base64.RawURLEncoding.EncodeToString(b)), nil
}

// UnmarshalText reads what MarshalText wrote.
func (t *SessionToken) UnmarshalText(text []byte) error {
	b, err := base64.RawURLEncoding.DecodeString(string(text))
	if err != nil || len(b) != tokenSize {
		return fmt.Errorf("%w: not a session token", ErrBadArguments)
	}
	var n [5]uint64
	for i := range n {
		n[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	*t = SessionToken{ID: SessionID(n[0]), attempt: n[1], xid: n[2], zxid: n[3], timeout: time.Duration(n[4])}
	copy(t.password[:], b[5*8:])
	return nil
}
