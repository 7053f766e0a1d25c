package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
)

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
