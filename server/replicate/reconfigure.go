package replicate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// lockMembership keeps changes of the membership one after the other.
func (n *Node) lockMembership(ctx context.Context) error {
	select {
	case n.changing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("replicate: another change of the membership is under way: %w", context.Cause(ctx))
	case <-n.stop:
		return ErrClosed
	}
}

func (n *Node) unlockMembership() { <-n.changing }

// committed is the membership that changes start from, and the index that raft
// compares: a change by anybody else in between makes the next one fail.
func (n *Node) committed() (*configuration, error) {
	if lead := n.leadTerm.Load(); lead == 0 {
		return nil, errMoved
	} else if n.fsm.counts.term.Load() < lead {
		return nil, errors.New("replicate: the leader is not caught up yet")
	}
	now := n.fsm.committed.Load()
	if now == nil {
		return nil, errors.New("replicate: the membership is not known yet")
	}
	return now, nil
}

// leading is the life of raft in which this server leads.
func (n *Node) leading() (*instance, error) {
	inst := n.instance()
	if inst == nil || n.leadTerm.Load() == 0 {
		return nil, errMoved
	}
	return inst, nil
}

// reconfigure has raft write a change and waits until it is committed and
// applied here, however long raft's own answer takes.
func (n *Node) reconfigure(ctx context.Context, inst *instance, change func(*raft.Raft, time.Duration) raft.IndexFuture) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	select {
	case err := <-inst.ask(func() error { return change(inst.raft, changeTimeout).Error() }):
		if err == nil {
			n.counts.memberChanges.Add(1)
		}
		return err
	case <-ctx.Done():
		return fmt.Errorf("replicate: the change of the membership is not committed: %w", context.Cause(ctx))
	case <-n.stop:
		return ErrClosed
	}
}

// alter changes the membership in the life of raft of now.
func (n *Node) alter(ctx context.Context, change func(*raft.Raft, time.Duration) raft.IndexFuture) error {
	inst, err := n.leading()
	if err != nil {
		return err
	}
	return n.reconfigure(ctx, inst, change)
}

// moveMember writes a member's address and data and leaves its vote as it is.
//
// hashicorp/raft changes the address under the eyes of the goroutine that
// replicates to that member, which reads it without a lock when entries were
// taken. So nothing is sent to the member from before the change until raft's
// main goroutine has gone through it, which it has when it answers again; to be
// asked to found a cluster is what it refuses at once.
func (n *Node) moveMember(ctx context.Context, now *configuration, s raft.Server, addr memberAddr) error {
	inst, err := n.leading()
	if err != nil {
		return err
	}
	release := func() {}
	if s.ID != serverID(n.cfg.ID) {
		if t, ok := inst.trans.(*peerTransport); ok {
			if release, err = t.silence(ctx, s.ID); err != nil {
				return err
			}
		}
	}
	return n.reconfigure(ctx, inst, func(r *raft.Raft, wait time.Duration) raft.IndexFuture {
		defer release()
		add := r.AddNonvoter
		if s.Suffrage == raft.Voter {
			add = r.AddVoter
		}
		future := add(s.ID, addr.raft(), now.index, wait)
		_ = r.BootstrapCluster(raft.Configuration{}).Error()
		return future
	})
}

// transfer hands leadership over, to one of the voters that answer if id is 0,
// and returns when this server leads no more.
func (n *Node) transfer(ctx context.Context, id uint64) error {
	inst, err := n.leading()
	if err != nil {
		return err
	}
	if id == n.cfg.ID {
		return nil
	}
	c := n.configuration()
	if id != 0 {
		if err := n.mayLead(c, id); err != nil {
			return err
		}
		return n.transferTo(ctx, inst, c, id)
	}
	heirs := n.heirs(c, inst.raft.LastIndex())
	if len(heirs) == 0 {
		return rule("there is no other voter that answers")
	}
	for _, heir := range heirs {
		if err = n.transferTo(ctx, inst, c, heir); err == nil || ctx.Err() != nil {
			break
		}
	}
	return err
}

func (n *Node) mayLead(c raft.Configuration, id uint64) error {
	s, _, ok := find(c, id)
	switch {
	case !ok:
		return rule("server %d is not a member", id)
	case s.Suffrage != raft.Voter:
		return rule("server %d is an observer: it cannot lead", id)
	case n.lagOf(id).silence > unreachableAfter:
		return rule("server %d does not answer", id)
	}
	return nil
}

// heirs are the other voters that answer, those first that have most of the
// log.
func (n *Node) heirs(c raft.Configuration, last uint64) []uint64 {
	behind := map[uint64]uint64{}
	var ids []uint64
	for _, id := range voters(c, n.cfg.ID) {
		if l := n.progress.of(serverID(id), last); l.silence < heartbeatTimeout {
			behind[id] = l.entries
			ids = append(ids, id)
		}
	}
	slices.SortStableFunc(ids, func(a, b uint64) int { return cmp.Compare(behind[a], behind[b]) })
	return ids
}

func (n *Node) transferTo(ctx context.Context, inst *instance, c raft.Configuration, id uint64) error {
	s, _, _ := find(c, id)
	var err error
	select {
	case err = <-inst.ask(func() error { return inst.raft.LeadershipTransferToServer(s.ID, s.Address).Error() }):
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-n.stop:
		return ErrClosed
	}
	if err != nil {
		n.counts.transfersFailed.Add(1)
		return fmt.Errorf("replicate: hand leadership to server %d: %w", id, err)
	}
	return nil
}

// unspecified tells whether an address reaches no machine in particular.
func unspecified(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsUnspecified()
}

// limited is a context that ends with the node.
func (n *Node) limited(timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(n.ctx, timeout)
}
