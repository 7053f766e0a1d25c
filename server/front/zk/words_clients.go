package zk

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/server/state"
)

// line tells of one connection, in full for cons.
func line(c *front.Conn, full bool) string {
	received, sent := c.Traffic()
	queued, session, interest := 0, uint64(0), 0
	if l := c.Lane(); l != nil {
		queued, session, interest = l.Depth(), l.Session(), 1
	}
	text := fmt.Sprintf(" /%s[%d](queued=%d,recved=%d,sent=%d", c.RemoteAddr(), interest, queued, received, sent)
	if !full || session == 0 {
		return text + ")\n"
	}
	text += fmt.Sprintf(",sid=0x%x", session)
	if other, ok := c.Speaker().(*conn); ok {
		text += other.about.text()
	}
	return text + fmt.Sprintf(",est=%d)\n", c.Began().UnixMilli())
}

// lastOps are the names that ZooKeeper has for operations there.
var lastOps = map[jute.OpCode]string{
	jute.OpCreate: "CREA", jute.OpCreate2: "CREA", jute.OpDelete: "DELE", jute.OpExists: "EXIS", jute.OpGetData: "GETD",
	jute.OpSetData: "SETD", jute.OpGetACL: "GETA", jute.OpSetACL: "SETA", jute.OpGetChildren: "GETC", jute.OpGetChildren2: "GETC",
	jute.OpSync: "SYNC", jute.OpPing: "PING", jute.OpMulti: "MULT", jute.OpMultiRead: "MULT", jute.OpAuth: "AUTH", jute.OpSASL: "SASL",
	jute.OpSetWatches: "SETW", jute.OpSetWatches2: "SETW", jute.OpCloseSession: "CLOS",
}

func (a *about) text() string {
	op, known := lastOps[jute.OpCode(a.lastOp.Load())]
	if !known {
		op = "NA"
	}
	least, average, worst := a.sample.read()
	return fmt.Sprintf(",lop=%s,to=%d,lcxid=0x%x,lzxid=0x%x,lresp=%d,llat=%d,minlat=%d,avglat=%d,maxlat=%d",
		op, a.timeout.Load(), a.lastXid.Load(), a.lastZxid.Load(), a.lastAt.Load(),
		a.sample.last.Load()/1000, least, int64(average), worst)
}

func (c *conn) cons() string {
	var b strings.Builder
	for _, other := range c.Front().Conns() {
		b.WriteString(line(other, true))
	}
	return b.String() + "\n"
}

func (c *conn) crst() string {
	for _, other := range c.Front().Conns() {
		other.ResetTraffic()
		if known, ok := other.Speaker().(*conn); ok {
			known.about.sample.reset()
		}
	}
	return "Connection stats reset.\n"
}

// dump tells of the sessions of the cluster and their ephemeral nodes.
func (c *conn) dump() string {
	var sessions, ephemerals strings.Builder
	count, owners, paths := 0, 0, 0
	c.Core().View(func(m *state.Machine) {
		count = m.Sessions().Len()
		listed := 0
		for s := range m.Sessions().All() {
			if listed++; listed > maxWordSessions {
				fmt.Fprintf(&sessions, "and %d more\n", count-maxWordSessions)
				break
			}
			fmt.Fprintf(&sessions, "0x%x\t%dms\n", s.ID, s.TimeoutMs)
			if left := maxWordPaths - paths; left > 0 && m.Tree().NumEphemerals(s.ID) > 0 {
				own, _ := m.Tree().Ephemerals(s.ID, "", "", left)
				owners, paths = owners+1, paths+len(own)
				fmt.Fprintf(&ephemerals, "0x%x:\n\t%s\n", s.ID, strings.Join(own, "\n\t"))
			}
		}
	})
	var connections strings.Builder
	all := c.Front().Conns()
	for _, other := range all[:min(len(all), maxWordSessions)] {
		session := uint64(0)
		if l := other.Lane(); l != nil {
			session = l.Session()
		}
		fmt.Fprintf(&connections, "\tip: /%s sessionId: 0x%x\n", other.RemoteAddr(), session)
	}
	return fmt.Sprintf("SessionTracker dump:\nGlobal Sessions(%d):\n%sephemeral nodes dump:\nSessions with Ephemerals (%d):\n%sConnections dump:\nConnections (%d):\n%s",
		count, &sessions, owners, &ephemerals, len(all), &connections)
}

func (c *conn) wchs() string {
	paths, connections := c.Core().WatchedPaths()
	return fmt.Sprintf("%d connections watching %d paths\nTotal watches:%d\n", connections, paths, c.Core().Stats().Watches)
}

func (c *conn) wchc() string {
	watched, whole := c.Core().Watched(maxWordPaths)
	var b strings.Builder
	for _, w := range watched {
		fmt.Fprintf(&b, "0x%x\n\t%s\n", w.Session, strings.Join(w.Paths, "\n\t"))
	}
	return b.String() + rest(whole) + "\n"
}

func (c *conn) wchp() string {
	watched, whole := c.Core().Watched(maxWordPaths)
	sessions := byPath(watched)
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(sessions)) {
		b.WriteString(path + "\n")
		for _, session := range sessions[path] {
			fmt.Fprintf(&b, "\t0x%x\n", session)
		}
	}
	return b.String() + rest(whole) + "\n"
}

func byPath(watched []pipeline.Watched) map[string][]uint64 {
	sessions := map[string][]uint64{}
	for _, w := range watched {
		for _, path := range w.Paths {
			sessions[path] = append(sessions[path], w.Session)
		}
	}
	return sessions
}

func rest(whole bool) string {
	if whole {
		return ""
	}
	return "and more\n"
}
