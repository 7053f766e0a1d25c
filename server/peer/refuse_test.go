package peer_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/internal/memnet"
	"github.com/lycaon-io/lycaon/server/peer"
)

// poison is what kills a raft transport without a handshake before it: the
// call AppendEntries (byte 0) with an entry of kind configuration (Type 4)
// that does not decode.
var poison = append([]byte{0}, "\x86\xa9RPCHeader\x81\xafProtocolVersion\x03\xa4Term\x01\xa6Leader\xc0"+
	"\xa7Entries\x91\x84\xa5Index\x01\xa4Term\x01\xa4Type\x04\xa4Data\xc4\x04\xff\xff\xff\xff"...)

func TestWhoIsNotOfThisClusterIsRefused(t *testing.T) {
	b := open(t, 2)
	l := b.Listener(peer.Raft)
	cases := map[string]struct {
		self   peer.Identity
		kind   peer.Kind
		target func(*peer.Target)
		want   *peer.Error
	}{
		"of another cluster":      {peer.Identity{Cluster: "herd", ID: 1, Data: "data1"}, peer.Raft, nil, peer.ErrForeignCluster},
		"of another, for a call":  {peer.Identity{Cluster: "herd", ID: 1, Data: "data1"}, peer.Admin, nil, peer.ErrForeignCluster},
		"of no cluster":           {peer.Identity{ID: 1, Data: "data1"}, peer.Raft, nil, peer.ErrNotReady},
		"meaning another server":  {identity(1), peer.Raft, func(to *peer.Target) { to.ID = 3 }, peer.ErrWrongID},
		"meaning nobody":          {identity(1), peer.Raft, func(to *peer.Target) { to.ID = 0 }, peer.ErrBadRequest},
		"meaning another data":    {identity(1), peer.Raft, func(to *peer.Target) { to.Data = "wiped" }, peer.ErrOtherData},
		"with our id":             {peer.Identity{Cluster: "pack", ID: 2, Data: "data1"}, peer.Raft, nil, peer.ErrWrongID},
		"of another, forward":     {peer.Identity{Cluster: "herd", ID: 1, Data: "data1"}, peer.Forward, nil, peer.ErrForeignCluster},
		"meaning another, a call": {identity(1), peer.Admin, func(to *peer.Target) { to.ID = 3 }, peer.ErrWrongID},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := open(t, 1, func(cfg *peer.Config) { cfg.Self = c.self })
			to := target(b, 2)
			if c.target != nil {
				c.target(&to)
			}
			_, err := a.Dial(brief(t), c.kind, to)
			require.ErrorIs(t, err, c.want)
			require.Zero(t, a.Stats().Dialed[c.kind])
		})
	}
	require.Zero(t, b.Stats().Accepted[peer.Raft])
	requireNothing(t, l)
}

// requireNothing ends a listener and requires that no stream had reached it.
func requireNothing(t *testing.T, l net.Listener) {
	t.Helper()
	require.NoError(t, l.Close())
	c, err := l.Accept()
	require.Nil(t, c)
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestTheDialerChecksWhoAnswers(t *testing.T) {
	// An impostor says yes to everything and is somebody else.
	cases := map[string]struct {
		answer peer.Identity
		want   error
	}{
		"of another cluster": {peer.Identity{Cluster: "herd", ID: 2, Data: "data2"}, peer.ErrForeignCluster},
		"another server":     {identity(3), peer.ErrWrongID},
		"other data":         {peer.Identity{Cluster: "pack", ID: 2, Data: "wiped"}, peer.ErrOtherData},
		"nobody":             {peer.Identity{}, peer.ErrNotPeer},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err == nil {
					conn.Write(message(t, c.answer))
					ended(t, conn)
					conn.Close()
				}
			}()
			a := open(t, 1)
			_, err = a.Dial(brief(t), peer.Raft, peer.Target{ID: 2, Addr: l.Addr().String(), Data: "data2"})
			require.ErrorIs(t, err, c.want)
		})
	}
}

// message frames JSON as a handshake does.
func message(t *testing.T, v any) []byte {
	body, err := json.Marshal(v)
	require.NoError(t, err)
	b := binary.BigEndian.AppendUint16([]byte("LYCP\x01"), uint16(len(body)))
	return append(b, body...)
}

func TestAnUnknownClusterIsForCallsAlone(t *testing.T) {
	joiner := open(t, 1, func(c *peer.Config) { c.Self.Cluster = "" })
	joiner.Handle("who", func(_ context.Context, from peer.Identity, _ []byte) (any, error) { return from.ID, nil })
	member := open(t, 2)
	member.Handle("who", func(_ context.Context, from peer.Identity, _ []byte) (any, error) { return from.ID, nil })
	echo(t, joiner.Listener(peer.Raft))
	var id uint64
	require.NoError(t, joiner.Call(brief(t), peer.Target{Addr: member.Addr().String()}, "who", nil, &id))
	require.Equal(t, uint64(1), id)
	require.NoError(t, member.Call(brief(t), target(joiner, 1), "who", nil, &id))
	require.Equal(t, uint64(2), id)
	_, err := member.Dial(brief(t), peer.Raft, target(joiner, 1))
	require.ErrorIs(t, err, peer.ErrNotReady)

	joiner.SetSelf(identity(1))
	c, err := member.Dial(brief(t), peer.Raft, target(joiner, 1))
	require.NoError(t, err)
	bounce(t, c)
}

func TestThePoisonedPacketNeverReachesRaft(t *testing.T) {
	b := open(t, 2)
	l := b.Listener(peer.Raft)

	raw := dialTCP(t, b)
	_, err := raw.Write(poison)
	require.NoError(t, err)
	require.Empty(t, ended(t, raw))
	refusedFor(t, b, "not-peer", 1)

	// Behind the right byte, without a handshake.
	raw = dialTCP(t, b)
	_, err = raw.Write(append([]byte{'R'}, poison...))
	require.NoError(t, err)
	require.Empty(t, ended(t, raw))
	refusedFor(t, b, "not-peer", 2)

	// Behind a handshake that is forged: the cluster is not known to a stranger.
	raw = dialTCP(t, b)
	forged := map[string]any{"cluster": "guess", "id": 1, "data": "data1", "toId": 2}
	_, err = raw.Write(append(append([]byte{'R'}, message(t, forged)...), poison...))
	require.NoError(t, err)
	require.Contains(t, string(ended(t, raw)), "foreign-cluster")
	refusedFor(t, b, "foreign-cluster", 1)
	requireNothing(t, l)
}

func TestHandshakesThatAreNoneAreRefusedUnread(t *testing.T) {
	b := open(t, 2)
	b.Listener(peer.Raft)
	lying := append([]byte("RLYCP\x01"), 0xff, 0xff)
	cases := map[string]struct {
		bytes  []byte
		reason string
	}{
		"another protocol":    {[]byte("GET / HTTP/1.1\r\n\r\n"), "not-peer"},
		"no magic":            {[]byte("Rabcdefghijk"), "not-peer"},
		"another version":     {[]byte("RLYCP\x02\x00\x02{}"), "not-peer"},
		"a length too large":  {lying, "not-peer"},
		"no JSON":             {[]byte("RLYCP\x01\x00\x02{["), "not-peer"},
		"no id":               {[]byte("RLYCP\x01\x00\x02{}"), "bad-request"},
		"TLS to a plain port": {[]byte("\x16\x03\x01\x00\x05hello"), "not-plain"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := b.Stats().Refused[c.reason]
			raw := dialTCP(t, b)
			_, err := raw.Write(c.bytes)
			require.NoError(t, err)
			ended(t, raw)
			refusedFor(t, b, c.reason, before+1)
		})
	}
	raw := dialTCP(t, b)
	_, err := raw.Write([]byte("RLYCP"))
	require.NoError(t, err)
	require.NoError(t, raw.Close())
	refusedFor(t, b, "closed", 1)
}

// overMemory opens a mux of a host of the bubble's network.
func overMemory(t *testing.T, n *memnet.Net, id uint64) *peer.Mux {
	host := string(rune('a' + id - 1))
	m, err := peer.Open(peer.Config{Self: identity(id), Addr: host + ":1", Network: n.Host(host), Insecure: true})
	require.NoError(t, err)
	return m
}

func TestASlowHandshakeEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		b := overMemory(t, n, 2)
		defer b.Close()
		c, err := n.Host("x").Dial(t.Context(), "b:1")
		require.NoError(t, err)
		defer c.Close()
		start := time.Now()
		for _, one := range []byte("RLYCP\x01\x00") { // a byte a second
			if _, err = c.Write([]byte{one}); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		ended(t, c)
		require.LessOrEqual(t, time.Since(start), 8*time.Second)
		synctest.Wait()
		require.Equal(t, uint64(1), b.Stats().Refused["timeout"])
		require.Zero(t, b.Stats().Handshakes)
	})
}

func TestSilentConnectionsDoNotKeepAPeerOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, b := overMemory(t, n, 1), overMemory(t, n, 2)
		defer a.Close()
		defer b.Close()
		l := b.Listener(peer.Raft)
		var silent []net.Conn
		for range 100 {
			c, err := n.Host("x").Dial(t.Context(), "b:1")
			require.NoError(t, err)
			defer c.Close()
			silent = append(silent, c)
		}
		synctest.Wait()
		require.Equal(t, 64, b.Stats().Handshakes)
		require.Equal(t, uint64(36), b.Stats().Refused["evicted"])
		ended(t, silent[0])
		c, err := a.Dial(t.Context(), peer.Raft, peer.Target{ID: 2, Addr: "b:1"})
		require.NoError(t, err)
		other, err := l.Accept()
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.NoError(t, other.Close())
	})
}

func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, b := overMemory(t, n, 1), overMemory(t, n, 2)
		defer a.Close()
		defer b.Close()
		l := b.Listener(peer.Touch)
		to := peer.Target{ID: 2, Addr: "b:1"}
		release := make(chan struct{})
		b.Handle("wait", func(ctx context.Context, _ peer.Identity, _ []byte) (any, error) {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return nil, nil
		})
		for range 256 {
			go a.Call(t.Context(), to, "wait", nil, nil)
			synctest.Wait()
		}
		require.ErrorIs(t, a.Call(t.Context(), to, "wait", nil, nil), peer.ErrBusy)
		for range 1024 - 256 {
			_, err := a.Dial(t.Context(), peer.Touch, to)
			require.NoError(t, err)
			_, err = l.Accept()
			require.NoError(t, err)
		}
		_, err := a.Dial(t.Context(), peer.Touch, to)
		require.ErrorIs(t, err, peer.ErrBusy)
		close(release)
		synctest.Wait()
		_, err = a.Dial(t.Context(), peer.Touch, to)
		require.NoError(t, err)
	})
}

func TestAListenerThatDoesNotAcceptIsAsGoodAsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, b := overMemory(t, n, 1), overMemory(t, n, 2)
		defer a.Close()
		defer b.Close()
		b.Listener(peer.Touch)
		for range 64 {
			_, err := a.Dial(t.Context(), peer.Touch, peer.Target{ID: 2, Addr: "b:1"})
			require.NoError(t, err)
		}
		synctest.Wait()
		c, err := a.Dial(t.Context(), peer.Touch, peer.Target{ID: 2, Addr: "b:1"})
		require.NoError(t, err)
		ended(t, c)
	})
}

func TestADialThroughACutEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, b := overMemory(t, n, 1), overMemory(t, n, 2)
		defer a.Close()
		defer b.Close()
		to := peer.Target{ID: 2, Addr: "b:1"}
		n.Cut("b", "a")
		start := time.Now()
		_, err := a.Dial(t.Context(), peer.Raft, to)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 5*time.Second, time.Since(start))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = a.Dial(ctx, peer.Raft, to)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 6*time.Second, time.Since(start))
		time.AfterFunc(time.Second, func() { a.Close() })
		_, err = a.Dial(t.Context(), peer.Raft, to)
		require.ErrorIs(t, err, net.ErrClosed)
		require.Equal(t, 7*time.Second, time.Since(start))
	})
}
