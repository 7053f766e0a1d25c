package protocol

import (
	"fmt"
	"math"

	"github.com/lycaon-io/lycaon/znode"
)

// MaxSessionPage is how many sessions one reply to OpSessions tells of at most.
const MaxSessionPage = 1000

// MaxSessionPaths is how many of its ephemeral nodes a session that is asked for
// alone is told with: so many of the longest paths fit in a frame.
const MaxSessionPaths = 256

// SessionQuery is the body of OpSessions: one session alone, or a page of all.
type SessionQuery struct {
	Session uint64 // this one alone; 0: a page
	After   uint64 // those whose ids are above, by rising id
	Limit   int    // of the page; 0: MaxSessionPage
}

// LiveSession is a session as OpSessions tells of it. What only the server that
// holds its connection can tell is there if that server answered.
type LiveSession struct {
	ID          uint64
	TimeoutMs   int64
	Generation  uint64
	Ephemerals  int
	ServerID    uint64 // where its client is connected; 0: nowhere, as far as is known
	ClientAddr  string // from where
	ConnectedMs int64  // since when
	HeardMs     int64  // since the client was last heard
	Watches     int
	Paths       []string // the first of its ephemeral nodes, if it was asked for alone
}

// SessionPage answers OpSessions.
type SessionPage struct {
	Sessions []LiveSession
	More     bool     // there are sessions with greater ids
	Silent   []uint64 // the servers that did not answer: what they hold shows no connection
}

// PageLimit is how many sessions are asked for.
func (q *SessionQuery) PageLimit() int {
	if q.Limit == 0 {
		return MaxSessionPage
	}
	return min(q.Limit, MaxSessionPage)
}

// AppendSessionQuery appends the body of a sessions request.
func AppendSessionQuery(b []byte, q *SessionQuery) []byte {
	b = appendArray(b, 3)
	b = appendUint(b, q.Session)
	b = appendUint(b, q.After)
	return appendUint(b, uint64(max(q.Limit, 0)))
}

// DecodeSessionQuery decodes the body of a sessions request.
func DecodeSessionQuery(body []byte) (q SessionQuery, err error) {
	d := newDecoder(body)
	t := d.tuple()
	q.Session, q.After = t.optUint(), t.optUint()
	q.Limit = int(t.optUintUpTo(maxPageLimit))
	t.end()
	if err := d.done(); err != nil {
		return q, err
	}
	if q.Session != 0 && (q.After != 0 || q.Limit != 0) {
		return q, fmt.Errorf("%w: one session is asked for alone, without a page", znode.ErrBadArguments)
	}
	return q, nil
}

func appendSessionPage(b []byte, p *SessionPage) []byte {
	if p == nil {
		p = &SessionPage{}
	}
	b = appendArray(b, 3)
	b = appendArray(b, len(p.Sessions))
	for i := range p.Sessions {
		b = appendLiveSession(b, &p.Sessions[i])
	}
	b = appendBool(b, p.More)
	b = appendArray(b, len(p.Silent))
	for _, id := range p.Silent {
		b = appendUint(b, id)
	}
	return b
}

func appendLiveSession(b []byte, s *LiveSession) []byte {
	b = appendArray(b, 10)
	b = appendUint(b, s.ID)
	b = appendInt(b, s.TimeoutMs)
	b = appendUint(b, s.Generation)
	b = appendInt(b, int64(s.Ephemerals))
	b = appendUint(b, s.ServerID)
	b = appendText(b, s.ClientAddr, maxAddrBytes)
	b = appendInt(b, s.ConnectedMs)
	b = appendInt(b, s.HeardMs)
	b = appendInt(b, int64(s.Watches))
	return appendNames(b, s.Paths)
}

func (t *tuple) sessionPage() *SessionPage {
	p := &SessionPage{}
	if t.need() {
		for n := t.d.array(MaxSessionPage); n > 0 && t.d.err == nil; n-- {
			p.Sessions = append(p.Sessions, t.d.liveSession())
		}
	}
	p.More = t.optBool()
	if t.has() {
		for n := t.d.array(maxMembers); n > 0 && t.d.err == nil; n-- {
			p.Silent = append(p.Silent, t.d.uint())
		}
	}
	return p
}

func (d *decoder) liveSession() (s LiveSession) {
	t := d.tuple()
	s = LiveSession{
		ID:          t.uint(),
		TimeoutMs:   t.optInt(0),
		Generation:  t.optUint(),
		Ephemerals:  int(t.optUintUpTo(math.MaxInt32)),
		ServerID:    t.optUint(),
		ClientAddr:  t.optStr(),
		ConnectedMs: t.optInt(0),
		HeardMs:     t.optInt(0),
		Watches:     int(t.optUintUpTo(math.MaxInt32)),
	}
	if t.has() {
		for n := d.array(MaxSessionPaths); n > 0 && d.err == nil; n-- {
			s.Paths = append(s.Paths, d.str())
		}
	}
	t.end()
	return s
}

func (p *SessionPage) size() int {
	n := 3*markBytes + numberBytes*(1+len(p.Silent))
	for i := range p.Sessions {
		n += 3*markBytes + 9*numberBytes + len(p.Sessions[i].ClientAddr)
		for _, path := range p.Sessions[i].Paths {
			n += markBytes + len(path)
		}
	}
	return n
}
