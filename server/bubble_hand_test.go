package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

// hand is a client at work. Everything it writes has one outcome that it can
// predict, since nobody else writes there and its writes are done exactly once
// as long as its session lives.
type hand struct {
	t    *testing.T
	id   int
	c    *client.Client
	dice *rand.Rand // of the worker
	done chan struct{}

	flood atomic.Bool    // write much and often
	shown *atomic.Uint64 // the newest zxid that any hand was shown

	mu      sync.Mutex // guards what follows
	changed sync.Cond
	last    time.Time        // of the newest acknowledged write
	kept    map[string]int64 // versions of its nodes, -1 for one that is deleted
	open    string           // the path under a write whose outcome is not known
	seen    uint64           // the newest zxid that it was shown
	writes  int
	paused  bool
	idle    bool
	ended   bool
	gone    bool   // its session had ended when it came to rest
	wrong   string // what must not be
}

func (h *hand) path(n int) string { return fmt.Sprintf("/hand-%d-%d", h.id, n) }

// alive is the ephemeral node of its session.
func (h *hand) alive() string { return fmt.Sprintf("/hand-%d-alive", h.id) }

func (h *hand) wrote() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.last }

// faulty tells whether something was wrong so far.
func (h *hand) faulty() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.wrong != "" }

// lost tells whether the session has ended.
func (h *hand) lost() bool { return h.c.Session().Context().Err() != nil }

// hold waits until the hand is idle, or lets it go on.
func (h *hand) hold(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.paused = on
	h.changed.Broadcast()
	for on && !h.idle && !h.ended {
		h.changed.Wait()
	}
}

// rest ends the work, after the write under way.
func (h *hand) rest() {
	h.stop()
	<-h.done
	h.gone = h.lost()
	h.c.Abandon()
}

// judge fails the test if something was wrong so far.
func (h *hand) judge() {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	require.Empty(h.t, h.wrong, "hand %d", h.id)
}

func (h *hand) work() {
	defer close(h.done)
	defer h.stop()
	ctx := h.c.Session().Context()
	_, err := h.c.Create(ctx, h.alive(), nil, client.Ephemeral())
	h.note(h.alive(), 0, err)
	for n := 0; err == nil && h.mayGoOn(ctx); n++ {
		h.step(ctx, n)
		rest := 200
		if h.flood.Load() {
			rest = 20
		}
		time.Sleep(time.Duration(h.dice.IntN(rest)) * time.Millisecond)
	}
}

func (h *hand) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	h.changed.Broadcast()
}

// mayGoOn waits while the hand is held.
func (h *hand) mayGoOn(ctx context.Context) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.paused && !h.ended {
		h.idle = true
		h.changed.Broadcast()
		h.changed.Wait()
	}
	h.idle = false
	return !h.ended && h.wrong == "" && ctx.Err() == nil
}

// step does one thing and compares its outcome with what it must be.
func (h *hand) step(ctx context.Context, n int) {
	path := h.path(h.dice.IntN(20))
	h.mu.Lock()
	version, exists := h.kept[path]
	exists = exists && version >= 0
	h.mu.Unlock()
	switch what := h.dice.IntN(10); {
	case what < 1:
		h.look(ctx, h.alive(), 0, true)
	case what < 2:
		h.look(ctx, path, version, exists, client.Linearizable())
		h.lookAtAll(ctx)
	case what < 4:
		h.look(ctx, path, version, exists)
	case !exists:
		h.begin(path)
		node, err := h.c.Create(ctx, path, h.data(n))
		if err == nil {
			h.saw(node.Zxid)
		}
		h.note(path, 0, err)
	case what < 5:
		h.begin(path)
		h.note(path, -1, h.c.Delete(ctx, path, client.IfVersion(version)))
	case what < 7:
		h.set(ctx, path, n, version+1)
	default:
		h.set(ctx, path, n, version+1, client.IfVersion(version))
	}
}

func (h *hand) data(n int) []byte {
	b := fmt.Append(nil, n)
	if h.flood.Load() {
		b = append(b, make([]byte, 32<<10)...)
	}
	return b
}

func (h *hand) set(ctx context.Context, path string, n int, version int64, opts ...client.SetOption) {
	h.begin(path)
	stat, err := h.c.Set(ctx, path, h.data(n), opts...)
	if err == nil {
		h.expect(stat.Version == version, "%s has version %d, want %d", path, stat.Version, version)
		h.saw(stat.Mzxid)
	}
	h.note(path, version, err)
}

// look reads what only this hand writes: its own newest write, whatever server
// answers.
func (h *hand) look(ctx context.Context, path string, version int64, exists bool, opts ...client.GetOption) {
	node, err := h.c.Get(ctx, path, opts...)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, client.ErrNoNode):
		h.expect(!exists, "%s is gone, want version %d", path, version)
	case err != nil:
		h.expect(false, "read of %s: %v", path, err)
	default:
		h.expect(exists && node.Stat.Version == version, "%s has version %d, want %d (exists: %v)", path, node.Stat.Version, version, exists)
		h.saw(node.Zxid)
	}
}

// lookAtAll requires of a linearizable read that it shows a state no older than
// any that anybody has been shown before it began.
func (h *hand) lookAtAll(ctx context.Context) {
	shown := h.shown.Load()
	node, err := h.c.Get(ctx, "/", client.Linearizable())
	if err == nil {
		h.expect(node.Zxid >= shown, "a linearizable read of zxid %d when somebody had been shown %d", node.Zxid, shown)
		h.saw(node.Zxid)
	}
}

func (h *hand) begin(path string) { h.mu.Lock(); h.open = path; h.mu.Unlock() }

// note takes the outcome of a write. The only error that may be is the end of
// the session.
func (h *hand) note(path string, version int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		if h.c.Session().Context().Err() == nil && h.wrong == "" {
			h.wrong = fmt.Sprintf("write of %s to version %d: %v", path, version, err)
		}
		return
	}
	h.kept[path], h.open, h.last = version, "", time.Now()
	h.writes++
}

// saw requires that what a session is shown never goes back. Only the worker
// calls it.
func (h *hand) saw(zxid uint64) {
	h.expect(zxid >= h.seen, "zxid %d after %d", zxid, h.seen)
	h.seen = zxid
	for {
		if shown := h.shown.Load(); shown >= zxid || h.shown.CompareAndSwap(shown, zxid) {
			return
		}
	}
}

func (h *hand) expect(ok bool, format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !ok && h.wrong == "" {
		h.wrong = fmt.Sprintf(format, args...)
	}
}

// check reads everything back, from every server.
func (h *hand) check(p *pack) {
	p.t.Helper()
	h.judge()
	for _, d := range p.dens {
		if d.server == nil {
			continue
		}
		c := p.client([]uint64{d.id})
		for path, version := range h.kept {
			if path == h.open || path == h.alive() && h.gone {
				continue
			}
			node, err := c.Get(p.t.Context(), path, client.Linearizable())
			if version < 0 {
				assert.ErrorIs(p.t, err, client.ErrNoNode, "%s on server %d", path, d.id)
				continue
			}
			if assert.NoError(p.t, err, "%s on server %d", path, d.id) {
				assert.Equal(p.t, version, node.Stat.Version, "%s on server %d", path, d.id)
			}
		}
		c.Abandon()
	}
}
