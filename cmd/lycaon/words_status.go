package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
)

func newStatus(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell how every server of the cluster does",
		Long: `Ask one server, which asks all the others, and print a line for each. It works without
a quorum; a server that does not answer is unreachable.

ROLE is leader, follower, observer (has no vote), candidate or unreachable. STATE says
whether clients are served. LAG is how many committed entries of the log are not applied
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
	if e.out.json {
		all := []map[string]any{}
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
			if err := e.out.line("server %d does not answer: %s", m.ID, m.Error); err != nil {
				return err
			}
		}
	}
	return nil
}

func statusValue(m client.MemberStatus) map[string]any {
	v := map[string]any{"id": m.ID, "role": m.Role, "peerAddr": m.PeerAddr, "clientAddr": m.ClientAddr, "version": m.Version}
	s := m.Status
	if s == nil {
		v["error"] = m.Error
		return v
	}
	for key, value := range map[string]any{
		"ready": s.Ready, "uptimeMs": s.UptimeMs, "zxid": s.Zxid, "term": s.Term, "commitIndex": s.CommitIndex,
		"appliedIndex": s.AppliedIndex, "lag": s.Lag, "leaderId": s.LeaderID, "contactMs": s.ContactMs,
		"sessions": s.Sessions, "connections": s.Connections, "watches": s.Watches, "nodes": s.Nodes,
		"dataBytes": s.DataBytes, "logBytes": s.LogBytes, "digest": digestText(s.Digest), "disk": s.Disk,
	} {
		v[key] = value
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
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}
