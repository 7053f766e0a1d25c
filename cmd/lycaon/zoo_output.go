package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

// zooHistory is how many lines ZooKeeper's shell lists.
const zooHistory = 11

var (
	zooEventTypes = map[client.EventType]string{
		client.EventCreated: "NodeCreated", client.EventDeleted: "NodeDeleted",
		client.EventChanged: "NodeDataChanged", client.EventChildrenChanged: "NodeChildrenChanged",
		client.EventPresent: "NodeDataChanged", // it may have, behind a gap, and there is no word for that
	}
	zooRemovals = map[watchKind]string{
		watchData: "DataWatchRemoved", watchChildren: "ChildWatchRemoved",
		watchPersistent: "PersistentWatchRemoved", watchRecursive: "PersistentWatchRemoved",
	}
	zooStates = map[client.State]string{
		client.Connected: "SyncConnected", client.Disconnected: "Disconnected", client.Expired: "Expired", client.Closed: "Closed",
	}
	zooPromptStates = map[client.State]string{client.Connected: "CONNECTED", client.Disconnected: "CONNECTING"} // CLOSED else
)

// zooEvent prints what has come, as ZooKeeper's shell since 3.9 does.
func (p printer) zooEvent(e client.Event) error {
	if zooEventTypes[e.Type] == "" {
		return nil // that there is a gap, or that it is told
	}
	return p.watched("SyncConnected", zooEventTypes[e.Type], e.Path, int64(e.Zxid))
}

// zooRemoved prints that watches have gone: one event for both kinds of staying ones.
func (p printer) zooRemoved(path string, kinds []watchKind) error {
	told := ""
	for _, kind := range kinds { // in the order of their names
		if zooRemovals[kind] == told {
			continue
		}
		told = zooRemovals[kind]
		if err := p.watched("SyncConnected", told, path, -1); err != nil {
			return err
		}
	}
	return nil
}

func (p printer) watched(state, kind, path string, zxid int64) error {
	return p.line("\nWATCHER::\n\nWatchedEvent state:%s type:%s path:%s zxid: %d", state, kind, path, zxid)
}

// tellStates prints each state of the session until its end, in a shell that is as
// ZooKeeper's.
func (e *env) tellStates() {
	if !e.greeted {
		return
	}
	out, session := e.out.apart(), e.conn.Session()
	told := session.State()
	tell := func() {
		if name := zooStates[told]; name != "" && !e.watches.isMuted() {
			_ = out.watched(name, "None", "null", -1)
		}
	}
	tell() // before any command
	e.states.Go(func() {
		for state := range session.States() {
			if state != told {
				told = state
				tell()
			}
		}
	})
}

// greet begins a shell as ZooKeeper's does, if it is to be like it. A server that
// is not there is told by each command.
func (e *env) greet(ctx context.Context, lineEditing string) bool {
	if !e.out.compat() {
		return false
	}
	e.greeted = true
	_ = e.out.line("Connecting to %s\nWelcome to ZooKeeper!\nJLine support is %s", e.target.server, lineEditing)
	_, _ = e.session(ctx)
	return true
}

// zooPrompt has the number of the line that is asked for.
func (e *env) zooPrompt(number int) string {
	state := "CLOSED"
	if e.conn != nil && zooPromptStates[e.conn.Session().State()] != "" {
		state = zooPromptStates[e.conn.Session().State()]
	}
	return fmt.Sprintf("[zk: %s(%s) %d] ", e.target.server, state, number)
}

// zooWarnings tells of the limits that are exceeded already.
func (e *env) zooWarnings(q znode.Quota) error {
	for _, kind := range []struct {
		name        string
		limit, hard int64
		figure      int64
	}{{"count", q.Limits.Count, q.CountHard, q.Count}, {"bytes", q.Limits.Bytes, q.BytesHard, q.Bytes}} {
		if kind.limit >= 0 && kind.limit < kind.figure || kind.hard >= 0 && kind.hard < kind.figure {
			if err := e.out.line("[Warning]: the %s quota you create is less than the existing %s:%d", kind.name, kind.name, kind.figure); err != nil {
				return err
			}
		}
	}
	return nil
}

// zooHexDump is data as Netty prints it, which ZooKeeper's shell uses.
func zooHexDump(data []byte) string {
	const (
		rule   = "         +-------------------------------------------------+\n"
		header = "         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |\n"
		edge   = "+--------+-------------------------------------------------+----------------+"
		row    = 16
	)
	if len(data) == 0 {
		return "\n"
	}
	var b strings.Builder
	b.WriteString(rule + header + edge)
	for at := 0; at < len(data); at += row {
		part := data[at:min(at+row, len(data))]
		fmt.Fprintf(&b, "\n|%08x|%-49s|%-16s|", at, fmt.Sprintf(" % x", part), strings.Map(printable, string(latin1(part))))
	}
	return b.String() + "\n" + edge + "\n"
}

func latin1(data []byte) []rune {
	text := make([]rune, len(data))
	for i, c := range data {
		text[i] = rune(c)
	}
	return text
}

func printable(r rune) rune {
	if r <= 0x1f || r >= 0x7f {
		return '.'
	}
	return r
}
