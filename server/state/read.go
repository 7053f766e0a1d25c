package state

import (
	"fmt"
	"math"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/znode"
)

// Read answers every read but OpWhoAmI, which the connection knows, and fills
// all of out but Kind and Xid, which it takes to be fresh. Any number may run
// at once. What out points at is never changed again.
func (m *Machine) Read(a *znode.Actor, r *protocol.Read, out *protocol.Message) {
	out.Zxid = m.zxid
	if r.Op == protocol.OpMultiRead {
		out.Op = r.Op
		m.multiRead(a, r.Reads, out)
		return
	}
	room := math.MaxInt // one node's data fits in a frame by the limits of a server
	m.read(a, r, out, &room)
}

// multiRead answers each read with a code of its own. Together they keep
// within a frame: an answer that no longer fits is TooLarge. A whole listing
// that does not fit leaves no trace in the frame, so what was gathered for such
// in vain is bounded by itself: nothing else would bound the work.
func (m *Machine) multiRead(a *znode.Actor, reads []protocol.Read, out *protocol.Message) {
	room, vain := frameRoom()-len(reads)*bareRoom, 0
	results := make([]protocol.Message, len(reads))
	for i := range reads {
		r, left := &reads[i], room-resultRoom
		if r.Whole && vain > maxVain {
			results[i].Op = r.Op
			refuse(&results[i], fmt.Errorf("%v %s: %w: too much was gathered for listings before it that did not fit", r.Op, r.Path, znode.ErrTooLarge))
		} else {
			m.read(a, r, &results[i], &left)
		}
		if r.Whole && results[i].Code == protocol.TooLarge {
			vain += room - left
		}
		if results[i].Code != protocol.OK {
			left = room - errorRoom(&results[i])
		}
		if left < 0 {
			results[i].More = nil // the words of an error
			left = room
		}
		room = left
	}
	out.More = &protocol.More{Results: results}
}

func errorRoom(failed *protocol.Message) int {
	if failed.More == nil {
		return entryRoom
	}
	return entryRoom + len(failed.More.Detail)
}

func frameRoom() int { return int(protocol.DefaultLimits().MaxFrame) - replyRoom }

// read answers one read within room bytes and takes from it what it used.
func (m *Machine) read(a *znode.Actor, r *protocol.Read, out *protocol.Message, room *int) {
	out.Op = r.Op
	var err error
	switch r.Op {
	case protocol.OpGet:
		out.Data, out.Stat, err = m.tree.Get(a, r.Path)
		*room -= len(out.Data)
	case protocol.OpExists:
		out.Stat, err = m.tree.Exists(asking(a, r.Op), r.Path)
	case protocol.OpChildren:
		err = m.children(a, r, out, room)
	case protocol.OpGetACL:
		err = m.getACL(a, r, out, room)
	case protocol.OpCount:
		err = m.count(a, r, out)
	case protocol.OpEphemerals:
		err = m.ephemerals(a, r, out, room)
	case protocol.OpSessionInfo:
		m.sessionInfo(a, r, out)
	case protocol.OpSync: // the zxid is all
	default:
		err = fmt.Errorf("%w: %v as a read", protocol.ErrUnimplemented, r.Op)
	}
	if err == nil && *room < 0 {
		err = fmt.Errorf("%w: the answer does not fit into the frame beside those before it", znode.ErrTooLarge)
	}
	if err != nil {
		refuse(out, err)
	}
}

// refuse makes out an error alone. A missing node is asked for so often that
// its code stands without words.
func refuse(out *protocol.Message, err error) {
	*out = protocol.Message{Kind: out.Kind, Op: out.Op, Xid: out.Xid, Zxid: out.Zxid}
	code := protocol.CodeOf(err)
	if code == protocol.NoNode {
		out.Code = code
		return
	}
	fail(out, code, err.Error())
}

func (m *Machine) getACL(a *znode.Actor, r *protocol.Read, out *protocol.Message, room *int) error {
	acl, stat, err := m.tree.ACL(a, r.Path)
	if err != nil {
		return err
	}
	out.Stat, out.More = stat, &protocol.More{ACL: acl}
	for i := range acl {
		*room -= entryRoom + len(acl[i].Scheme) + len(acl[i].ID)
	}
	return nil
}

func (m *Machine) count(a *znode.Actor, r *protocol.Read, out *protocol.Message) error {
	n, err := m.tree.Count(a, r.Path)
	out.More = &protocol.More{Count: int64(n)}
	return err
}

func (m *Machine) children(a *znode.Actor, r *protocol.Read, out *protocol.Message, room *int) error {
	if kept := m.listings.of(r.Path); kept.fits(r, *room) {
		stat, err := m.tree.ChildrenStat(asking(a, r.Op), r.Path)
		if err != nil {
			return err
		}
		if stat.Pzxid == kept.pzxid || mutant.On(mutant.StaleListing) {
			out.Stat, out.More = stat, kept.names
			bound, mark := roomOf(r, *room)
			*room = bound - kept.room(mark)
			return nil
		}
	}
	names, more, err := page(r, room, func(after string, limit int) (names []string, more bool, err error) {
		names, more, out.Stat, err = m.tree.Children(asking(a, r.Op), r.Path, after, limit)
		return names, more, err
	})
	out.More = &protocol.More{Names: names, Truncated: more}
	if n := len(names); n >= m.sharedFrom && n == out.Stat.NumChildren {
		out.More = m.listings.note(r.Path, out.Stat.Pzxid, out.More)
	}
	return err
}

func (m *Machine) ephemerals(a *znode.Actor, r *protocol.Read, out *protocol.Message, room *int) error {
	names, more, err := page(r, room, func(after string, limit int) ([]string, bool, error) {
		names, more := m.tree.Ephemerals(a.Session, r.Path, after, limit)
		return names, more, nil
	})
	out.More = &protocol.More{Names: names, Truncated: more}
	return err
}

// page gathers the names that r asks for: those above its cursor, at most its
// limit (0: any number), and no more than fit into room and a frame. more says
// that there are names beyond. With no room for even the first, room falls
// below zero. A whole listing is all of them or an error.
func page(r *protocol.Read, room *int, fetch func(after string, limit int) ([]string, bool, error)) (names []string, more bool, err error) {
	after, limit := r.After, r.Limit
	if r.Whole {
		after, limit = "", 0
	}
	bound, mark := roomOf(r, *room)
	*room = bound
	for {
		step := min(pageStep, max(*room, 0)/mark+1) // no more than could fit, and one to see that there are more
		if limit > 0 {
			step = min(step, limit-len(names))
		}
		got, rest, err := fetch(after, step)
		if err != nil {
			return nil, false, err
		}
		fit := fitting(got, mark, room)
		more = rest || fit < len(got)
		switch {
		case r.Whole && fit < len(got):
			return nil, false, fmt.Errorf("%v %s: %w: the names take more than %d bytes, and no page was asked for", r.Op, r.Path, znode.ErrTooLarge, bound)
		case fit == 0 && len(got) > 0 && len(names) == 0:
			*room = -1
		}
		if names == nil {
			names = got[:fit:fit]
		} else {
			names = append(names, got[:fit]...)
		}
		if fit < len(got) || !rest || len(names) == limit {
			return names, more, nil
		}
		after = names[len(names)-1]
	}
}

// roomOf returns how much of room the names that r asks for may take, and what
// each takes beside itself.
func roomOf(r *protocol.Read, room int) (bound, mark int) {
	if r.Whole {
		return min(room, maxWhole), wholeNameRoom
	}
	return min(room, frameRoom()), nameRoom
}

// fitting returns how many names fit into room, each with its mark, and takes
// their bytes from it.
func fitting(names []string, mark int, room *int) int {
	for i, name := range names {
		if *room < mark+len(name) {
			return i
		}
		*room -= mark + len(name)
	}
	return len(names)
}

// sessionInfo tells of a session by id, 0 for the one that asks. Of one that
// ended long ago, or never was, nothing is known but that it is not alive.
func (m *Machine) sessionInfo(a *znode.Actor, r *protocol.Read, out *protocol.Message) {
	id := r.Session
	if id == 0 {
		id = a.Session
	}
	info := &protocol.SessionInfo{ID: id}
	out.More = &protocol.More{Session: info}
	if s, alive := m.sessions.Get(id); alive {
		info.Alive, info.TimeoutMs, info.Generation = true, s.TimeoutMs, s.Generation
		info.Ephemerals = m.tree.NumEphemerals(id)
		return
	}
	if ended, known := m.sessions.Ended(id); known {
		info.Cause, info.EndedZxid = ended.Cause, ended.Zxid
	}
}
