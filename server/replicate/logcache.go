package replicate

import (
	"sync"

	"github.com/hashicorp/raft"
)

// logCache keeps the newest entries in memory for raft, which asks for them a moment after it has stored them: a leader
// to send them, a follower to apply them. It is bounded by bytes, since those of a busy server are large, and empty
// while nobody asks, as on a server without followers. raft's goroutines may ask at the same time.
//
// It differs from raft's LogCache in that alone: an entry is kept once it is in the store, and let go of before it is
// deleted there, so that what is here is there too.
type logCache struct {
	*gate

	mu     sync.Mutex // guards what follows; never held while the store is at work
	ring   [logCacheEntries]raft.Log
	bytes  int // of what is in the ring
	unread int // entries stored since one was asked for, as far as the ring goes
}

func (c *logCache) GetLog(index uint64, out *raft.Log) error {
	if c.kept(index, out) {
		return nil
	}
	return c.gate.GetLog(index, out)
}

func (c *logCache) kept(index uint64, out *raft.Log) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unread = 0
	entry := c.slot(index)
	if index == 0 || entry.Index != index {
		return false
	}
	*out = *entry
	return true
}

func (c *logCache) StoreLog(l *raft.Log) error { return c.StoreLogs([]*raft.Log{l}) }

func (c *logCache) StoreLogs(logs []*raft.Log) error {
	if err := c.gate.StoreLogs(logs); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range logs {
		c.keepLocked(l)
	}
	return nil
}

func (c *logCache) DeleteRange(first, last uint64) error {
	c.forget(first, last)
	return c.gate.DeleteRange(first, last)
}

func (c *logCache) forget(first, last uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.ring {
		if entry := &c.ring[i]; first <= entry.Index && entry.Index <= last {
			c.putLocked(entry, raft.Log{})
		}
	}
}

// keepLocked copies the entry, whose memory holds the future of its write as well.
func (c *logCache) keepLocked(l *raft.Log) {
	if c.unread == len(c.ring) { // nobody has asked for anything that is here
		clear(c.ring[:])
		c.bytes = 0
		return
	}
	c.unread++
	c.putLocked(c.slot(l.Index), *l)
	// What follows the newest one in the ring is the oldest.
	for i := l.Index + 1; c.bytes > logCacheBytes && i < l.Index+logCacheEntries; i++ {
		c.putLocked(c.slot(i), raft.Log{})
	}
}

func (c *logCache) slot(index uint64) *raft.Log { return &c.ring[index%logCacheEntries] }

func (c *logCache) putLocked(slot *raft.Log, entry raft.Log) {
	c.bytes += len(entry.Data) + len(entry.Extensions) - len(slot.Data) - len(slot.Extensions)
	*slot = entry
}
