package replicate

import (
	"context"
	"fmt"
	"time"
)

// Close lets what is under way end, stops raft and waits, as long as ctx. A
// leader hands leadership over first, so that the others need not wait for its
// silence.
func (n *Node) Close(ctx context.Context) error {
	if !n.opened.Load() {
		return nil
	}
	err := ErrClosed
	n.closing.Do(func() { err = n.close(ctx) })
	return err
}

func (n *Node) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeWait)
	defer cancel()
	n.resign(ctx)
	select {
	case <-n.prop.drained():
	case <-time.After(drainWait): // what hangs must not take the time that raft needs to stop
	case <-ctx.Done():
	}
	n.fsm.closing.Store(true)
	n.stopWorkers()
	ended := make(chan error, 1)
	go func() {
		// raft goes last: what it has taken and not begun when it shuts down is
		// never answered.
		n.workers.Wait()
		n.prop.watchers.Wait()
		var err error
		if inst := n.inst.Swap(nil); inst != nil {
			err = inst.end()
			n.streams.nudges.Wait() // they use what has just ended
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// The process may have stood still all the while, and raft with it.
	select {
	case err := <-ended:
		return err
	case <-time.After(closeGrace):
		return fmt.Errorf("%w: raft did not stop", ErrDeadline)
	}
}

func (n *Node) stopWorkers() {
	n.joining.Lock()
	defer n.joining.Unlock()
	close(n.stop)
	n.cancel()
}

// join has f run as one of the workers, whom Close awaits, for a caller who is none
// himself. It tells whether it does: not once the node is closing.
func (n *Node) join(f func()) bool {
	n.joining.Lock()
	defer n.joining.Unlock()
	if n.ctx.Err() != nil {
		return false
	}
	n.workers.Go(f)
	return true
}

// resign hands leadership over if there is somebody to take it. Whoever does
// not take it in time finds a leader by election.
func (n *Node) resign(ctx context.Context) {
	if n.leadTerm.Load() == 0 || len(voters(n.configuration(), n.cfg.ID)) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, resignWait)
	defer cancel()
	began := time.Now()
	if err := n.transfer(ctx, 0); err != nil {
		n.cfg.Logger.Warn("leadership was not handed over", "error", err)
		return
	}
	n.cfg.Logger.Info("leadership handed over", "took", time.Since(began))
}
