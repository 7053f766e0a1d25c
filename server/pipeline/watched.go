package pipeline

// Watched is what a session's connection on this server watches.
type Watched struct {
	Session uint64
	Paths   []string
}

// Watched lists what the connections of this server watch, by rising session,
// until there are at least most paths; whole tells whether that is all. It may
// be called from any goroutine.
func (c *Core) Watched(most int) (all []Watched, whole bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, l := range c.everyLane() {
		if most <= 0 {
			return all, false
		}
		if paths := c.watches.PathsOf(l.watcher()); len(paths) > 0 {
			all = append(all, Watched{l.session, paths})
			most -= len(paths)
		}
	}
	return all, true
}

// WatchedPaths is how many paths are watched here, and by how many connections.
func (c *Core) WatchedPaths() (paths, connections int) { return c.watches.Paths() }
