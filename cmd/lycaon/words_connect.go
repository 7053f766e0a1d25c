package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// errNotConnected is of a command behind close.
var errNotConnected = errors.New("not connected: close has ended the session, and connect opens a new one")

func newConnect(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "connect [SERVERS]",
		Short: "End the session and open a new one, here or at other servers",
		Long: `End the session, if there is one, and open a new one, at the SERVERS H:P[,H:P...][/CHROOT]
or at those of before. Ephemeral nodes and watches end with the session that has made them;
the identities of addauth are shown again.`,
		Example: "  connect\n  connect 10.0.0.1:2181,10.0.0.2:2181/app",
		GroupID: groupOther,
		Args:    maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := e.wantsShell("connect is for the shell; before a command on its own -s H:P names the servers"); err != nil {
				return err
			}
			if len(args) > 0 {
				elsewhere := e.target
				elsewhere.server = args[0]
				if _, _, err := elsewhere.hosts(); err != nil { // before a session is given up for it
					return err
				}
				e.target.server = args[0]
			}
			e.close()
			e.closed = false
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			if e.out.structured() {
				return e.out.value(map[string]any{"server": e.target.server, "session": c.Session().ID()})
			}
			if e.out.compat() {
				return nil
			}
			return e.out.line("connected to %s, session %s", e.target.server, c.Session().ID())
		},
	}
}

func newClose(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "close",
		Short:   "End the session; connect opens a new one",
		Long:    "End the session, and with it its ephemeral nodes and watches. The shell stays:\nconnect opens a new session.",
		Example: "  close",
		GroupID: groupOther,
		Args:    exactArgs(0),
		RunE: func(*cobra.Command, []string) error {
			if err := e.wantsShell("close is for the shell; the session of a command on its own ends with it"); err != nil {
				return err
			}
			if e.closed {
				return errNotConnected
			}
			e.close()
			e.closed = true
			return nil
		},
	}
}
