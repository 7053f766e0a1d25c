package replicate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/server/peer"
)

// Names of ours in the stable store, beside raft's.
var (
	// admittedKey: a leader has admitted this server under its id, so it may
	// take part in raft although it has no log.
	admittedKey = []byte("lycaon.Admitted")
	// promoteKey: the vote that this server was to have from the beginning was
	// taken from it until it has the log; it asks for it then.
	promoteKey = []byte("lycaon.Promote")
)

// found finds out how a server with an empty store may take part. Until then it
// takes no part in raft: a server that has lost its data has forgotten what it
// promised, and must not vote under its old id.
//
// It may found the cluster together with the others if a majority of all of
// them is as empty as it is. If a leader knows it, it may join. Otherwise it
// waits, or ends if it is refused.
func (n *Node) found() {
	f := &founder{Node: n}
	for pause := minFoundingPause; ; pause = min(2*pause, maxFoundingPause) {
		done, err := f.round()
		switch {
		case err != nil:
			n.fail(err)
			return
		case done:
			close(n.founded)
			return
		}
		select {
		case <-n.stop:
			return
		case <-time.After(pause):
		}
	}
}

// founder is what one server's attempts to take part remember.
type founder struct {
	*Node
	majority time.Time // since when a majority was ready to found; zero: it is not
	said     time.Time // when the wait was logged last
	last     string
}

// round asks everybody once.
func (f *founder) round() (done bool, err error) {
	everybody := f.everybody()
	var fresh, led int
	var why []string
	for i, r := range f.askAll(everybody, true) {
		if r.Verdict == isFresh && !f.claims.take(everybody[i].ID, r.Data) {
			r = admitReply{Verdict: later, Text: fmt.Sprintf("server %d had other data a moment ago", everybody[i].ID)}
		}
		switch r.Verdict {
		case admitted:
			return true, f.join(r)
		case turnedAway, foreign:
			return false, fmt.Errorf("%w: %s", ErrRefused, r.Text)
		case isFresh, foundedTogether:
			fresh++
			continue
		case touched:
			led++
		}
		why = append(why, r.Text)
	}
	f.claims.explain(why)
	f.tellWait(why)
	if len(f.cfg.Join) > 0 || led > 0 {
		f.majority = time.Time{}
		return false, nil
	}
	others := len(f.cfg.Initial) - 1
	if 1+fresh < len(f.cfg.Initial)/2+1 {
		f.majority = time.Time{}
		return false, nil
	}
	if f.majority.IsZero() {
		f.majority = time.Now()
	}
	if fresh < others && time.Since(f.majority) < foundingGrace {
		return false, nil // whoever comes now need not be brought in later
	}
	return true, f.foundTogether()
}

// foundTogether writes the configuration of all founders. None of them is named
// with its data: that would differ from server to server.
func (f *founder) foundTogether() error {
	members := slices.Clone(f.cfg.Initial)
	for i := range members {
		members[i].Data = ""
	}
	if err := f.bootstrap(members); err != nil {
		return err
	}
	f.cfg.Logger.Info("founding the cluster", "members", len(members))
	return nil
}

// join takes note that this server was admitted. It has no configuration of its
// own: the leader's log brings it.
func (f *founder) join(r admitReply) error {
	if f.cfg.JoinedCluster != nil {
		if err := f.cfg.JoinedCluster(r.Cluster); err != nil {
			return err
		}
	}
	f.joined.Store(&r.Cluster)
	if r.Reseated {
		if err := f.store.SetUint64(promoteKey, 1); err != nil {
			return fmt.Errorf("replicate: note the admission: %w", err)
		}
	}
	if err := f.store.SetUint64(admittedKey, 1); err != nil {
		return fmt.Errorf("replicate: note the admission: %w", err)
	}
	f.cfg.Logger.Info("admitted to the cluster", "cluster", r.Cluster)
	return nil
}

// everybody is whom to ask: the other founders, or the addresses given to join.
func (f *founder) everybody() []peer.Target {
	var all []peer.Target
	for _, m := range f.cfg.Initial {
		if m.ID != f.cfg.ID {
			all = append(all, peer.Target{ID: m.ID, Addr: m.PeerAddr})
		}
	}
	for _, addr := range f.cfg.Join {
		all = append(all, peer.Target{Addr: addr})
	}
	return all
}

// askAll asks servers about this one, all at once.
func (n *Node) askAll(targets []peer.Target, empty bool) []admitReply {
	ctx, cancel := n.limited(admitTimeout)
	defer cancel()
	replies := make([]admitReply, len(targets))
	var wg sync.WaitGroup
	for i, to := range targets {
		wg.Go(func() { replies[i] = n.ask(ctx, to, empty) })
	}
	wg.Wait()
	return replies
}

func (n *Node) ask(ctx context.Context, to peer.Target, empty bool) (r admitReply) {
	request := admitRequest{ID: n.cfg.ID, Data: n.cfg.Data, Addr: n.cfg.Address, Empty: empty}
	err := n.cfg.Peers.Call(ctx, to, admitMethod, &request, &r)
	switch {
	case err == nil:
		return r
	case errors.Is(err, peer.ErrForeignCluster):
		return admitReply{Verdict: foreign, Text: fmt.Sprintf("%s: %v", to.Addr, err)}
	}
	return admitReply{Verdict: absent, Text: fmt.Sprintf("%s does not answer (%v)", to.Addr, err)}
}

// tellWait says now and then what this server waits for.
func (f *founder) tellWait(why []string) {
	text := strings.Join(why, "; ")
	if text == "" || text == f.last && time.Since(f.said) < foundingReminder {
		return
	}
	level := f.cfg.Logger.Info
	if !f.said.IsZero() {
		level = f.cfg.Logger.Warn
	}
	level("waiting for the other servers of the cluster", "why", text)
	f.last, f.said = text, time.Now()
}

// claims remembers which data directory each server without data has shown
// here: two of the same id are two lives of a server, and only one may found.
type claims struct {
	mu      sync.Mutex // guards what follows
	seen    map[uint64]claim
	reseats map[uint64]string // the data of the servers whose vote is owed to them
	reasons string
}

type claim struct {
	data string
	at   time.Time
}

func newClaims() *claims { return &claims{seen: map[uint64]claim{}, reseats: map[uint64]string{}} }

// take notes a claim and tells whether it is the only one: what another life
// may have promised is of no matter any more after a while.
func (c *claims) take(id uint64, data string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.seen[id]; ok && s.data != data && time.Since(s.at) < claimFor {
		return false
	}
	if len(c.seen) < maxBook || c.seen[id] != (claim{}) {
		c.seen[id] = claim{data, time.Now()}
	}
	return true
}

// holds tells whether a server showed this data here before.
func (c *claims) holds(id uint64, data string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return data != "" && c.seen[id].data == data
}

// reseat notes that a server's vote is owed to it.
func (c *claims) reseat(id uint64, data string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reseats[id] = data
}

func (c *claims) reseated(id uint64, data string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reseats[id] == data && data != ""
}

func (c *claims) explain(why []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reasons = strings.Join(why, "; ")
}

func (c *claims) why() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reasons == "" {
		return "asking the other servers of the cluster"
	}
	return "waiting for the other servers of the cluster: " + c.reasons
}
