package replicate

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lycaon-io/lycaon/server/peer"
)

// Writes halt when servers differ and no majority of the voters says who is
// right: to go on would be to guess. The leader's proposer holds every client
// write and new session back, which is what makes it safe; that all servers
// answer their clients with the reason is for the clients' sake, and lapses
// when the leader stops repeating it.

// halt is called again at each trial for as long as it lasts.
func (g *guard) halt(zxid uint64, digests map[uint64]uint64) {
	why := fmt.Sprintf("writes are halted: servers differ at zxid %d and no majority agrees", zxid)
	if !g.n.prop.halted.Swap(true) {
		g.n.cfg.Logger.Error("FATAL FOR WRITES: servers differ and no majority agrees; writes are halted until it does", "zxid", zxid, "digests", digests)
	}
	g.haltHere(why)
	ctx, cancel := context.WithTimeout(g.ctx, askTime)
	defer cancel()
	g.tell(ctx, g.n.others(), func(ctx context.Context, to peer.Target) {
		_ = g.n.cfg.Peers.Call(ctx, to, "halt", haltOrder{why}, nil) // again in a moment
	})
}

// resume lets writes through again, those that were held back first.
func (g *guard) resume() {
	if !g.n.prop.halted.Swap(false) {
		return
	}
	g.n.cfg.Logger.Warn("a majority agrees again: writes go on")
	g.mu.Lock()
	g.halted = time.Time{}
	g.mu.Unlock()
	g.lapse()
	g.n.streams.resendAll()
	hint(g.n.doubts)
}

func (g *guard) haltHere(why string) {
	g.mu.Lock()
	g.halted = time.Now().Add(haltLease)
	g.mu.Unlock()
	g.counts.haltedNow.Store(true)
	g.n.machine.HaltWrites(why)
}

// lapse ends a halt that nobody has repeated.
func (g *guard) lapse() {
	g.mu.Lock()
	over := time.Now().After(g.halted)
	g.mu.Unlock()
	if over && g.counts.haltedNow.Swap(false) {
		g.n.machine.HaltWrites("")
	}
}

type haltOrder struct{ Why string }

func (g *guard) answerHalt(_ context.Context, from peer.Identity, body []byte) (any, error) {
	var o haltOrder
	if err := json.Unmarshal(body, &o); err != nil || o.Why == "" {
		return nil, peer.Refuse(peer.ErrBadRequest, "a halt has a reason: %v", err)
	}
	if err := g.mustLead(from); err != nil {
		return nil, err
	}
	g.haltHere(o.Why)
	return nil, nil
}
