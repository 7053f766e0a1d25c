package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lycaon-io/lycaon/client"
)

const (
	watchRoot = "/w"
	glance    = 20 * time.Millisecond // of waiting for events between two reads
	hopEvery  = 1500 * time.Millisecond

	modeRecursive = "recursive"
	modeOnce      = "once"
)

// watching is one watch and what it was called in the history.
type watching struct {
	a    *actor
	w    *client.Watch
	id   int
	mode string
	path string
}

// watchAndHop has one watch on everything below /w and, one after the other, one-shots on single nodes. Reads in between show whether an event came
// too late; hops from server to server, whether one is lost on the way.
func watchAndHop(ctx context.Context, a *actor) error {
	all, err := a.openWatch(watchRoot, modeRecursive, client.Subtree(), client.WithoutResync())
	if err != nil {
		return nil
	}
	var once *watching
	for hop := time.Now().Add(hopEvery); ctx.Err() == nil && !a.lost(); {
		path := fmt.Sprintf("%s/%d", watchRoot, a.rng.IntN(watched))
		if once == nil {
			once, _ = a.openWatch(path, modeOnce, client.Once(), client.Types(client.EventCreated, client.EventDeleted, client.EventChanged))
		}
		_, _ = a.read(a.rng.IntN(4) == 0, step{Kind: "get", Path: path})
		all.drain(false)
		if once.drain(false) {
			once = nil
		}
		a.load.rec.event(event{Process: a.id, Session: a.session, Kind: "drained", At: a.load.rec.now()})
		all.drain(true)
		if now := time.Now(); now.After(hop) {
			a.line.hop(len(a.load.addrs) > 1)
			hop = now.Add(hopEvery/2 + time.Duration(a.rng.Int64N(int64(hopEvery))))
		}
	}
	all.close()
	once.close()
	return errNextSession
}

func (a *actor) openWatch(path, mode string, opts ...client.WatchOption) (*watching, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	w, err := a.client.Watch(ctx, path, opts...)
	if err != nil {
		return nil, err
	}
	x := &watching{a: a, w: w, id: int(a.load.watches.Add(1)), mode: mode, path: path}
	x.tell("opened", w.Zxid())
	return x, nil
}

func (x *watching) tell(kind string, zxid uint64) {
	x.a.load.rec.event(event{
		Process: x.a.id, Session: x.a.session, Watch: x.id, Kind: kind, Mode: x.mode, Path: x.path, Zxid: zxid, At: x.a.load.rec.now(),
	})
}

// drain takes the events that have come, or waits a moment for one, and tells whether the watch has ended.
func (x *watching) drain(wait bool) (ended bool) {
	if x == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), glance)
	defer cancel()
	if !wait {
		cancel()
	}
	for {
		e, err := x.w.Next(ctx)
		switch {
		case err == nil:
			x.a.load.rec.event(event{
				Process: x.a.id, Session: x.a.session, Watch: x.id, Kind: e.Type.String(), Mode: x.mode, Path: e.Path, Zxid: e.Zxid,
				At: x.a.load.rec.now(),
			})
			if wait {
				return false
			}
		case errors.Is(err, client.ErrGap):
			x.gap()
		default:
			return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
		}
	}
}

// gap is told by the server when it no longer knows what happened. From what a sync shows then, everything is to be told again.
func (x *watching) gap() {
	zxid := uint64(0)
	if o, err := x.a.sync(); err == nil {
		zxid = o.Zxid
	}
	x.tell("gap", zxid)
}

// close ends a watch at a point up to which it has told everything: after a sync all events before it have come.
func (x *watching) close() {
	if x == nil {
		return
	}
	zxid := uint64(0)
	if o, err := x.a.sync(); err == nil {
		zxid = o.Zxid
	}
	x.drain(false)
	x.tell("closed", zxid)
	_ = x.w.Close()
}
