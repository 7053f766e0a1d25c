package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
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
last heard, how much it watches, and its ephemeral nodes; or, for a while after, how it ended.
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
				if info, err = c.SessionInfo(cmd.Context(), id); err != nil {
					return err
				}
			}
			return e.printSession(info, p)
		},
	}
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

// place is where the client of a session is, as far as that may be told and is
// known.
type place struct {
	hidden bool // from who is not the superuser
	silent []uint64
	of     *client.LiveSession // nil if it is hidden or the session has ended
}

func (e *env) place(ctx context.Context, c *client.Client, id client.SessionID) (place, error) {
	if id == 0 {
		return place{}, nil
	}
	page, err := c.Sessions(ctx, client.SessionQuery{Session: uint64(id)})
	switch {
	case errors.Is(err, client.ErrNoAuth), errors.Is(err, client.ErrUnimplemented): // by a server of an older version
		return place{hidden: true}, nil
	case err != nil:
		return place{}, err
	case len(page.Sessions) == 0:
		return place{}, nil
	}
	return place{of: &page.Sessions[0], silent: page.Silent}, nil
}

// info is what SessionInfo would tell, by the same server at the same time; nil
// if it is not known.
func (p place) info() *client.SessionInfo {
	if p.of == nil {
		return nil
	}
	return &client.SessionInfo{ID: p.of.ID, Alive: true, TimeoutMs: p.of.TimeoutMs, Generation: p.of.Generation, Ephemerals: p.of.Ephemerals}
}

// text is the second half of a sentence about a session.
func (p place) text() string {
	switch {
	case p.hidden:
		return "where its client is only the superuser sees"
	case p.of == nil:
		return "it has just ended"
	case p.of.ServerID == 0 && len(p.silent) > 0:
		return fmt.Sprintf("not connected, unless to %s, of which there is no answer", serverNames(p.silent))
	case p.of.ServerID == 0:
		return "not connected"
	}
	return fmt.Sprintf("client %s at server %d", p.of.ClientAddr, p.of.ServerID)
}

func serverNames(ids []uint64) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = strconv.FormatUint(id, 10)
	}
	return "server " + strings.Join(names, " and ")
}

// ago words a time that has passed, as exactly as a person wants it.
func ago(ms int64) string {
	return fmt.Sprintf("%s ago", (time.Duration(ms) * time.Millisecond).Round(time.Second))
}

// placeJSON is what the server that holds a session tells of it.
type placeJSON struct {
	ServerID    uint64 `json:"serverId"`
	ClientAddr  string `json:"clientAddr"`
	ConnectedMs int64  `json:"connectedMs"`
	HeardMs     int64  `json:"heardMs"`
	Watches     int    `json:"watches"`
}

func (p place) value() *placeJSON {
	if p.of == nil || p.of.ServerID == 0 {
		return nil
	}
	return placeValue(p.of)
}

func (p place) paths() []string {
	if p.of == nil {
		return nil
	}
	return p.of.Paths
}

func placeValue(s *client.LiveSession) *placeJSON {
	return &placeJSON{ServerID: s.ServerID, ClientAddr: s.ClientAddr, ConnectedMs: s.ConnectedMs, HeardMs: s.HeardMs, Watches: s.Watches}
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

// endedJSON is that of one that has ended, or of which nothing is known.
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
		return e.out.value(aliveJSON{s.ID, true, s.TimeoutMs, s.Generation, s.Ephemerals, p.value(), p.paths()})
	}
	if err := e.out.line("session 0x%x: alive, timeout %s, connection number %d, %d ephemeral nodes",
		s.ID, time.Duration(s.TimeoutMs)*time.Millisecond, s.Generation, s.Ephemerals); err != nil {
		return err
	}
	where := p.text()
	if v := p.value(); v != nil {
		where = fmt.Sprintf("%s, connected %s, heard %s, %d watches", where, ago(v.ConnectedMs), ago(v.HeardMs), v.Watches)
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
	case s.EndedZxid == 0:
		return e.out.line("session 0x%x: never was, or ended too long ago", s.ID)
	}
	return e.out.line("session 0x%x: ended at zxid 0x%x, %s", s.ID, s.EndedZxid, s.Cause)
}

func newWhy(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "why ID",
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
			info, err := c.SessionInfo(cmd.Context(), id)
			if err != nil {
				return err
			}
			if !info.Alive && info.EndedZxid == 0 {
				return fmt.Errorf("why %s: %w", id, errNoSession)
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
	cmd.Flags().StringVar(&after, "after", "", "begin behind the session of this `ID`")
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
		s := &page.Sessions[i]
		if e.out.structured() {
			v := aliveJSON{ID: s.ID, Alive: true, TimeoutMs: s.TimeoutMs, Generation: s.Generation, Ephemerals: s.Ephemerals}
			if s.ServerID != 0 {
				v.placeJSON = placeValue(s)
			}
			if err := e.out.value(v); err != nil {
				return err
			}
			continue
		}
		row := []string{client.SessionID(s.ID).String(), (time.Duration(s.TimeoutMs) * time.Millisecond).String(), strconv.Itoa(s.Ephemerals)}
		if s.ServerID == 0 {
			row = append(row, "-", "-", "-", "-", "-")
		} else {
			row = append(row, strconv.FormatUint(s.ServerID, 10), s.ClientAddr, strconv.Itoa(s.Watches), ago(s.ConnectedMs), ago(s.HeardMs))
		}
		rows = append(rows, row)
	}
	if e.out.structured() {
		return nil
	}
	return e.out.table(rows)
}

func newKillSession(e *env) *cobra.Command {
	var yes bool
	var reason string
	cmd := &cobra.Command{
		Use:   "kill-session SESSION",
		Short: "End a session as if it had expired",
		Long: `End a session, with its ephemeral nodes, as if its timeout had passed. Its client hears
that it has expired, "killed by an administrator" and the reason; why tells the same
for a while. What the client then does is its own matter: a program that
opens a new session goes on in that one. The command asks first, and wants the
superuser's identity, --auth or --admin-token before it.`,
		Example: "  kill-session 0x1f\n  kill-session -y --reason 'host is gone' 0x1f",
		GroupID: groupOther,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseSession(args[0])
			if err != nil {
				return err
			}
			cause := "killed by an administrator"
			if reason != "" {
				cause += ": " + reason
			}
			return e.administer(cmd.Context(), func(c *client.Client) error {
				return e.kill(cmd.Context(), c, id, cause, yes)
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` that its client is told, too")
	return cmd
}

func (e *env) kill(ctx context.Context, c *client.Client, id client.SessionID, cause string, yes bool) error {
	if !yes {
		page, err := c.Sessions(ctx, client.SessionQuery{Session: uint64(id)})
		switch {
		case err != nil:
			return err
		case len(page.Sessions) == 0:
			return fmt.Errorf("kill-session %s: %w", id, errNoSession)
		}
		p := place{of: &page.Sessions[0], silent: page.Silent}
		if err := e.confirm(fmt.Sprintf("kill session %s with %d ephemeral nodes, %s?", id, p.of.Ephemerals, p.text())); err != nil {
			return err
		}
	}
	err := c.ExpireSession(ctx, id, cause)
	switch {
	case errors.Is(err, client.ErrSessionExpired):
		return fmt.Errorf("kill-session %s: %w", id, errNoSession)
	case err != nil:
		return err
	case e.out.structured():
		return e.out.value(map[string]any{"id": uint64(id), "cause": cause})
	}
	return e.out.line("session %s: ended, %s", id, cause)
}
