package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
)

func newStatus(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell how every server of the cluster does",
		Long: `Ask one server, which asks all the others, and print a line for each. It works without
a quorum; a server that does not answer is unreachable. The exit code is 0 as soon as one
answers: for checks there is /readyz of each server.

ROLE is leader, follower, observer (has no vote), candidate, starting or unreachable.
STATE says whether clients are served. LAG is how many committed entries of the log are not applied
there yet. SESSIONS are those of the cluster, CONNS the connections of that server.
At rest DIGEST is the same everywhere. With -o json there is more of each.`,
		Example: "  status\n  status -o json",
		GroupID: groupServer,
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.reader(cmd.Context())
			if err != nil {
				return err
			}
			members, err := c.ClusterStatus(cmd.Context())
			if err != nil {
				return err
			}
			return e.printStatus(members)
		},
	}
}

func (e *env) printStatus(members []client.MemberStatus) error {
	if e.out.structured() {
		all := []statusJSON{}
		for _, m := range members {
			all = append(all, statusValue(m))
		}
		return e.out.value(map[string]any{"members": all})
	}
	rows := [][]string{{"ID", "ADDRESS", "ROLE", "STATE", "TERM", "APPLIED", "LAG", "SESSIONS", "CONNS", "NODES", "DIGEST", "VERSION"}}
	for _, m := range members {
		rows = append(rows, statusRow(m))
	}
	if err := e.out.table(rows); err != nil {
		return err
	}
	for _, m := range members {
		if m.Status == nil {
			if err := e.out.line("server %d does not answer at %s: %s", m.ID, m.PeerAddr, m.Error); err != nil {
				return err
			}
		}
	}
	return nil
}

// memberJSON is the form of a member in JSON output.
type memberJSON struct {
	ID         uint64 `json:"id"`
	Role       string `json:"role"`
	PeerAddr   string `json:"peerAddr"`
	ClientAddr string `json:"clientAddr"`
	Version    string `json:"version"`
}

func memberValue(m client.Member) memberJSON {
	return memberJSON{ID: m.ID, Role: m.Role, PeerAddr: m.PeerAddr, ClientAddr: m.ClientAddr, Version: m.Version}
}

// statusJSON is the form of a member's status: of one that does not answer there
// is no more than why.
type statusJSON struct {
	memberJSON
	Error string `json:"error,omitempty"`
	*answerJSON
}

type answerJSON struct {
	Ready       bool   `json:"ready"`
	UptimeMs    int64  `json:"uptimeMs"`
	Zxid        uint64 `json:"zxid"`
	Digest      string `json:"digest"`
	Term        uint64 `json:"term"`
	Commit      uint64 `json:"commitIndex"`
	Applied     uint64 `json:"appliedIndex"`
	Lag         int64  `json:"lag"`
	Leader      uint64 `json:"leaderId"`
	ContactMs   int64  `json:"contactMs"`
	Sessions    int64  `json:"sessions"`
	Connections int64  `json:"connections"`
	Watches     int64  `json:"watches"`
	Nodes       int64  `json:"nodes"`
	DataBytes   int64  `json:"dataBytes"`
	LogBytes    int64  `json:"logBytes"`
	Disk        string `json:"disk"`
}

func statusValue(m client.MemberStatus) statusJSON {
	v := statusJSON{memberJSON: memberValue(m.Member), Error: m.Error}
	if s := m.Status; s != nil {
		v.answerJSON = &answerJSON{
			Ready: s.Ready, UptimeMs: s.UptimeMs, Zxid: s.Zxid, Digest: digestText(s.Digest),
			Term: s.Term, Commit: s.CommitIndex, Applied: s.AppliedIndex, Lag: s.Lag, Leader: s.LeaderID, ContactMs: s.ContactMs,
			Sessions: s.Sessions, Connections: s.Connections, Watches: s.Watches, Nodes: s.Nodes,
			DataBytes: s.DataBytes, LogBytes: s.LogBytes, Disk: s.Disk,
		}
	}
	return v
}

func statusRow(m client.MemberStatus) []string {
	addr := m.ClientAddr
	if addr == "" {
		addr = m.PeerAddr
	}
	row := []string{strconv.FormatUint(m.ID, 10), dash(addr), m.Role}
	s := m.Status
	if s == nil {
		return append(row, "-", "-", "-", "-", "-", "-", "-", "-", dash(m.Version))
	}
	row = append(row, stateText(s))
	for _, n := range []int64{int64(s.Term), int64(s.AppliedIndex), s.Lag, s.Sessions, s.Connections, s.Nodes} {
		row = append(row, strconv.FormatInt(n, 10))
	}
	return append(row, digestText(s.Digest), m.Version)
}

// stateText is what an operator must know at once.
func stateText(s *client.ServerStatus) string {
	state := "ready"
	if !s.Ready {
		state = "not ready"
	}
	if s.Disk != "ok" {
		state += ", disk " + s.Disk
	}
	return state
}

func digestText(digest uint64) string { return fmt.Sprintf("%016x", digest) }

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// table prints rows in columns.
func (p printer) table(rows [][]string) error {
	var b strings.Builder
	align(&b, widen(nil, rows), rows)
	return p.text(b.String())
}
