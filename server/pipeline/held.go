package pipeline

// Held is a session whose connection is on this server.
type Held struct {
	Session, Generation uint64
	Watches             int
	Sink                Sink
}

// Held tells which of these sessions have their connections here. It may be
// called from any goroutine.
func (c *Core) Held(sessions []uint64) []Held {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var all []Held
	for _, id := range sessions {
		if l := c.lanes[id]; l != nil {
			all = append(all, Held{l.session, l.generation, c.watches.CountOf(l.watcher()), l.sink})
		}
	}
	return all
}
