package server

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

// eye is a client that keeps a picture of the whole tree by nothing but what
// its watch tells.
type eye struct {
	c    *client.Client
	w    *client.Watch
	done chan struct{}

	mu      sync.Mutex        // guards what follows
	picture map[string]uint64 // zxid of the newest change of each node
	telling map[string]uint64 // while the present state is told after a gap
	newest  uint64
	changes int
	gaps    int
	wrong   string // what must not be
	ended   error  // why it looks no more
}

func (p *pack) newEye() *eye {
	p.t.Helper()
	e := &eye{picture: map[string]uint64{}, done: make(chan struct{})}
	p.await("a watcher finds the cluster", 20*time.Second, func() (ok bool) {
		var err error
		if e.c, err = p.tryClient(nil, client.WithRequestTimeout(0)); err != nil {
			return false
		}
		e.w, err = e.c.Watch(e.c.Session().Context(), "/", client.Subtree(), client.WithSnapshot())
		return err == nil
	})
	e.telling = map[string]uint64{}
	go e.look()
	return e
}

func (e *eye) look() {
	defer close(e.done)
	for {
		event, err := e.w.Next(e.c.Session().Context())
		e.mu.Lock()
		if e.ended = err; err == nil {
			e.take(event)
		}
		e.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// take changes the picture by an event. Until a telling of the present state
// has ended, what was known counts for nothing.
func (e *eye) take(event client.Event) {
	into := e.picture
	if e.telling != nil {
		into = e.telling
	}
	switch event.Type {
	case client.EventGap:
		e.gaps++
		e.telling = map[string]uint64{}
		return
	case client.EventPresent:
		into[event.Path] = max(into[event.Path], event.Stat.Mzxid)
		return
	case client.EventSynced:
		e.picture, e.telling = into, nil
		return
	case client.EventDeleted:
		if into[event.Path] <= event.Zxid {
			delete(into, event.Path)
		}
	default:
		into[event.Path] = max(into[event.Path], event.Zxid)
	}
	e.changes++
	if event.Zxid < e.newest && e.wrong == "" {
		e.wrong = fmt.Sprintf("an event of zxid %d after one of %d", event.Zxid, e.newest)
	}
	e.newest = event.Zxid
}

func (e *eye) lost() bool { return e.c.Session().Context().Err() != nil }

func (e *eye) close() {
	e.c.Abandon()
	<-e.done
}

// sees tells whether the picture is the tree.
func (e *eye) sees(tree map[string]uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.telling == nil && maps.Equal(e.picture, tree)
}

// differences tells how a picture is wrong.
func (e *eye) differences(tree map[string]uint64) (text []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for path, zxid := range tree {
		if e.picture[path] != zxid {
			text = append(text, fmt.Sprintf("%s: changed at %d, told %d", path, zxid, e.picture[path]))
		}
	}
	for path, zxid := range e.picture {
		if _, ok := tree[path]; !ok {
			text = append(text, fmt.Sprintf("%s: gone, told %d", path, zxid))
		}
	}
	return append(text, fmt.Sprintf("after %d gaps and %d changes, %d told of the present state, newest %d, ended: %v",
		e.gaps, e.changes, len(e.telling), e.newest, e.ended))
}

// tree is what there is, by the zxid of the newest change of each node.
func (p *pack) tree() map[string]uint64 {
	p.t.Helper()
	c := p.client(nil)
	defer c.Abandon()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	all := map[string]uint64{}
	for n, err := range c.Walk(ctx, "/", client.KeysOnly()) {
		require.NoError(p.t, err)
		all[n.Path] = n.Stat.Mzxid
	}
	return all
}

// matches requires that an eye comes to see the tree, which rests but for the
// ephemeral nodes of clients that are gone: it is read anew every second.
func (p *pack) matches(e *eye) {
	p.t.Helper()
	began := time.Now()
	for tree := p.tree(); !e.sees(tree) && !e.lost(); tree = p.tree() {
		require.Less(p.t, time.Since(began), 10*time.Second, "the watch has missed something: %v", e.differences(tree))
		for read := time.Now(); !e.sees(tree) && !e.lost() && time.Since(read) < time.Second; {
			time.Sleep(5 * time.Millisecond)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	require.Empty(p.t, e.wrong)
}

func TestBubbleAWatchMissesNothingWhateverBecomesOfItsServer(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, p *pack) {
		p.ready()
		c := p.client(nil)
		defer c.Abandon()
		e := p.newEye()
		defer e.close()
		for i := range 9 {
			d := p.dens[i%3]
			p.kill(d.id)
			for k := range 20 {
				p.put(c, fmt.Sprintf("/n-%d-%d", i, k), 5*time.Second)
			}
			p.start(d.id)
			p.ready()
			p.matches(e)
		}
		require.GreaterOrEqual(t, e.changes, 180)
		require.Zero(t, e.gaps, "the ring of the servers covers it")
	})
}
