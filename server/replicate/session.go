package replicate

import (
	"context"
	"fmt"
	"time"

	"github.com/lycaon-io/lycaon/server/state"
)

// ExpireSession ends a session and returns when that is applied here.
func (n *Node) ExpireSession(ctx context.Context, id uint64, cause string) error {
	ended := n.duties.await(id)
	again := time.NewTicker(maxResendPause)
	defer again.Stop()
	for {
		generation, ok := n.generation(id)
		if !ok {
			n.duties.giveUp(id, ended)
			return n.endedOr(ended, id)
		}
		n.Append(&state.Txn{Kind: state.TxnExpire, Session: id, Generation: generation, Cause: cause})
		select {
		case <-ended:
			return nil
		case <-again.C: // it may have been lost, or the session have moved
		case <-ctx.Done():
			n.duties.giveUp(id, ended)
			return fmt.Errorf("expire session %d: %w", id, context.Cause(ctx))
		case <-n.stop:
			n.duties.giveUp(id, ended)
			return ErrClosed
		}
	}
}

// endedOr tells a session that ended just now from one that was not there.
func (n *Node) endedOr(ended <-chan struct{}, id uint64) error {
	select {
	case <-ended:
		return nil
	default:
		return fmt.Errorf("expire session %d: %w", id, ErrNoSession)
	}
}

func (n *Node) generation(id uint64) (generation uint64, ok bool) {
	n.machine.View(func(m *state.Machine) {
		if r, found := m.Sessions().Get(id); found {
			generation, ok = r.Generation, true
		}
	})
	return generation, ok
}

// await returns a channel that is closed when the session ends.
func (d *duties) await(id uint64) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	ended := make(chan struct{})
	d.waiting[id] = append(d.waiting[id], ended)
	return ended
}

func (d *duties) giveUp(id uint64, ended chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.waiting[id][:0]
	for _, c := range d.waiting[id] {
		if c != ended {
			kept = append(kept, c)
		}
	}
	if d.waiting[id] = kept; len(kept) == 0 {
		delete(d.waiting, id)
	}
}
