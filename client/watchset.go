package client

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// watchSet is what a client watches and how far its events have come. All of
// it is guarded by Client.mu.
type watchSet struct {
	byPath  map[string][]*Watch // live ones but those of a subtree
	subtree map[string][]*Watch // live ones of a subtree, by its root
	refs    map[watchKey]int    // watches that share a registration at the server, live or not yet
	replays queue[*replay]      // resumes on this connection whose end has not been told
	resume  uint64              // every event up to it has been handed to the watches that were live
	telling int                 // rises when what was heard may be heard again, each transaction from its beginning
}

type watchKey struct {
	path string
	mode protocol.WatchMode
}

// replay is one OpResume.
type replay struct{ watches []*Watch }

func (s *watchSet) init() {
	s.byPath, s.subtree = map[string][]*Watch{}, map[string][]*Watch{}
	s.refs = map[watchKey]int{}
}

func (s *watchSet) room(mode protocol.WatchMode) map[string][]*Watch {
	if mode == protocol.WatchRecursive {
		return s.subtree
	}
	return s.byPath
}

// startWatch counts the registration at the moment it gets its place in the
// order of requests, so that another watch's end does not take it away.
func (c *Client) startWatch(cl *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.startLocked(cl); err != nil {
		return err
	}
	c.watches.refs[watchKey{cl.watch.path, cl.watch.mode}]++
	return nil
}

// answered lets a watch go live at the zxid of its registration, while no
// later event has been read yet. Every event up to it has been: so the resume
// point of all moves there. Watches that share a one-shot registration must
// resume at one point, or what only the oldest misses would use it up for all.
func (s *watchSet) answered(c *Client, cl *call, m *protocol.Message) {
	w := cl.watch
	switch {
	case m.Code != protocol.OK && cl.replay != nil:
		s.refused(c, cl, replyError(m))
	case m.Code == protocol.OK && w != nil && cl.replay == nil:
		w.floor = m.Zxid
		s.resume = max(s.resume, m.Zxid)
		s.add(w)
	}
}

// refused ends the watches of a resume that the server did not take, or would not.
func (s *watchSet) refused(c *Client, cl *call, why error) {
	for range s.replays.len() {
		if r := s.replays.pop(); r != cl.replay {
			s.replays.push(r)
		}
	}
	for _, w := range cl.replay.watches {
		w.end(why)
		s.leave(c, w)
	}
}

func (s *watchSet) add(w *Watch) {
	if w.live || w.gone {
		return
	}
	w.live = true
	room := s.room(w.mode)
	room[w.path] = append(room[w.path], w)
}

// leave takes a watch out, and its registration off the server if it was the
// last to use it.
func (s *watchSet) leave(c *Client, w *Watch) {
	if w.gone {
		return
	}
	w.gone = true
	key := watchKey{w.path, w.mode}
	if s.remove(w) > 0 || c.ctx.Err() != nil {
		return
	}
	cl := c.newCall(protocol.OpUnwatch)
	cl.quiet = true
	cl.req.Watches = []protocol.Watch{{Path: key.path, Mode: key.mode}}
	if c.startLocked(cl) != nil {
		c.recycle(cl)
	}
}

// remove returns how many still use the registration.
func (s *watchSet) remove(w *Watch) (left int) {
	s.quieten(w)
	key := watchKey{w.path, w.mode}
	if s.refs[key]--; s.refs[key] > 0 {
		return s.refs[key]
	}
	delete(s.refs, key)
	return 0
}

// quieten undoes add: nothing is for the watch any more.
func (s *watchSet) quieten(w *Watch) {
	if !w.live {
		return
	}
	w.live = false
	room := s.room(w.mode)
	i := slices.Index(room[w.path], w)
	if room[w.path] = slices.Delete(room[w.path], i, i+1); len(room[w.path]) == 0 {
		delete(room, w.path)
	}
}

// takeBack prepares a watch's own first resume, which was cut off before its answer,
// to be sent again: from where its events had come to. Until then the watch is not
// live, or reconnected would resume it beside that.
func (s *watchSet) takeBack(cl *call) {
	w := cl.watch
	w.floor = w.position()
	cl.req.Watches[0].Since = w.floor
	s.quieten(w)
}

// failAll ends every watch with its session.
func (s *watchSet) failAll(cause error) {
	for _, room := range []map[string][]*Watch{s.byPath, s.subtree} {
		for _, watches := range room {
			for _, w := range watches {
				w.end(cause)
				w.gone, w.live = true, false
			}
		}
	}
	s.init()
}

// disconnected makes every live watch one that has to be resumed, and hears nothing
// before its replay: its resume may wait while another's is answered.
func (s *watchSet) disconnected() {
	for s.replays.len() > 0 {
		s.replays.pop()
	}
	s.telling++
	s.each(func(w *Watch) {
		w.floor = w.position()
		w.replaying, w.early, w.held = true, true, nil
	})
}

func (s *watchSet) each(visit func(*Watch)) {
	for _, room := range []map[string][]*Watch{s.byPath, s.subtree} {
		for _, watches := range room {
			for _, w := range watches {
				visit(w)
			}
		}
	}
}

// reconnected asks for what the live watches missed, before anything else is
// sent: in as many requests as frames need.
func (s *watchSet) reconnected(c *Client) {
	all := map[watchKey]int{} // index in watches
	var watches []protocol.Watch
	var owners [][]*Watch
	s.each(func(w *Watch) {
		key := watchKey{w.path, w.mode}
		i, known := all[key]
		if !known {
			i = len(watches)
			all[key] = i
			watches = append(watches, protocol.Watch{Path: w.path, Mode: w.mode, Since: w.floor})
			owners = append(owners, nil)
		}
		watches[i].Since = min(watches[i].Since, w.floor)
		owners[i] = append(owners[i], w)
	})
	var calls []*call
	for len(watches) > 0 {
		n := resumeChunk(watches, int(c.limits.MaxFrame))
		cl := c.newCall(protocol.OpResume)
		cl.quiet, cl.state = true, callPending
		cl.req.Watches = watches[:n]
		cl.replay = &replay{slices.Concat(owners[:n]...)}
		calls = append(calls, cl)
		watches, owners = watches[n:], owners[n:]
	}
	for _, cl := range slices.Backward(calls) {
		c.pending.pushFront(cl)
	}
}

// resumeChunk is how many watches one frame takes.
func resumeChunk(watches []protocol.Watch, frame int) int {
	size, n := 64, 0
	for n < len(watches) && n < maxResumeWatches {
		if size += len(watches[n].Path) + 20; size > frame && n > 0 {
			break
		}
		n++
	}
	return n
}

// resuming is told when a resume is sent. A watch that begins with one is live
// from here on.
func (s *watchSet) resuming(r *replay) {
	s.replays.push(r)
	for _, w := range r.watches {
		w.replaying, w.early, w.held = true, true, nil
		s.add(w)
	}
}

// event takes one event frame.
func (s *watchSet) event(c *Client, m *protocol.Message) error {
	switch m.Event {
	case protocol.EventProgress:
		if m.Zxid == 0 {
			s.replayBegins()
		}
		s.resume = max(s.resume, m.Zxid)
		return nil
	case protocol.EventReplayDone:
		return s.replayed(c, m.Zxid)
	case protocol.EventGap:
		return s.gap(m)
	}
	typ, known := eventTypes[m.Event]
	switch {
	case !known:
		return nil // of a younger server
	case !strings.HasPrefix(m.Path, "/"):
		return fmt.Errorf("%w: event %d of %.64q", ErrProtocol, m.Event, m.Path)
	case len(m.Path) > znode.MaxPathBytes: // the way up from it takes the square of that
		return fmt.Errorf("%w: event %d of a path of %d bytes, at most %d are allowed", ErrProtocol, m.Event, len(m.Path), znode.MaxPathBytes)
	}
	c.saw(m.Zxid)
	if m.Zxid > 0 {
		// More events of this transaction may follow.
		s.resume = max(s.resume, m.Zxid-1)
	}
	s.dispatch(c, Event{Type: typ, Path: m.Path, Zxid: m.Zxid})
	return nil
}

// replayBegins has the watches of the replay forget what they held: it tells that.
func (s *watchSet) replayBegins() {
	s.telling++
	if s.replays.len() == 0 {
		return
	}
	for _, w := range s.replays.front().watches {
		w.early, w.held = false, nil
	}
}

func (s *watchSet) replayed(c *Client, zxid uint64) error {
	if s.replays.len() == 0 {
		return fmt.Errorf("%w: the end of a replay that was not asked for", ErrProtocol)
	}
	for _, w := range s.replays.pop().watches {
		s.tellHeld(c, w)
		w.replaying = false
		w.floor = max(w.floor, zxid)
		w.newest = w.floor
		clear(w.seen)
	}
	s.resume = max(s.resume, zxid)
	s.telling++
	return nil
}

// tellHeld tells what a watch held because its replay, of an older server, has no
// beginning.
func (s *watchSet) tellHeld(c *Client, w *Watch) {
	held := w.held
	w.early, w.held = false, nil
	for _, e := range held {
		switch {
		case !w.live:
			return
		case e.Type == EventGap:
			w.pushGap(e.Zxid)
		default:
			s.offer(c, w, e)
		}
	}
}

// gap is for the staying watches of the path: one-shots are compared.
func (s *watchSet) gap(m *protocol.Message) error {
	if s.replays.len() == 0 {
		return fmt.Errorf("%w: a gap outside a replay", ErrProtocol)
	}
	for _, w := range s.replays.front().watches {
		staying := w.mode == protocol.WatchPersistent || w.mode == protocol.WatchRecursive
		if w.path == m.Path && w.live && staying {
			w.pushGap(m.Zxid)
		}
	}
	return nil
}

// dispatch hands an event to those it is for. A watch may leave while it runs.
func (s *watchSet) dispatch(c *Client, e Event) {
	for _, w := range slices.Clone(s.byPath[e.Path]) {
		s.offer(c, w, e)
	}
	if len(s.subtree) == 0 {
		return
	}
	for root := e.Path; ; root = znode.Parent(root) {
		for _, w := range slices.Clone(s.subtree[root]) {
			s.offer(c, w, e)
		}
		if root == "/" {
			return
		}
	}
}

func (s *watchSet) offer(c *Client, w *Watch, e Event) {
	if modeTypes[w.mode]&e.Type.bit() == 0 {
		return
	}
	if w.early {
		w.hold(e)
		return
	}
	if !w.fresh(e) || w.types&e.Type.bit() == 0 {
		return
	}
	w.push(e)
	if !w.once {
		return
	}
	w.end(ErrClosed)
	if w.mode == protocol.WatchExists || w.mode == protocol.WatchChildren {
		// The server has dropped it by itself.
		w.gone = true
		s.remove(w)
		return
	}
	s.leave(c, w)
}
