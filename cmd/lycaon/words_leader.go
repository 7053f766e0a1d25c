package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
)

func newTransferLeader(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "transfer-leader [ID]",
		Short: "Hand leadership to another server",
		Long: `Hand leadership to the server ID, or to any voter that has caught up. Clients notice no
more than a short wait. A server that is stopped does so by itself.`,
		Example: "  transfer-leader\n  transfer-leader 2",
		GroupID: groupServer,
		Args:    maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := uint64(0)
			if len(args) > 0 {
				var err error
				if id, err = parseID(args[0]); err != nil {
					return err
				}
			}
			if err := e.administer(cmd.Context(), func(c *client.Client) error { return c.TransferLeader(cmd.Context(), id) }); err != nil {
				return err
			}
			return e.printLeader(cmd.Context())
		},
	}
}

// leaderWithin is how long the server that is asked may take to hear who leads.
const (
	leaderWithin = 3 * time.Second
	leaderPause  = 20 * time.Millisecond
)

// printLeader says who leads, as soon as the server that is asked has heard.
func (e *env) printLeader(ctx context.Context) error {
	for end := time.Now().Add(leaderWithin); ; time.Sleep(leaderPause) {
		members, err := e.members(ctx)
		if err != nil {
			return err
		}
		for _, m := range members {
			switch {
			case m.Role != "leader":
			case e.out.structured():
				return e.out.value(map[string]uint64{"leader": m.ID})
			default:
				return e.out.line("server %d leads", m.ID)
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("leadership was handed over, and the server that was asked has not heard to whom")
		}
	}
}
