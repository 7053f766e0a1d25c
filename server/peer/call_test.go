package peer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/internal/memnet"
	"github.com/lycaon-io/lycaon/server/peer"
)

func TestACallIsAnsweredByItsHandler(t *testing.T) {
	a, b := open(t, 1), open(t, 2)
	b.Handle("greet", func(_ context.Context, from peer.Identity, body []byte) (any, error) {
		return fmt.Sprintf("%s from %d", body, from.ID), nil
	})
	var text string
	require.NoError(t, a.Call(brief(t), target(b, 2), "greet", map[string]int{"n": 1}, &text))
	require.Equal(t, `{"n":1} from 1`, text)
	require.NoError(t, a.Call(brief(t), target(b, 2), "greet", nil, nil))
	require.ErrorIs(t, a.Call(brief(t), target(b, 2), "grumble", nil, nil), peer.ErrNotReady)
	require.Eventually(t, func() bool { s := b.Stats(); return s.Calls == 3 && s.Accepted[peer.Admin] == 0 }, 10*time.Second, time.Millisecond)
}

func TestErrorsOfHandlersCross(t *testing.T) {
	a, b := open(t, 1), open(t, 2)
	cases := map[string]struct {
		err  error
		want *peer.Error
		text string
	}{
		"with a code":    {peer.Refuse(peer.ErrNotLeader, "ask %d", 3), peer.ErrNotLeader, "ask 3"},
		"wrapped":        {fmt.Errorf("on the way: %w", peer.Refuse(peer.ErrNotMember, "7")), peer.ErrNotMember, "7"},
		"without a code": {errors.New("disk on fire"), peer.ErrFailed, "disk on fire"},
		"an empty one":   {&peer.Error{}, peer.ErrFailed, ""},
		"long":           {errors.New(strings.Repeat("long ", 10000)), peer.ErrFailed, "long long"},
	}
	for name, c := range cases {
		b.Handle("fail", func(context.Context, peer.Identity, []byte) (any, error) { return nil, c.err })
		err := a.Call(brief(t), target(b, 2), "fail", nil, nil)
		require.ErrorIs(t, err, c.want, name)
		require.ErrorContains(t, err, c.text, name)
		require.Less(t, len(err.Error()), 2000, name)
	}
}

func TestAPanicInAHandlerIsContained(t *testing.T) {
	log, text := logTo()
	a, b := open(t, 1), open(t, 2, func(c *peer.Config) { c.Logger = log })
	b.Handle("trip", func(context.Context, peer.Identity, []byte) (any, error) { panic("over a stone") })
	require.ErrorIs(t, a.Call(brief(t), target(b, 2), "trip", nil, nil), peer.ErrFailed)
	require.Equal(t, uint64(1), b.Stats().Panics)
	require.Contains(t, text(), "over a stone")
}

func TestBodiesAreBounded(t *testing.T) {
	a, b := open(t, 1), open(t, 2)
	b.Handle("echo", func(_ context.Context, _ peer.Identity, body []byte) (any, error) {
		return strings.Trim(string(body), `"`), nil
	})
	b.Handle("big", func(context.Context, peer.Identity, []byte) (any, error) { return strings.Repeat("x", 1<<20), nil })
	limit := strings.Repeat("x", 1<<20-2)
	var back string
	require.NoError(t, a.Call(brief(t), target(b, 2), "echo", limit, &back))
	require.Equal(t, limit, back)
	require.ErrorIs(t, a.Call(brief(t), target(b, 2), "echo", limit+"x", &back), peer.ErrTooLong)
	require.ErrorIs(t, a.Call(brief(t), target(b, 2), "big", nil, &back), peer.ErrFailed)
}

func TestARequestThatIsNoneIsABadRequest(t *testing.T) {
	a, b := open(t, 1), open(t, 2)
	for name, frame := range map[string][]byte{
		"no JSON":  append(binary.BigEndian.AppendUint32(nil, 4), "{{{{"...),
		"too long": binary.BigEndian.AppendUint32(nil, 1<<31),
	} {
		c, err := a.Dial(brief(t), peer.Admin, target(b, 2))
		require.NoError(t, err)
		_, err = c.Write(frame)
		require.NoError(t, err)
		require.Contains(t, string(ended(t, c)), "bad-request", name)
		require.NoError(t, c.Close())
	}
}

// bubble opens two muxes in memory.
func bubble(t *testing.T, f func(t *testing.T, n *memnet.Net, a, b *peer.Mux)) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, b := overMemory(t, n, 1), overMemory(t, n, 2)
		f(t, n, a, b)
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())
	})
}

func TestTheDeadlineOfACallHoldsOnBothSides(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Net, a, b *peer.Mux) {
		var ended time.Time
		b.Handle("wait", func(ctx context.Context, _ peer.Identity, _ []byte) (any, error) {
			<-ctx.Done()
			ended = time.Now()
			return nil, ctx.Err()
		})
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := a.Call(ctx, peer.Target{ID: 2, Addr: "b:1"}, "wait", nil, nil)
		require.Error(t, err)
		require.Equal(t, 3*time.Second, time.Since(start))
		synctest.Wait()
		require.Equal(t, 3*time.Second, ended.Sub(start))

		// Without a deadline there is one all the same.
		start = time.Now()
		require.Error(t, a.Call(t.Context(), peer.Target{ID: 2, Addr: "b:1"}, "wait", nil, nil))
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func TestAHandlerIsToldWhenItsCallerLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Net, a, b *peer.Mux) {
		left := make(chan time.Time, 1)
		b.Handle("wait", func(ctx context.Context, _ peer.Identity, _ []byte) (any, error) {
			<-ctx.Done()
			left <- time.Now()
			return nil, ctx.Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		time.AfterFunc(time.Second, cancel)
		require.ErrorIs(t, a.Call(ctx, peer.Target{ID: 2, Addr: "b:1"}, "wait", nil, nil), context.Canceled)
		require.Equal(t, time.Second, (<-left).Sub(start))

		// When its own server closes, too.
		go a.Call(t.Context(), peer.Target{ID: 2, Addr: "b:1"}, "wait", nil, nil)
		synctest.Wait()
		require.NoError(t, b.Close())
		require.Len(t, left, 1)
	})
}

func TestAnIdleCallEnds(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Net, a, b *peer.Mux) {
		c, err := a.Dial(t.Context(), peer.Admin, peer.Target{ID: 2, Addr: "b:1"})
		require.NoError(t, err)
		start := time.Now()
		ended(t, c)
		require.Equal(t, 10*time.Second, time.Since(start))
		synctest.Wait()
		require.Zero(t, b.Stats().Accepted[peer.Admin])
	})
}
