package replicate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
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

// reconfigure has raft write a change and waits until it is committed and
// applied here, however long raft's own answer takes.
func (n *Node) reconfigure(ctx context.Context, change func(*raft.Raft, time.Duration) raft.IndexFuture) error {
	inst := n.instance()
	if inst == nil {
		return errMoved
	}
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- change(inst.raft, changeTimeout).Error() }()
	select {
	case err := <-done:
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

// transfer hands leadership over and waits until this server no longer leads.
func (n *Node) transfer(ctx context.Context, id uint64) error {
	inst := n.instance()
	if inst == nil || n.leadTerm.Load() == 0 {
		return errMoved
	}
	if id == n.cfg.ID {
		return nil
	}
	c := n.configuration()
	others := voters(c, n.cfg.ID)
	if len(others) == 0 {
		return rule("there is no other voter to lead")
	}
	future := inst.raft.LeadershipTransfer
	if id != 0 {
		s, _, ok := find(c, id)
		switch behind := n.lagOf(id); {
		case !ok:
			return rule("server %d is not a member", id)
		case s.Suffrage != raft.Voter:
			return rule("server %d is an observer: it cannot lead", id)
		case behind.silence > unreachableAfter:
			return rule("server %d does not answer", id)
		}
		future = func() raft.Future { return inst.raft.LeadershipTransferToServer(s.ID, s.Address) }
	}
	done := make(chan error, 1)
	go func() { done <- future().Error() }()
	select {
	case err := <-done:
		if err != nil {
			n.counts.transfersFailed.Add(1)
			return fmt.Errorf("replicate: hand leadership over: %w", err)
		}
		return nil
	case <-ctx.Done():
		n.counts.transfersFailed.Add(1)
		return fmt.Errorf("replicate: hand leadership over: %w", context.Cause(ctx))
	case <-n.stop:
		return ErrClosed
	}
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
