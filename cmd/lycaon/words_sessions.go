package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
)

const placeHelp = `Where the client of another session is, and which nodes it has, only the superuser
sees (--auth or --admin-token before the command); of one's own all is told.`

func newSession(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "session [SESSION]",
		Short: "Tell about a session: this one, or any by its id",
		Long: `Tell about the session of this shell, or about any by its id, 0x... or decimal: its
timeout, from where its client is connected to which server, since when, when it was
last heard, how much it watches, and its ephemeral nodes; or, for a while after, how it
ended. Of one that ended long ago, or never was, the exit code is 3.
` + placeHelp,
		Example: "  session\n  session 0x1f",
		GroupID: groupOther,
		Args:    maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, id, err := e.sessionArg(cmd, args)
			if err != nil {
				return err
			}
			p, err := e.place(cmd.Context(), c, id)
			if err != nil {
				return err
			}
			info := p.info()
			if info == nil {
				if info, err = known(cmd, c, id); err != nil {
					return err
				}
			}
			return e.printSession(info, p)
		},
	}
}

// known is what a server says of a session, of which it has to know something.
func known(cmd *cobra.Command, c *client.Client, id client.SessionID) (*client.SessionInfo, error) {
	info, err := c.SessionInfo(cmd.Context(), id)
	if err == nil && !info.Alive && info.EndedZxid == 0 {
		return nil, fmt.Errorf("%s %s: %w", cmd.Name(), id, errNoSession)
	}
	return info, err
}

func (e *env) sessionArg(cmd *cobra.Command, args []string) (*client.Client, client.SessionID, error) {
	if len(args) == 0 {
		c, err := e.session(cmd.Context())
		if err != nil {
			return nil, 0, err
		}
		return c, c.Session().ID(), nil
	}
	id, err := parseSession(args[0])
	if err != nil {
		return nil, 0, err
	}
	e.defaultAdminToken(cmd.Context())
	c, err := e.reader(cmd.Context())
	return c, id, err
}

func parseSession(text string) (client.SessionID, error) {
	id, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		return 0, usageError{fmt.Errorf("session id %q: want a number, 0x... or decimal", text)}
	}
	return client.SessionID(id), nil
}

// aliveJSON is the form of a live session in JSON output: without a place its
// client is connected nowhere, or that may not be told.
type aliveJSON struct {
	ID         uint64 `json:"id"`
	Alive      bool   `json:"alive"`
	TimeoutMs  int64  `json:"timeoutMs"`
	Generation uint64 `json:"generation"`
	Ephemerals int    `json:"ephemerals"`
	*placeJSON
	Paths []string `json:"paths,omitempty"`
}

func aliveValue(s *client.SessionInfo, p place) aliveJSON {
	return aliveJSON{s.ID, true, s.TimeoutMs, s.Generation, s.Ephemerals, p.value(), p.paths()}
}

// endedJSON is that of one that has ended.
type endedJSON struct {
	ID        uint64 `json:"id"`
	Alive     bool   `json:"alive"`
	Cause     string `json:"cause"`
	EndedZxid uint64 `json:"endedZxid"`
}

func (e *env) printSession(s *client.SessionInfo, p place) error {
	if !s.Alive {
		return e.printEnd(s)
	}
	if e.out.structured() {
		return e.out.value(aliveValue(s, p))
	}
	if err := e.out.line("session 0x%x: alive, timeout %s, connection number %d, %s",
		s.ID, msDuration(s.TimeoutMs), s.Generation, counted(s.Ephemerals, "ephemeral node")); err != nil {
		return err
	}
	where := p.text()
	if v := p.value(); v != nil {
		where = fmt.Sprintf("%s, connected %s, heard %s, %s", where, ago(v.ConnectedMs), ago(v.HeardMs), counted(v.Watches, "watch"))
	}
	if err := e.out.line("%s", where); err != nil {
		return err
	}
	return e.printPaths(p)
}

// printPaths lists what a session has, as far as it was told.
func (e *env) printPaths(p place) error {
	for _, path := range p.paths() {
		if err := e.out.line("  %s", path); err != nil {
			return err
		}
	}
	if paths := p.paths(); len(paths) > 0 && len(paths) < p.of.Ephemerals {
		return e.out.line("  and %d more", p.of.Ephemerals-len(paths))
	}
	return nil
}

func (e *env) printEnd(s *client.SessionInfo) error {
	switch {
	case e.out.structured():
		return e.out.value(endedJSON{ID: s.ID, Alive: s.Alive, Cause: s.Cause, EndedZxid: s.EndedZxid})
	case s.Alive:
		return e.out.line("session 0x%x: alive", s.ID)
	}
	return e.out.line("session 0x%x: ended at zxid 0x%x, %s", s.ID, s.EndedZxid, s.Cause)
}

func newWhy(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "why SESSION",
		Short: "Tell why a session ended",
		Long: `Tell why a session ended: its client closed it, nothing was heard of it for its
timeout, or an administrator killed it. The last 10000 that ended are remembered; of another
one, or one that never was, the exit code is 3.`,
		Example: "  why 0x1f",
		GroupID: groupOther,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseSession(args[0])
			if err != nil {
				return err
			}
			c, err := e.reader(cmd.Context())
			if err != nil {
				return err
			}
			info, err := known(cmd, c, id)
			if err != nil {
				return err
			}
			return e.printEnd(info)
		},
	}
}

var (
	errNoSession = errors.New("no such session, or it ended too long ago")
	errNotOwned  = errors.New("no session owns it: it is not ephemeral")
)

func newOwner(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "owner PATH",
		Short: "Tell whose session holds an ephemeral node",
		Long: `Tell the session that an ephemeral node ends with, where its client is, and since when
the node is there, by the clock of this machine. A node that belongs to no session
ends the command with exit code 3.
` + placeHelp,
		Example: "  owner /locks/backup/_c_6fd0-lock-0000000007",
		GroupID: groupOther,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			e.defaultAdminToken(ctx)
			c, err := e.reader(ctx)
			if err != nil {
				return err
			}
			st, err := c.Exists(ctx, args[0])
			switch {
			case err != nil:
				return err
			case st == nil:
				return fmt.Errorf("owner %s: %w", args[0], client.ErrNoNode)
			case st.Owner == 0:
				return fmt.Errorf("owner %s: %w", args[0], errNotOwned)
			}
			p, err := e.place(ctx, c, client.SessionID(st.Owner))
			if err != nil {
				return err
			}
			return e.printOwner(args[0], st, p)
		},
	}
}

// ownerJSON is the form of a node's owner in JSON output.
type ownerJSON struct {
	Path    string `json:"path"`
	Session uint64 `json:"session"`
	CtimeMs int64  `json:"ctimeMs"`
	*placeJSON
}

func (e *env) printOwner(path string, st *client.Stat, p place) error {
	if e.out.structured() {
		return e.out.value(ownerJSON{path, st.Owner, st.CtimeMs, p.value()})
	}
	held := max(time.Since(time.UnixMilli(st.CtimeMs)), 0).Milliseconds()
	return e.out.line("%s: session 0x%x since %s (%s), %s", path, st.Owner, timeText(st.CtimeMs), ago(held), p.text())
}

func newSessions(e *env) *cobra.Command {
	var after string
	var limit int
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List the live sessions and where their clients are",
		Long: `List the live sessions of the cluster by rising id, which is the order in which they
were opened. The list is that of the server that is asked, which asks the others for the
clients that they hold: SERVER has the connection from CLIENT, which was made and last
HEARD so long ago. Who has no server is connected nowhere and expires if it does not come
back. It wants the superuser's identity, --auth or --admin-token before the
command, since it tells where clients are.

At most --limit sessions are listed; a line on standard error says how to go on.`,
		Example: "  sessions\n  sessions -o json --limit 0\n  sessions --after 0x1f4",
		GroupID: groupOther,
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			from := client.SessionID(0)
			if after != "" {
				var err error
				if from, err = parseSession(after); err != nil {
					return err
				}
			}
			if limit < 0 {
				return usageError{fmt.Errorf("--limit %d: want 0 for all, or more", limit)}
			}
			return e.administer(cmd.Context(), func(c *client.Client) error {
				return e.listSessions(cmd.Context(), c, uint64(from), limit)
			})
		},
	}
	cmd.Flags().StringVar(&after, "after", "", "begin behind this `SESSION`")
	cmd.Flags().IntVarP(&limit, "limit", "n", sessionsListed, "list so many; 0 = all")
	return cmd
}

const sessionsListed = 1000

func (e *env) listSessions(ctx context.Context, c *client.Client, after uint64, limit int) error {
	for told := 0; ; {
		q := client.SessionQuery{After: after}
		if limit > 0 {
			q.Limit = limit - told
		}
		page, err := c.Sessions(ctx, q)
		if err != nil {
			return err
		}
		if err := e.printSessions(page, told == 0); err != nil {
			return err
		}
		if len(page.Silent) > 0 {
			fmt.Fprintf(e.errw, "lycaon: no answer of %s: what is connected there shows no client\n", serverNames(page.Silent))
		}
		told += len(page.Sessions)
		if !page.More || len(page.Sessions) == 0 {
			return nil
		}
		after = page.Sessions[len(page.Sessions)-1].ID
		if told == limit {
			fmt.Fprintf(e.errw, "lycaon: there are more: sessions --after 0x%x\n", after)
			return nil
		}
	}
}

func (e *env) printSessions(page *client.SessionPage, first bool) error {
	var rows [][]string
	if first {
		rows = append(rows, []string{"SESSION", "TIMEOUT", "EPHEMERALS", "SERVER", "CLIENT", "WATCHES", "CONNECTED", "HEARD"})
	}
	for i := range page.Sessions {
		p := place{of: &page.Sessions[i]}
		s := p.info()
		if e.out.structured() {
			if err := e.out.value(aliveValue(s, p)); err != nil {
				return err
			}
			continue
		}
		row := []string{client.SessionID(s.ID).String(), msDuration(s.TimeoutMs).String(), strconv.Itoa(s.Ephemerals)}
		if v := p.value(); v != nil {
			row = append(row, strconv.FormatUint(v.ServerID, 10), v.ClientAddr, strconv.Itoa(v.Watches), ago(v.ConnectedMs), ago(v.HeardMs))
		} else {
			row = append(row, "-", "-", "-", "-", "-")
		}
		rows = append(rows, row)
	}
	if e.out.structured() {
		return nil
	}
	return e.out.table(rows)
}
