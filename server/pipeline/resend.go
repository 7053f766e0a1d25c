package pipeline

import (
	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// Resend gives the log everything again that has not been applied: on any
// doubt whether it arrived, it is sent once more, and who has it already skips
// it by its sequence or ticket. Each lane's writes come in their order. It may
// run beside everything else.
func (c *Core) Resend() {
	if mutant.On(mutant.NoResend) {
		return
	}
	c.mu.RLock()
	lanes := c.everyLane()
	c.mu.RUnlock()
	for _, l := range lanes {
		l.resend()
	}
	for _, txn := range c.pending.all() {
		c.log.Append(&txn)
	}
	c.sendNoop(c.waits.underWay())
}

func (l *Lane) resend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.queue.len() {
		if s := l.queue.at(i); s.isWrite() && !s.held {
			l.core.counts.resentBytes.Add(uint64(s.bytes))
			l.core.counts.resent.Add(1)
			l.send(s)
		}
	}
}
