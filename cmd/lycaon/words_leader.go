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
			members, err := e.members(cmd.Context())
			if err != nil {
				return err
			}
			former := leaderOf(members)
			if err := e.administer(cmd.Context(), func(c *client.Client) error { return c.TransferLeader(cmd.Context(), id) }); err != nil {
				return err
			}
			return e.printLeader(cmd.Context(), func(leader uint64) bool { return leader == id || id == 0 && leader != former })
		},
	}
}

// leaderWithin is how long the server that is asked may take to hear who leads.
// Tests have more patience.
var leaderWithin = 3 * time.Second

const leaderPause = 20 * time.Millisecond

// printLeader says who leads, as soon as the server that is asked has heard of
// one that was to be, or of whom it has heard after a while: others may have been
// elected since.
func (e *env) printLeader(ctx context.Context, wanted func(leader uint64) bool) error {
	for end := time.Now().Add(leaderWithin); ; time.Sleep(leaderPause) {
		members, err := e.members(ctx)
		if err != nil {
			return err
		}
		leader, late := leaderOf(members), time.Now().After(end)
		switch {
		case leader == 0 && late:
			return fmt.Errorf("leadership was handed over, and the server that was asked has not heard to whom")
		case leader == 0 || !wanted(leader) && !late:
			continue
		case e.out.structured():
			return e.out.value(map[string]uint64{"leader": leader})
		}
		return e.out.line("server %d leads", leader)
	}
}

// leaderOf is 0 where nobody is known to lead.
func leaderOf(members []client.Member) uint64 {
	for _, m := range members {
		if m.Role == "leader" {
			return m.ID
		}
	}
	return 0
}
