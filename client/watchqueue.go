package client

// fresh tells whether an event is one that this watch has not been told.
// Outside replays events come by rising zxid, so that only those of the newest
// transaction need to be remembered; during one, all. In a transaction a node may
// come and go several times, by turns, so that two comings without a going between
// them are two tellings of one transaction. Its other changes in one are told once.
// What is more than can be remembered becomes a gap. The caller holds c.mu.
func (w *Watch) fresh(e Event) bool {
	if e.Zxid <= w.floor {
		return false
	}
	if !w.replaying && e.Zxid > w.newest {
		w.newest, w.floor = e.Zxid, max(w.floor, e.Zxid-1)
		clear(w.seen)
	}
	key := eventKey{e.Zxid, e.Type, e.Path}
	if e.Type == EventDeleted {
		key.typ = EventCreated // they are counted together
	}
	if w.seen == nil {
		w.seen = map[eventKey]tally{}
	}
	t := w.seen[key]
	if t.telling != w.c.watches.telling || t.last == e.Type {
		t.heard = 0
	}
	t.heard++
	t.telling, t.last = w.c.watches.telling, e.Type
	news := t.heard > t.told
	t.told = max(t.told, t.heard)
	w.seen[key] = t
	if len(w.seen) > maxSeen {
		w.seen = nil // clear would keep its room
		w.pushGap(e.Zxid)
		return false
	}
	return news
}

// hold keeps an event that comes before what it follows. The caller holds c.mu.
func (w *Watch) hold(e Event) {
	if len(w.held) == maxWatchQueue {
		w.held = []Event{{Type: EventGap, Path: w.path, Zxid: e.Zxid}}
	}
	w.held = append(w.held, e)
}

// push queues an event. A full queue is merged, and if that does not make it
// much shorter, given up for a gap. The caller holds c.mu.
func (w *Watch) push(e Event) {
	if w.queue.len() >= maxWatchQueue {
		w.merge()
		if w.queue.len() > maxWatchQueue/2 {
			w.pushGap(e.Zxid)
			return
		}
	}
	if w.lastIsGap() {
		return // the state that will be read has it
	}
	w.queue.push(e)
	w.tell()
}

func (w *Watch) lastIsGap() bool {
	return w.queue.len() > 0 && w.queue.at(w.queue.len()-1).Type == EventGap
}

// merge drops each change that is followed by the same kind of change of the
// same node, with nothing but other kinds' news in between.
func (w *Watch) merge() {
	type stream struct {
		path     string
		children bool
	}
	later := map[stream]EventType{}
	var kept []Event
	for w.queue.len() > 0 {
		e := w.queue.popBack()
		s := stream{e.Path, e.Type == EventChildrenChanged}
		mergeable := e.Type == EventChanged || e.Type == EventChildrenChanged
		if mergeable && later[s] == e.Type {
			continue
		}
		later[s] = e.Type
		kept = append(kept, e)
	}
	for i := range kept {
		w.queue.push(kept[len(kept)-1-i])
	}
}

// pushGap replaces everything queued: the state that will be told is newer.
// The caller holds c.mu.
func (w *Watch) pushGap(zxid uint64) {
	if !w.gapOpen {
		w.gapOpen = true
		w.gapFrom = w.floor
		if w.queue.len() > 0 {
			w.gapFrom = w.queue.front().Zxid - 1
		}
	}
	for w.queue.len() > 0 {
		w.queue.pop()
	}
	w.queue.push(Event{Type: EventGap, Path: w.path, Zxid: zxid})
	w.tell()
}
