package replicate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/znode"
)

// errMoved sends a request on to the next leader.
var errMoved = peer.Refuse(peer.ErrNotLeader, "the leader has changed")

// rule is an error of whoever asked.
func rule(format string, args ...any) error {
	return fmt.Errorf("%w: %s", znode.ErrBadArguments, fmt.Sprintf(format, args...))
}

// ChangeMember changes the membership of the cluster; the leader does it,
// whoever is asked. It returns when the change is committed. A rule that stands
// against it is an error of the kind znode.ErrBadArguments.
func (n *Node) ChangeMember(ctx context.Context, c protocol.MemberChange) error {
	return n.atLeader(ctx, changeMethod, &changeRequest{Change: c})
}

// TransferLeader hands leadership to a voter, 0 for whichever has most of the
// log. It returns when this server follows the new leader, or is it.
func (n *Node) TransferLeader(ctx context.Context, id uint64) error {
	return n.atLeader(ctx, transferMethod, &changeRequest{Change: protocol.MemberChange{ID: id}})
}

const (
	changeMethod   = "member"
	transferMethod = "transfer"
)

type changeRequest struct {
	Change protocol.MemberChange
	// Again says that an earlier request may have been carried out without its
	// answer having come back.
	Again bool
}

// atLeader has the leader carry out a request, whoever that is until it is done.
func (n *Node) atLeader(ctx context.Context, method string, r *changeRequest) error {
	if !n.opened.Load() {
		return ErrClosed
	}
	var last error
	for {
		err := n.tryLeader(ctx, method, r)
		if err == nil || errors.Is(err, znode.ErrBadArguments) {
			return err
		}
		last = err
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", protocol.ErrNotReady, last)
		case <-n.stop:
			return ErrClosed
		case <-time.After(leaderRetry):
		}
	}
}

func (n *Node) tryLeader(ctx context.Context, method string, r *changeRequest) error {
	id, _ := n.Leader()
	switch id {
	case 0:
		return errors.New("no leader is known")
	case n.cfg.ID:
		return n.carryOut(ctx, method, r)
	}
	to, ok := n.target(id)
	if !ok {
		return fmt.Errorf("the leader, server %d, is not known here yet", id)
	}
	err := n.cfg.Peers.Call(ctx, to, method, r, nil)
	if refusal, ok := errors.AsType[*peer.Error](err); ok {
		if errors.Is(err, peer.ErrBadRequest) {
			return rule("%s", refusal.Detail)
		}
		return err
	}
	r.Again = r.Again || err != nil
	return err
}

// handleChange is where the requests of other servers arrive. Who is no member
// has no business here: calls are open to servers that ask to be let in.
func (n *Node) handleChange(method string) peer.Handler {
	return func(ctx context.Context, from peer.Identity, body []byte) (any, error) {
		var r changeRequest
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, peer.Refuse(peer.ErrBadRequest, "%v", err)
		}
		if err := n.mustBeMember(from); err != nil {
			return nil, err
		}
		if n.leadTerm.Load() == 0 {
			return nil, errMoved
		}
		err := n.carryOut(ctx, method, &r)
		if errors.Is(err, znode.ErrBadArguments) {
			err = peer.Refuse(peer.ErrBadRequest, "%s", ruleText(err))
		}
		return struct{}{}, err
	}
}

// ruleText is the rule without the words of its kind, which the asking server
// puts before it again.
func ruleText(err error) string {
	return strings.TrimPrefix(err.Error(), znode.ErrBadArguments.Error()+": ")
}

func (n *Node) carryOut(ctx context.Context, method string, r *changeRequest) error {
	if method == transferMethod {
		return n.transfer(ctx, r.Change.ID)
	}
	err := n.change(ctx, r)
	r.Again = r.Again || err != nil
	return err
}

// change checks a request against the rules and carries it out, one at a time.
func (n *Node) change(ctx context.Context, r *changeRequest) error {
	if err := n.lockMembership(ctx); err != nil {
		return err
	}
	defer n.unlockMembership()
	now, err := n.committed()
	if err != nil {
		return err
	}
	c := r.Change
	if c.ID == n.cfg.ID && c.Action != protocol.AddMember && c.Action != protocol.PromoteMember {
		return n.handOver(ctx, now, c)
	}
	switch c.Action {
	case protocol.AddMember:
		return n.addMember(ctx, now, c, r.Again)
	case protocol.RemoveMember:
		return n.removeMember(ctx, now, c, r.Again)
	case protocol.PromoteMember:
		return n.promote(ctx, now, c)
	case protocol.DemoteMember:
		return n.demote(ctx, now, c)
	case protocol.ReplaceMember:
		return n.replace(ctx, now, c)
	}
	return rule("member action %q", c.Action)
}

// handOver makes another server the leader first when the change is about the
// leader itself; the request then goes to that one.
func (n *Node) handOver(ctx context.Context, now *configuration, c protocol.MemberChange) error {
	if len(voters(now.Configuration, n.cfg.ID)) == 0 {
		return rule("server %d is the only voter", c.ID)
	}
	if err := n.checkQuorum(now, c); err != nil {
		return err
	}
	if err := n.transfer(ctx, 0); err != nil {
		return err
	}
	return errMoved
}

func (n *Node) addMember(ctx context.Context, now *configuration, c protocol.MemberChange, again bool) error {
	addr, err := parseMemberAddr(raft.ServerAddress(c.Addr))
	if err != nil || addr.addr != c.Addr || unspecified(addr.addr) {
		return rule("%q is no address of a server: want HOST:PORT", c.Addr)
	}
	for _, s := range now.Servers {
		switch known, err := parseMemberAddr(s.Address); {
		case err != nil:
		case s.ID == serverID(c.ID) && known.addr == addr.addr && (again || s.Suffrage != raft.Voter && known.data == ""):
			return nil // it was added before, and has not come yet
		case s.ID == serverID(c.ID):
			return rule("server %d is a member already, at %s", c.ID, known.addr)
		case known.addr == addr.addr:
			return rule("%s is the address of server %s", addr.addr, s.ID)
		}
	}
	if len(now.Servers) >= maxMembers {
		return rule("the cluster has %d members, the most there may be", len(now.Servers))
	}
	return n.alter(ctx, func(r *raft.Raft, wait time.Duration) raft.IndexFuture {
		return r.AddNonvoter(serverID(c.ID), addr.raft(), now.index, wait)
	})
}

func (n *Node) removeMember(ctx context.Context, now *configuration, c protocol.MemberChange, again bool) error {
	if _, _, ok := find(now.Configuration, c.ID); !ok {
		if again {
			return nil
		}
		return rule("server %d is not a member", c.ID)
	}
	if err := n.checkQuorum(now, c); err != nil {
		return err
	}
	return n.alter(ctx, func(r *raft.Raft, wait time.Duration) raft.IndexFuture {
		return r.RemoveServer(serverID(c.ID), now.index, wait)
	})
}

// promote gives a vote to a member that has the log: a voter that lags would
// keep the others from committing while one of them is away.
func (n *Node) promote(ctx context.Context, now *configuration, c protocol.MemberChange) error {
	s, addr, ok := find(now.Configuration, c.ID)
	switch {
	case !ok:
		return rule("server %d is not a member", c.ID)
	case s.Suffrage == raft.Voter:
		return nil
	case addr.data == "":
		return rule("server %d has not joined yet", c.ID)
	}
	behind := n.lagOf(c.ID)
	switch {
	case !behind.known || behind.silence > unreachableAfter:
		return rule("server %d does not answer", c.ID)
	case behind.entries > maxPromotionLag, behind.entries > 0 && behind.stuck > unreachableAfter:
		return rule("server %d is %d entries behind; promote it when it has caught up", c.ID, behind.entries)
	}
	return n.alter(ctx, func(r *raft.Raft, wait time.Duration) raft.IndexFuture {
		return r.AddVoter(serverID(c.ID), addr.raft(), now.index, wait)
	})
}

func (n *Node) demote(ctx context.Context, now *configuration, c protocol.MemberChange) error {
	s, _, ok := find(now.Configuration, c.ID)
	switch {
	case !ok:
		return rule("server %d is not a member", c.ID)
	case s.Suffrage != raft.Voter:
		return nil
	}
	if err := n.checkQuorum(now, c); err != nil {
		return err
	}
	return n.alter(ctx, func(r *raft.Raft, wait time.Duration) raft.IndexFuture {
		return r.DemoteVoter(serverID(c.ID), now.index, wait)
	})
}

// replace takes a member's vote and forgets its data, so that another data
// directory may join under its id. It loses the vote first, and by a change of
// its own: what the former life has promised to a candidate must not count
// beside what the new one does.
func (n *Node) replace(ctx context.Context, now *configuration, c protocol.MemberChange) error {
	_, addr, ok := find(now.Configuration, c.ID)
	if !ok {
		return rule("server %d is not a member", c.ID)
	}
	if c.Addr != "" {
		moved, err := parseMemberAddr(raft.ServerAddress(c.Addr))
		if err != nil || moved.addr != c.Addr || unspecified(moved.addr) {
			return rule("%q is no address of a server: want HOST:PORT", c.Addr)
		}
		addr.addr = moved.addr
	}
	if other := inTheWay(now, c.ID, addr.addr); other != "" {
		return rule("%s is the address of server %s", addr.addr, other)
	}
	former := addr.data
	if former == "" {
		former = addr.former // replaced before, and nobody has come yet
	}
	if said, ok := n.book.of(c.ID); ok && former == "" {
		former = said.Data // a founder that is about to be adopted with it
	}
	return n.reseat(ctx, now, c.ID, memberAddr{addr: addr.addr, former: former})
}

// reseat makes a member an observer at an address.
func (n *Node) reseat(ctx context.Context, now *configuration, id uint64, addr memberAddr) error {
	demotion := protocol.MemberChange{Action: protocol.DemoteMember, ID: id}
	if err := n.demote(ctx, now, demotion); err != nil {
		return err
	}
	now, err := n.committed()
	if err != nil {
		return err
	}
	s, known, _ := find(now.Configuration, id)
	if known == addr {
		return nil
	}
	return n.moveMember(ctx, now, s, addr)
}

// checkQuorum refuses to take a vote away if those left could not decide
// anything: a majority of them must answer.
func (n *Node) checkQuorum(now *configuration, c protocol.MemberChange) error {
	s, _, ok := find(now.Configuration, c.ID)
	if !ok || s.Suffrage != raft.Voter {
		return nil
	}
	left := voters(now.Configuration, c.ID)
	if len(left) == 0 {
		return rule("server %d is the only voter", c.ID)
	}
	answering := 0
	for _, id := range left {
		if id == n.cfg.ID || n.lagOf(id).silence <= unreachableAfter {
			answering++
		}
	}
	if answering < len(left)/2+1 {
		return rule("too few of the voters that would be left answer: %d of %d", answering, len(left))
	}
	return nil
}

func (n *Node) lagOf(id uint64) lag {
	inst := n.instance()
	if inst == nil {
		return lag{silence: never}
	}
	return n.progress.of(serverID(id), inst.raft.LastIndex())
}
