package replicate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// takeSnapshots has raft snapshot the machine whenever enough log has been
// applied since the last one.
func (n *Node) takeSnapshots() {
	retry := minSnapshotRetry
	for {
		select {
		case <-n.stop:
			return
		case <-n.fsm.snapshotDue:
		}
		if n.fsm.counts.sinceBytes.Load() < n.cfg.SnapshotBytes {
			continue // the hint is older than the last snapshot
		}
		err := n.takeSnapshot()
		if err == nil {
			retry = minSnapshotRetry
			continue
		}
		n.counts.snapshotErrors.Add(1)
		n.cfg.Logger.Warn("snapshot failed; the log grows until one succeeds", "retry_in", retry, "error", err)
		select {
		case <-n.stop:
			return
		case <-time.After(retry):
		}
		retry = min(2*retry, maxSnapshotRetry)
		hint(n.fsm.snapshotDue)
	}
}

func (n *Node) takeSnapshot() error {
	inst := n.instance()
	if inst == nil {
		return nil
	}
	err := inst.raft.Snapshot().Error()
	if errors.Is(err, raft.ErrNothingNewToSnapshot) || errors.Is(err, raft.ErrRaftShutdown) {
		return nil
	}
	return err
}

// Snapshot has raft snapshot the machine now, without a rest: the one that is
// under way, too, hurries. For a backup nobody needs it: an image of the machine
// is enough.
func (n *Node) Snapshot(ctx context.Context) error {
	if !n.opened.Load() {
		return ErrClosed
	}
	n.fsm.awaited.Add(1)
	defer n.fsm.awaited.Add(-1)
	done := make(chan error, 1)
	if !n.join(func() { done <- n.takeSnapshot() }) {
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("snapshot: %w", context.Cause(ctx))
	}
}

// noteSnapshot remembers where the newest snapshot of an earlier run, or the
// one that came from the leader, ends, and the members that it names.
func (n *Node) noteSnapshot() error {
	all, err := n.snaps.List()
	if err != nil {
		return fmt.Errorf("replicate: list snapshots: %w", err)
	}
	if len(all) > 0 {
		n.lastSnapshot.Store(all[0].Index)
		n.fsm.committed.Store(&configuration{all[0].ConfigurationIndex, all[0].Configuration})
	}
	return nil
}

// restored runs after an image was put in place.
func (n *Node) restored() {
	if err := n.noteSnapshot(); err != nil {
		n.fail(err)
	}
}

// keepBridge runs between a snapshot and the cut of the log that follows it.
// raft counts trailing entries, and ours are of any size: kept is the log from
// the snapshot before this one, which is the fallback if this one is found
// damaged, and at least as many bytes as lie between two snapshots.
func (n *Node) keepBridge(index uint64) {
	previous := n.lastSnapshot.Swap(index)
	inst := n.instance()
	if inst == nil {
		return // it ends: raft does not cut any more
	}
	bridge := inst.raft.LastIndex() - previous + minTrailingLogs
	keep := max(bridge, n.trailing())
	n.reload(func(c *raft.ReloadableConfig) { c.TrailingLogs = keep })
}

// trailing is how many entries of the mean size SnapshotBytes are.
func (n *Node) trailing() uint64 {
	s := &n.fsm.counts
	entries, bytes := s.entries.Load(), s.bytes.Load()
	if entries == 0 || bytes == 0 {
		return minTrailingLogs
	}
	mean := max(1, bytes/entries)
	return min(max(uint64(n.cfg.SnapshotBytes)/mean, minTrailingLogs), maxTrailingLogs)
}
