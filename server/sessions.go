package server

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/state"
)

// heldSession is what the server that holds a session's connection tells of it.
type heldSession struct {
	Session, Generation  uint64
	Addr                 string
	ConnectedMs, HeardMs int64
	Watches              int
}

// Sessions tells of live sessions. The sessions are those of this server's
// state; where their clients are it asks the others, unless it holds all of
// them itself.
func (s *Server) Sessions(ctx context.Context, q protocol.SessionQuery) *protocol.SessionPage {
	page := s.livingSessions(&q)
	place(page, s.cfg.ID, s.held(elsewhere(page)))
	if left := elsewhere(page); len(left) > 0 {
		s.askForSessions(ctx, page, left)
	}
	return page
}

func (s *Server) livingSessions(q *protocol.SessionQuery) *protocol.SessionPage {
	page, after, most := &protocol.SessionPage{}, q.After, q.PageLimit()
	if q.Session != 0 {
		after, most = q.Session-1, 1
	}
	s.core.View(func(m *state.Machine) {
		for r := range m.Sessions().After(after) {
			switch {
			case q.Session != 0 && r.ID != q.Session:
				return
			case len(page.Sessions) == most:
				page.More = q.Session == 0
				return
			}
			of := protocol.LiveSession{ID: r.ID, TimeoutMs: r.TimeoutMs, Generation: r.Generation, Ephemerals: m.Tree().NumEphemerals(r.ID)}
			if q.Session != 0 {
				of.Paths, _ = m.Tree().Ephemerals(r.ID, "", "", protocol.MaxSessionPaths)
			}
			page.Sessions = append(page.Sessions, of)
		}
	})
	return page
}

// elsewhere lists the sessions whose servers are not known yet.
func elsewhere(page *protocol.SessionPage) (ids []uint64) {
	for i := range page.Sessions {
		if page.Sessions[i].ServerID == 0 {
			ids = append(ids, page.Sessions[i].ID)
		}
	}
	return ids
}

// clientConn is what a connection of package front tells of its client.
type clientConn interface {
	RemoteAddr() string
	Began() time.Time
	Heard() time.Time
}

// held tells which of these sessions have their connections here.
func (s *Server) held(sessions []uint64) []heldSession {
	var all []heldSession
	for _, h := range s.core.Held(sessions) {
		about := heldSession{Session: h.Session, Generation: h.Generation, Watches: h.Watches}
		if c, ok := h.Sink.(clientConn); ok {
			about.Addr = c.RemoteAddr()
			about.ConnectedMs, about.HeardMs = time.Since(c.Began()).Milliseconds(), time.Since(c.Heard()).Milliseconds()
		}
		all = append(all, about)
	}
	return all
}

// place notes what a server holds. A connection of an older generation than
// is known is one whose end its server has not heard of.
func place(page *protocol.SessionPage, server uint64, held []heldSession) {
	at := make(map[uint64]*protocol.LiveSession, len(page.Sessions))
	for i := range page.Sessions {
		at[page.Sessions[i].ID] = &page.Sessions[i]
	}
	for _, h := range held {
		if of := at[h.Session]; of != nil && h.Generation >= of.Generation {
			of.ServerID, of.Generation, of.ClientAddr = server, h.Generation, h.Addr
			of.ConnectedMs, of.HeardMs, of.Watches = h.ConnectedMs, h.HeardMs, h.Watches
		}
	}
}

// askForSessions asks the other members at once. It needs no quorum.
func (s *Server) askForSessions(ctx context.Context, page *protocol.SessionPage, ids []uint64) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	others := s.others()
	held, failures := make([][]heldSession, len(others)), make([]error, len(others))
	var wg sync.WaitGroup
	for i, m := range others {
		wg.Go(func() {
			failures[i] = s.call(ctx, m, askSessions, ids, &held[i])
		})
	}
	wg.Wait()
	for i, m := range others {
		if failures[i] != nil {
			s.log.Debug("a server did not tell which sessions it holds", "server", m.ID, "error", failures[i])
			page.Silent = append(page.Silent, m.ID)
			continue
		}
		place(page, m.ID, held[i])
	}
}

// answerSessions tells another member which sessions are held here.
func (s *Server) answerSessions(_ context.Context, from peer.Identity, body []byte) (any, error) {
	if err := s.admit(peer.Forward, from); err != nil {
		return nil, err
	}
	var ids []uint64
	if err := json.Unmarshal(body, &ids); err != nil {
		return nil, peer.Refuse(peer.ErrBadRequest, "%v", err)
	}
	if len(ids) > protocol.MaxSessionPage {
		return nil, peer.Refuse(peer.ErrBadRequest, "%d sessions, at most %d are asked for at a time", len(ids), protocol.MaxSessionPage)
	}
	return s.held(ids), nil
}
