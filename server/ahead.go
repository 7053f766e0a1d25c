package server

import (
	"context"
	"io"
	"runtime"
	"sync/atomic"

	"github.com/lycaon-io/lycaon/server/raftlog"
	"github.com/lycaon-io/lycaon/server/state"
)

// ahead is the newest snapshot on its way into a machine, beside the opening of
// the log. raft asks for that snapshot as if there were no such thing, and loads
// it itself if it was not whole.
type ahead struct {
	done   chan struct{} // closed once it is loaded, or found not to be whole
	loaded atomic.Pointer[loadedSnapshot]
}

type loadedSnapshot struct {
	id      string
	machine *state.Machine
}

// load ends early, and without a machine, when ctx does.
func (a *ahead) load(ctx context.Context, snaps *raftlog.Snapshots, loading func() (loaded func())) {
	defer close(a.done)
	var m *state.Machine
	began := false
	id := snaps.LoadAhead(func(r io.Reader) (err error) {
		began = true
		if loading != nil {
			defer loading()()
		}
		m, _, err = state.ReadImage(stopping{ctx, r})
		return err
	})
	switch {
	case id != "":
		a.loaded.Store(&loadedSnapshot{id, m})
	case began && ctx.Err() == nil:
		m = nil
		runtime.GC() // or what there is of it would lie beside another that is loaded in its place
	}
}

// take gives the machine of the snapshot away, nil if it was another or none.
func (a *ahead) take(snapshot string) *state.Machine {
	l := a.loaded.Swap(nil)
	if l == nil || l.id != snapshot {
		return nil
	}
	return l.machine
}

func (a *ahead) drop() { a.loaded.Store(nil) }
