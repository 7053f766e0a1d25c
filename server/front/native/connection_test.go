package native_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

var guestHello = protocol.Hello{Mode: protocol.HelloGuest, TimeoutMs: 60_000}

func openHello(timeoutMs int64) protocol.Hello {
	return protocol.Hello{Mode: protocol.HelloOpen, TimeoutMs: timeoutMs}
}

func TestAnotherProtocolIsToldSoAtItsFirstByte(t *testing.T) {
	for _, first := range []string{"G", "\x00\x00\x00\x2d", "LYC\x02", "ruok"} {
		t.Run(fmt.Sprintf("%q", first), func(t *testing.T) {
			s := start(t)
			c := s.dial()
			_, err := c.Write([]byte(first))
			require.NoError(t, err)
			text, err := io.ReadAll(c.Conn)
			require.NoError(t, err)
			require.Equal(t, "lycaon: this port speaks the Lycaon native protocol only\n", string(text))
			require.EqualValues(t, 1, s.front.Stats().Foreign)
		})
	}
}

func TestAHelloIsRefusedWithACode(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		name string
		h    protocol.Hello
		code protocol.Code
	}{
		{"of another version", protocol.Hello{MinVersion: 7, MaxVersion: 9, Mode: protocol.HelloGuest}, protocol.UnsupportedVersion},
		{"without a mode", protocol.Hello{}, protocol.Marshalling},
		{"of a session that is none", protocol.Hello{Mode: protocol.HelloAttach, Session: 99, Attempt: 1, Password: make([]byte, 16)}, protocol.SessionExpired},
		{"with a token that is wrong", protocol.Hello{Mode: protocol.HelloGuest, Credentials: []protocol.Credential{{Scheme: "admin-token", Data: protocol.Secret("guess")}}}, protocol.AuthFailed},
		{"with a scheme that is unknown", protocol.Hello{Mode: protocol.HelloGuest, Credentials: []protocol.Credential{{Scheme: "magic"}}}, protocol.AuthFailed},
		{"with a digest without a password", protocol.Hello{Mode: protocol.HelloGuest, Credentials: []protocol.Credential{{Scheme: "digest", Data: protocol.Secret("me")}}}, protocol.AuthFailed},
		{"of a guest from the future", protocol.Hello{Mode: protocol.HelloGuest, LastZxid: 1 << 40}, protocol.NotReady},
		{"of an opener from the future", protocol.Hello{Mode: protocol.HelloOpen, LastZxid: 1 << 40}, protocol.NotReady},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := s.dial().hello(c.h)
			require.Equal(t, c.code, w.Code, w.Detail)
		})
	}
}

func TestAHelloBeyondItsLimitIsRefusedUnread(t *testing.T) {
	s := start(t)
	c := s.dial()
	_, err := c.Write(append(protocol.Magic[:], 0xff, 0xff, 0xff, 0xff))
	require.NoError(t, err)
	frame, err := c.r.next()
	require.NoError(t, err)
	w, err := protocol.DecodeWelcome(frame)
	require.NoError(t, err)
	require.Equal(t, protocol.TooLarge, w.Code)
}

func TestTheSessionTimeoutIsClamped(t *testing.T) {
	s := start(t)
	for asked, granted := range map[int64]int64{0: 100, 5: 100, 2000: 2000, 1 << 62: 60_000} {
		w := s.dial().hello(openHello(asked))
		require.Equal(t, protocol.OK, w.Code)
		require.Equal(t, granted, w.TimeoutMs)
		require.NotZero(t, w.Session)
		require.Len(t, w.Password, 16)
		require.Equal(t, protocol.DefaultLimits(), w.Limits)
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	s := start(t)
	c := s.dial()
	require.Equal(t, protocol.OK, c.hello(openHello(10_000)).Code)
	const n = 300
	var reqs []protocol.Request
	for i := range uint64(n) {
		path := fmt.Sprintf("/n%d", i)
		reqs = append(reqs, createRequest(3*i+1, path, path), getRequest(3*i+2, path),
			protocol.Request{Op: protocol.OpSet, Xid: 3*i + 3, Arg: 1, Body: []byte("not a body")})
	}
	go func() {
		for i := 0; i < len(reqs); i += 90 {
			c.send(reqs[i : i+90]...)
		}
	}()
	for i := range uint64(3 * n) {
		m := c.mustReceive()
		require.Equal(t, i+1, m.Xid)
		switch i % 3 {
		case 1:
			require.Equal(t, fmt.Sprintf("/n%d", i/3), string(m.Data))
		case 2:
			require.Equal(t, protocol.Marshalling, m.Code)
		}
	}
	require.EqualValues(t, n, s.front.Stats().BadRequests)
}

func TestAFrameBeyondTheLimitIsAnsweredAndTheConnectionStays(t *testing.T) {
	s := start(t)
	c := s.dial()
	w := c.hello(openHello(10_000))
	c.send(createRequest(1, "/big", string(make([]byte, w.Limits.MaxFrame))), getRequest(2, "/"))
	m := c.mustReceive()
	require.Equal(t, protocol.TooLarge, m.Code)
	require.EqualValues(t, 1, m.Xid)
	require.Contains(t, m.More.Detail, fmt.Sprint(w.Limits.MaxFrame))
	require.Equal(t, protocol.OK, c.mustReceive().Code)
	require.EqualValues(t, 1, s.front.Stats().TooLarge)
}

func TestAFrameWithoutAHeaderEndsTheConnection(t *testing.T) {
	s := start(t)
	c := s.dial()
	c.hello(guestHello)
	_, err := c.Write([]byte{0, 0, 0, 3, 1, 2, 3})
	require.NoError(t, err)
	last := c.awaitEnd()
	require.Equal(t, protocol.Goodbye, last.Kind)
	require.Equal(t, protocol.Marshalling, last.Code)
}

func TestASilentConnectionIsClosed(t *testing.T) {
	s := start(t)
	c := s.dial()
	began := time.Now()
	c.hello(openHello(100))
	last := c.awaitEnd()
	require.Equal(t, protocol.Closing, last.Code)
	require.GreaterOrEqual(t, time.Since(began), 100*time.Millisecond)
	require.EqualValues(t, 1, s.front.Stats().Idle)
}

func TestConnectionsBeyondABoundAreToldSo(t *testing.T) {
	for name, change := range map[string]func(*config){
		"in all":         func(c *config) { c.MaxConnections = 2 },
		"of one address": func(c *config) { c.MaxConnectionsPerIP = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, change)
			first, second := s.dial(), s.dial()
			require.Equal(t, protocol.OK, first.hello(guestHello).Code)
			require.Equal(t, protocol.OK, second.hello(guestHello).Code)
			require.Equal(t, protocol.TooManyConnections, s.dial().hello(guestHello).Code)
			require.EqualValues(t, 1, s.front.Stats().ConnectionsRefused)
			first.Close()
			require.Eventually(t, func() bool { return s.front.Stats().Connections < 2 }, patience, time.Millisecond)
			require.Equal(t, protocol.OK, s.dial().hello(guestHello).Code)
		})
	}
}

func TestASlowReaderIsCutOffAndHurtsNobody(t *testing.T) {
	s := start(t, func(c *config) { c.MaxOutboxBytes = 1 << 20 })
	ctx := t.Context()
	writer := s.open()
	_, err := writer.Create(ctx, "/big", make([]byte, 256<<10))
	require.NoError(t, err)

	slow := s.dial()
	require.Equal(t, protocol.OK, slow.hello(openHello(30_000)).Code)
	watch := protocol.Request{Op: protocol.OpWatch, Xid: 1, Watches: []protocol.Watch{{Path: "/", Mode: protocol.WatchRecursive}}}
	slow.send(watch)
	require.Equal(t, protocol.OK, slow.mustReceive().Code)
	// Reads fill the socket and hold up the reader; events then fill the outbox.
	for xid := range uint64(100) {
		slow.send(getRequest(xid+2, "/big"))
	}
	done := make(chan error, 1)
	go func() {
		path := "/" + string(bytes.Repeat([]byte("x"), 900))
		if _, err := writer.Create(ctx, path, nil); err != nil {
			done <- err
			return
		}
		for s.front.Stats().SlowConsumers == 0 {
			if _, err := writer.Set(ctx, path, nil); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("the slow reader was never cut off")
	}
	require.Eventually(t, func() bool { return s.front.Stats().Connections == 1 }, patience, time.Millisecond)
	_, err = writer.Get(ctx, "/big")
	require.NoError(t, err)
}

func TestCredentialsBecomeIdentities(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	me := s.open(client.WithCredentials(client.Digest("me", "secret")))
	digest := client.Identity{Scheme: "digest", ID: "me:QxP0i3NpB1w7+qOBGNDWZQHd2SA="}
	ids, err := me.WhoAmI(ctx)
	require.NoError(t, err)
	require.Len(t, ids, 2)
	require.Equal(t, "digest", ids[1].Scheme)
	digest = ids[1]
	_, err = me.Create(ctx, "/mine", []byte("x"), client.WithACL(client.ACL{{Perms: 31, Scheme: "auth"}}))
	require.NoError(t, err)
	acl, err := me.GetACL(ctx, "/mine")
	require.NoError(t, err)
	require.Equal(t, client.ACL{{Perms: 31, Scheme: "digest", ID: digest.ID}}, acl[len(acl)-1:])

	other := s.open()
	_, err = other.Get(ctx, "/mine")
	require.ErrorIs(t, err, client.ErrNoAuth)
	require.ErrorIs(t, other.AddAuth(ctx, client.AdminToken("guess")), client.ErrAuthFailed)
	require.NoError(t, other.AddAuth(ctx, client.Digest("me", "secret")))
	_, err = other.Get(ctx, "/mine")
	require.NoError(t, err)

	// What was proved is proved again on the next connection.
	s.front.DropConnections()
	_, err = other.Get(ctx, "/mine")
	require.NoError(t, err)

	for _, cred := range []client.Credential{client.Digest("super", "test"), client.AdminToken(adminToken)} {
		super := s.open(client.WithCredentials(cred))
		_, err = super.Get(ctx, "/mine")
		require.NoError(t, err)
		status, err := super.Status(ctx)
		require.NoError(t, err)
		require.Equal(t, "leader", status.Role)
	}
	require.ErrorIs(t, me.ExpireSession(ctx, me.Session().ID(), "by a stranger"), client.ErrNoAuth)
	_, err = me.Status(ctx)
	require.NoError(t, err, "a status is for everybody")
	require.ErrorIs(t, me.AddAuth(ctx, client.Digest("not\xffUTF-8", "x")), client.ErrAuthFailed)
}

func TestASnapshotIsTheWholeState(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c := s.open(client.WithCredentials(client.AdminToken(adminToken)))
	for i := range 40 {
		_, err := c.Create(ctx, fmt.Sprintf("/n%d", i), bytes.Repeat([]byte{byte(i)}, 50_000))
		require.NoError(t, err)
	}
	var image bytes.Buffer
	n, err := c.Snapshot(ctx, &image)
	require.NoError(t, err)
	require.EqualValues(t, image.Len(), n)
	m, _, err := state.ReadImage(&image)
	require.NoError(t, err)
	require.Equal(t, s.core.Zxid(), m.Zxid())
	s.core.View(func(live *state.Machine) { require.Equal(t, live.Digest(), m.Digest()) })

	_, err = s.open().Snapshot(ctx, io.Discard)
	require.ErrorIs(t, err, client.ErrNoAuth)
	broken := errors.New("disk full")
	_, err = c.Snapshot(ctx, failingWriter{broken})
	require.ErrorIs(t, err, broken)
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestAnAttachWhoseSocketCloseIsGivenUp(t *testing.T) {
	s := start(t)
	first := s.dial()
	w := first.hello(openHello(10_000))
	s.log.Hold(true)
	late := s.dial()
	h := protocol.Hello{MinVersion: 1, MaxVersion: 1, Mode: protocol.HelloAttach, Session: w.Session, Password: w.Password, Attempt: 1, TimeoutMs: 10_000}
	_, err := late.Write(protocol.AppendHello(protocol.Magic[:], &h))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.core.Stats().Arrivals == 1 }, patience, time.Millisecond)
	late.Close()
	require.Eventually(t, func() bool { return s.core.Stats().Arrivals == 0 }, patience, time.Millisecond)
	s.log.Hold(false)
}

func TestAnAttachFencesTheFormerConnection(t *testing.T) {
	s := start(t)
	first := s.dial()
	w := first.hello(openHello(10_000))
	require.Zero(t, w.HighXid)
	first.send(createRequest(7, "/a", ""), createRequest(9, "/a", ""))
	first.mustReceive()
	first.mustReceive()
	second := s.dial()
	h := protocol.Hello{Mode: protocol.HelloAttach, Session: w.Session, Password: w.Password, Attempt: 1, TimeoutMs: 10_000}
	again := second.hello(h)
	require.Equal(t, protocol.OK, again.Code)
	require.EqualValues(t, 9, again.HighXid, "a write that failed has run, too")
	require.Equal(t, w.Generation+1, again.Generation)
	last := first.awaitEnd()
	require.Equal(t, protocol.SessionMoved, last.Code)
	h.Attempt = 0
	require.Equal(t, protocol.SessionMoved, s.dial().hello(h).Code)
	h.Attempt, h.Password = 2, make([]byte, 16)
	require.Equal(t, protocol.SessionExpired, s.dial().hello(h).Code)
}

// An heir may have acknowledged more than was ever written: of a write below that no
// answer is kept.
func TestAnHeirIsToldToBeginAboveWhatWasAcknowledged(t *testing.T) {
	s := start(t)
	c := s.dial()
	w := c.hello(openHello(10_000))
	h := protocol.Hello{Mode: protocol.HelloAttach, Session: w.Session, Password: w.Password, Attempt: 1, TimeoutMs: 10_000, Ack: 1000}
	require.EqualValues(t, 999, s.dial().hello(h).HighXid)
	h.Attempt, h.Ack = 2, 0
	c = s.dial()
	again := c.hello(h)
	require.EqualValues(t, 999, again.HighXid)
	write := createRequest(again.HighXid+1, "/a", "")
	c.send(write)
	first := c.mustReceive()
	require.Equal(t, protocol.OK, first.Code)
	c.Close()
	h.Attempt = 3
	c = s.dial()
	c.hello(h)
	c.send(write)
	require.Equal(t, first, c.mustReceive(), "the original answer")
}

// Who inherits the session begins above the highest xid, and needs room there.
func TestAnXidBeyondTheBoundIsRefused(t *testing.T) {
	s := start(t)
	c := s.dial()
	w := c.hello(openHello(10_000))
	write := createRequest(protocol.MaxXid, "/a", "")
	c.send(write)
	require.Equal(t, protocol.OK, c.mustReceive().Code)
	write = createRequest(1, "/b", "")
	write.Xid, write.Arg = protocol.MaxXid+1, 1
	c.send(write)
	require.Equal(t, protocol.BadArguments, c.mustReceive().Code)
	write.Xid, write.Arg = 0, protocol.MaxXid+1
	c.send(write)
	require.Equal(t, protocol.BadArguments, c.mustReceive().Code)
	h := protocol.Hello{Mode: protocol.HelloAttach, Session: w.Session, Password: w.Password, Attempt: 1, TimeoutMs: 10_000, Ack: protocol.MaxXid + 1}
	require.Equal(t, protocol.BadArguments, s.dial().hello(h).Code)
	h.Ack = 0
	require.EqualValues(t, protocol.MaxXid, s.dial().hello(h).HighXid)
}

func TestCloseBidsGoodbye(t *testing.T) {
	s := start(t)
	var all []*raw
	for range 5 {
		c := s.dial()
		c.hello(openHello(10_000))
		all = append(all, c)
	}
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(func() {
			if last := c.awaitEnd(); last.Code != protocol.Closing {
				t.Errorf("the last message was %+v", last)
			}
			c.Close()
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, s.front.Close(ctx))
	wg.Wait()
	_, err := net.Dial("tcp", s.addr)
	require.Error(t, err)
}

func TestAPanicEndsOneConnectionOnly(t *testing.T) {
	s := start(t, func(c *config) { c.Status = func() protocol.Status { panic("a bug") } })
	c := s.dial()
	c.hello(protocol.Hello{Mode: protocol.HelloGuest, TimeoutMs: 10_000, Credentials: []protocol.Credential{{Scheme: "admin-token", Data: protocol.Secret(adminToken)}}})
	c.send(protocol.Request{Op: protocol.OpStatus, Xid: 1})
	c.awaitEnd()
	// The socket is closed before the panic is counted.
	require.Eventually(t, func() bool { return s.front.Stats().Panics == 1 }, patience, time.Millisecond)
	_, err := s.open().Get(t.Context(), "/")
	require.NoError(t, err)
}
