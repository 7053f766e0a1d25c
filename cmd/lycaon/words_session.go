package main

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
)

func newAddAuth(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "addauth SCHEME DATA",
		Short: "Add an identity to this connection",
		Long: `Add an identity to this connection: digest USER:PASSWORD. It stays when the shell has
to open a new session. One-shot commands take it as --auth digest:USER:PASSWORD.`,
		Example: "  addauth digest ann:secret",
		GroupID: groupOther,
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			text := args[0] + ":" + args[1]
			cred, err := parseAuth(text)
			if err != nil {
				return err
			}
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			if err := c.AddAuth(cmd.Context(), cred); err != nil {
				return err
			}
			if !slices.Contains(e.target.auth, text) {
				e.target.auth = append(e.target.auth, text)
			}
			return nil
		},
	}
}

func newWhoAmI(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "whoami",
		Short:   "List the identities of this connection",
		GroupID: groupOther,
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.reader(cmd.Context())
			if err != nil {
				return err
			}
			ids, err := c.WhoAmI(cmd.Context())
			if err != nil {
				return err
			}
			if e.out.structured() {
				list := []map[string]string{}
				for _, id := range ids {
					list = append(list, map[string]string{"scheme": id.Scheme, "id": id.ID})
				}
				return e.out.value(list)
			}
			if err := e.out.line("Auth scheme: User"); err != nil {
				return err
			}
			for _, id := range ids {
				if err := e.out.line("%s: %s", id.Scheme, id.ID); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func newSync(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "sync [PATH]",
		Short: "Wait until this server has seen all that was written before",
		Long: `Wait until the server that holds the connection has applied everything that was
acknowledged to anyone before. PATH is taken as ZooKeeper's shell does and has no
influence.`,
		GroupID: groupOther,
		Args:    maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.reader(cmd.Context())
			if err != nil {
				return err
			}
			zxid, err := c.Barrier(cmd.Context())
			if err != nil {
				return err
			}
			if e.out.structured() {
				return e.out.value(map[string]uint64{"zxid": zxid})
			}
			return e.out.line("Sync is OK")
		},
	}
}

func newEphemerals(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "getEphemerals [PREFIX]",
		Short:   "List the ephemeral nodes of this session",
		GroupID: groupOther,
		Args:    maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			prefix := "/"
			if len(args) > 0 {
				prefix = args[0]
			}
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			paths, err := c.Ephemerals(cmd.Context(), prefix)
			if err != nil {
				return err
			}
			return e.out.names(paths)
		},
	}
}

func newSession(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "session [ID]",
		Short: "Tell about a session: this one, or any by its id",
		Long: `Tell about the session of this shell, or about any by its id, 0x... or decimal: its
timeout and ephemeral nodes while it lives, and how it ended for a while after.`,
		Example: "  session\n  session 0x1f",
		GroupID: groupOther,
		Args:    maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, id, err := e.sessionArg(cmd, args)
			if err != nil {
				return err
			}
			info, err := c.SessionInfo(cmd.Context(), id)
			if err != nil {
				return err
			}
			return e.printSession(info)
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
	id, err := strconv.ParseUint(args[0], 0, 64)
	if err != nil {
		return nil, 0, usageError{fmt.Errorf("session id %q: want a number, 0x... or decimal", args[0])}
	}
	c, err := e.reader(cmd.Context())
	return c, client.SessionID(id), err
}

func (e *env) printSession(s *client.SessionInfo) error {
	if e.out.structured() {
		v := map[string]any{"id": s.ID, "alive": s.Alive}
		if s.Alive {
			v["timeoutMs"], v["generation"], v["ephemerals"] = s.TimeoutMs, s.Generation, s.Ephemerals
		} else {
			v["cause"], v["endedZxid"] = s.Cause, s.EndedZxid
		}
		return e.out.value(v)
	}
	if !s.Alive && s.EndedZxid == 0 {
		return e.out.line("session 0x%x: never was, or ended too long ago", s.ID)
	}
	if s.Alive {
		return e.out.line("session 0x%x: alive, timeout %s, connection number %d, %d ephemeral nodes",
			s.ID, time.Duration(s.TimeoutMs)*time.Millisecond, s.Generation, s.Ephemerals)
	}
	return e.out.line("session 0x%x: ended at zxid 0x%x, %s", s.ID, s.EndedZxid, s.Cause)
}
