package replicate

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/internal/beat"
	"github.com/lycaon-io/lycaon/server/peer"
)

// admitMethod is how a server asks whether it belongs to the cluster.
const admitMethod = "admit"

type admitRequest struct {
	ID     uint64
	Data   string // id of its data directory
	Addr   string // of its peer port
	Empty  bool   // it holds nothing of raft's
	Passed bool   // by a server that does not lead
}

// verdict on a server that asks.
type verdict string

const (
	isFresh         verdict = "fresh"    // the one asked is empty too
	foundedTogether verdict = "founded"  // it has founded the cluster with the one that asks
	admitted        verdict = "admitted" // a leader knows it, by a committed entry
	turnedAway      verdict = "refused"  // a leader knows that it does not belong here
	later           verdict = "later"    // nothing can be said now, and nothing is known to be in the way
	touched         verdict = "touched"  // there has been a leader: ask again for one
	foreign         verdict = "foreign"  // of another cluster; no leader of ours has said so
	absent          verdict = "absent"   // no answer
)

type admitReply struct {
	Verdict  verdict
	Data     string // with fresh: of the one asked
	Cluster  string // with admitted
	Reseated bool   // with admitted: its vote was taken until it has the log
	Text     string
}

// handle takes the calls of the other servers.
func (n *Node) handle() {
	if n.cfg.Peers == nil {
		return
	}
	n.cfg.Peers.Handle(admitMethod, n.handleAdmit)
	n.cfg.Peers.Handle(changeMethod, n.handleChange(changeMethod))
	n.cfg.Peers.Handle(transferMethod, n.handleChange(transferMethod))
	n.cfg.Peers.Handle(restartMethod, n.handleRestart)
	n.cfg.Peers.Handle(standingMethod, n.handleStanding)
}

func (n *Node) handleAdmit(ctx context.Context, from peer.Identity, body []byte) (any, error) {
	var r admitRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, peer.Refuse(peer.ErrBadRequest, "%v", err)
	}
	if !r.Passed && (from.ID != r.ID || from.Data != r.Data) {
		return nil, peer.Refuse(peer.ErrBadRequest, "server %d asks for server %d", from.ID, r.ID)
	}
	if _, addr, ok := find(n.configuration(), from.ID); r.Passed && (!ok || !addr.fits(from.Data)) {
		return nil, peer.Refuse(peer.ErrNotMember, "server %d asks for server %d and is no member itself", from.ID, r.ID)
	}
	return n.answer(ctx, r), nil
}

func (n *Node) answer(ctx context.Context, r admitRequest) admitReply {
	if n.instance() == nil {
		return n.answerFresh(r)
	}
	id, _ := n.Leader()
	switch {
	case id == n.cfg.ID:
		return n.decide(ctx, r)
	case id != 0 && !r.Passed:
		if to, ok := n.target(id); ok && (id != r.ID || to.Data != r.Data) {
			r.Passed = true
			var reply admitReply
			if err := n.cfg.Peers.Call(ctx, to, admitMethod, &r, &reply); err == nil {
				return reply
			}
		}
	case n.untouched() && r.Empty && n.claims.holds(r.ID, r.Data):
		return admitReply{Verdict: foundedTogether}
	case n.untouched():
		return admitReply{Verdict: later, Text: fmt.Sprintf("server %d has founded the cluster and waits for a leader", n.cfg.ID)}
	}
	return admitReply{Verdict: touched, Text: fmt.Sprintf("server %d knows no leader to ask", n.cfg.ID)}
}

// answerFresh is the answer of a server that does not take part yet itself.
func (n *Node) answerFresh(r admitRequest) admitReply {
	founds := len(n.cfg.Join) == 0 && n.isFounder(r.ID, r.Addr)
	switch {
	case !r.Empty, !founds:
		return admitReply{Verdict: later, Text: fmt.Sprintf("server %d does not take part itself yet", n.cfg.ID)}
	case !n.claims.take(r.ID, r.Data):
		return admitReply{Verdict: later, Text: fmt.Sprintf("server %d has met server %d with other data a moment ago", n.cfg.ID, r.ID)}
	}
	return admitReply{Verdict: isFresh, Data: n.cfg.Data}
}

func (n *Node) isFounder(id uint64, addr string) bool {
	for _, m := range n.cfg.Initial {
		if m.ID == id && m.PeerAddr == addr {
			return true
		}
	}
	return false
}

// untouched tells that no leader's entry has come here: the log holds the
// founders' configuration and nothing else.
func (n *Node) untouched() bool {
	inst := n.instance()
	return inst != nil && inst.raft.LastIndex() <= 1
}

// decide is the leader's answer. It goes by the committed membership alone, and
// what it promises is committed before it is said. What it refuses ends the
// server that asks: only who still leads may say so, by what is committed now.
func (n *Node) decide(ctx context.Context, r admitRequest) admitReply {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	reply := n.judge(ctx, r)
	if reply.Verdict != turnedAway {
		return reply
	}
	if err := n.barrier(ctx); err != nil {
		return admitReply{Verdict: touched, Text: err.Error()}
	}
	return n.judge(ctx, r)
}

func (n *Node) judge(ctx context.Context, r admitRequest) admitReply {
	if err := n.lockMembership(ctx); err != nil {
		return admitReply{Verdict: touched, Text: err.Error()}
	}
	defer n.unlockMembership()
	now, err := n.committed()
	if err != nil {
		return admitReply{Verdict: touched, Text: err.Error()}
	}
	s, addr, ok := find(now.Configuration, r.ID)
	switch {
	case !ok:
		return refusal("server %d is not a member of this cluster: it was removed, or has to be added with `lycaon member add %d=%s`", r.ID, r.ID, r.Addr)
	case !addr.fits(r.Data):
		return refusal("server %d is known to this cluster with other data: it was wiped or replaced; run `lycaon member replace %d`", r.ID, r.ID)
	case addr.data != "" && r.Empty && s.Suffrage == raft.Voter:
		return refusal("server %d has lost its log, and with it what it voted; run `lycaon member replace %d`", r.ID, r.ID)
	case addr.data == "" && s.Suffrage == raft.Voter && r.Empty && n.claims.holds(r.ID, r.Data):
		return admitReply{Verdict: foundedTogether}
	}
	if addr == n.whereNow(s, r.Addr, r.Data) {
		return n.admission(r)
	}
	return n.seat(ctx, now, s, r)
}

// seat pins a member to the data it shows. A voter that shows none of raft's
// may be a founder that comes late, or one that has founded, voted and lost
// everything: nobody can tell, so its vote is taken first and given back when
// it has the log.
func (n *Node) seat(ctx context.Context, now *configuration, s raft.Server, r admitRequest) admitReply {
	var err error
	if s.Suffrage == raft.Voter && r.Empty {
		err = n.reseat(ctx, now, r.ID, n.whereNow(s, r.Addr, r.Data))
		if err == nil {
			n.claims.reseat(r.ID, r.Data)
		}
	} else {
		err = n.moveMember(ctx, now, s, n.whereNow(s, r.Addr, r.Data))
	}
	if err != nil {
		return admitReply{Verdict: touched, Text: err.Error()}
	}
	return n.admission(r)
}

func (n *Node) admission(r admitRequest) admitReply {
	return admitReply{Verdict: admitted, Cluster: n.cluster(), Reseated: n.claims.reseated(r.ID, r.Data)}
}

func refusal(format string, args ...any) admitReply {
	return admitReply{Verdict: turnedAway, Text: fmt.Sprintf(format, args...)}
}

// whereNow is a member's address with the data it shows: the address it says,
// unless that reaches no machine in particular.
func (n *Node) whereNow(s raft.Server, said, data string) memberAddr {
	known, err := parseMemberAddr(s.Address)
	if err == nil && (said == "" || unspecified(said)) {
		said = known.addr
	}
	return memberAddr{addr: said, data: data}
}

// adopt compares what the members say of themselves with the membership: a
// founder shows its data for the first time, a server has moved, one that was
// removed and added again comes with the log that it had. One without a log
// would not say anything here before it was admitted.
func (n *Node) adopt() {
	retry := time.NewTimer(beat.Next(adoptRetry))
	defer retry.Stop()
	for {
		select {
		case <-n.stop:
			return
		case <-n.adoptees:
		case <-retry.C:
			retry.Reset(beat.Next(adoptRetry))
		}
		if n.leadTerm.Load() == 0 {
			n.book.clearPending()
			continue
		}
		for _, a := range n.book.waiting() {
			if err := n.adoptOne(a); err != nil {
				n.cfg.Logger.Debug("a member's address is not in the membership yet", "server", a.ID, "error", err)
				continue
			}
			n.book.settled(a)
		}
	}
}

// inTheWay is the other member that has an address, "" if none has: it may be
// about to move, or the one that shows the address be started wrongly.
func inTheWay(now *configuration, id uint64, addr string) raft.ServerID {
	for _, s := range now.Servers {
		if known, err := parseMemberAddr(s.Address); err == nil && known.addr == addr && s.ID != serverID(id) {
			return s.ID
		}
	}
	return ""
}

func (n *Node) adoptOne(a announcement) error {
	ctx, cancel := n.limited(adminTimeout)
	defer cancel()
	if err := n.lockMembership(ctx); err != nil {
		return err
	}
	defer n.unlockMembership()
	now, err := n.committed()
	if err != nil {
		return err
	}
	s, known, ok := find(now.Configuration, a.ID)
	want := n.whereNow(s, a.Addr, a.Data)
	switch {
	case !ok || known == want || !known.fits(a.Data):
		return nil
	case inTheWay(now, a.ID, want.addr) != "":
		return fmt.Errorf("replicate: %s is the address of server %s, too", want.addr, inTheWay(now, a.ID, want.addr))
	}
	news := "a member has moved"
	if known.addr == want.addr {
		news = "a member shows its data directory for the first time"
	}
	n.cfg.Logger.Info(news, "server", a.ID, "addr", want.addr, "was", known.addr)
	return n.moveMember(ctx, now, s, want)
}
