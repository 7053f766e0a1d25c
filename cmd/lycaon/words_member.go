package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
)

const memberLong = `List the servers of the cluster and change who belongs to it, while it runs. Changes
want the superuser's identity, --auth or --admin-token before the command, and a
majority of the voters. Any server may be asked.

A server is added as an observer, which gets everything and has no vote; it is promoted
once status shows that it has caught up. One change at a time.`

func newMember(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "member",
		Short:   "List, add, remove, promote, demote and replace servers",
		Long:    memberLong,
		GroupID: groupServer,
	}
	return e.gather(cmd, newMemberList(e), newMemberAdd(e), newMemberRemove(e), newMemberPromote(e), newMemberDemote(e), newMemberReplace(e))
}

func newMemberList(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the servers, as the one that is asked knows them",
		Example: "  member list",
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			members, err := e.members(cmd.Context())
			if err != nil {
				return err
			}
			return e.printMembers(members)
		},
	}
}

// newMembers is member list in a word.
func newMembers(e *env) *cobra.Command {
	cmd := newMemberList(e)
	cmd.Use, cmd.Example, cmd.GroupID = "members", "  members", groupServer
	return cmd
}

func (e *env) members(ctx context.Context) ([]client.Member, error) {
	c, err := e.reader(ctx)
	if err != nil {
		return nil, err
	}
	return c.Members(ctx)
}

func (e *env) printMembers(members []client.Member) error {
	if e.out.structured() {
		all := []memberJSON{}
		for _, m := range members {
			all = append(all, memberValue(m))
		}
		return e.out.value(map[string]any{"members": all})
	}
	rows := [][]string{{"ID", "ROLE", "PEERS", "CLIENTS", "VERSION"}}
	for _, m := range members {
		rows = append(rows, []string{strconv.FormatUint(m.ID, 10), m.Role, dash(m.PeerAddr), dash(m.ClientAddr), dash(m.Version)})
	}
	return e.out.table(rows)
}

func newMemberAdd(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "add ID=HOST:PORT",
		Short: "Add a server, as an observer",
		Long: `Add a server that is not started yet, under an id that no member has, with the address
of its peer port. It becomes an observer; promote gives it a vote.`,
		Example: "  member add 4=10.0.0.4:2888",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, addr, err := parseMember(args[0], true)
			if err != nil {
				return err
			}
			if err := e.change(cmd.Context(), client.MemberChange{Action: client.AddMember, ID: id, Addr: addr}); err != nil {
				return err
			}
			return e.done(cmd.Context(), "server %d is a member now, an observer without a vote", id,
				e.start(cmd.Context(), id, addr),
				fmt.Sprintf("give it a vote once status shows lag 0: member promote %d", id))
		},
	}
}

func newMemberRemove(e *env) *cobra.Command {
	return asked(e, &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a server for good",
		Long: `Remove a server from the cluster. Its process stops by itself, and what is in its data
directory is of no more use. The leader may be removed, too: another one takes over.`,
		Example: "  member remove 3",
		Args:    exactArgs(1),
	}, client.RemoveMember, "remove server %d for good?", func(cmd *cobra.Command, id uint64, _ string) error {
		return e.done(cmd.Context(), "server %d is no member any more", id,
			"its process ends by itself; its data directory can be deleted")
	})
}

func newMemberPromote(e *env) *cobra.Command {
	return plain(e, &cobra.Command{
		Use:     "promote ID",
		Short:   "Give an observer a vote",
		Long:    "Give an observer a vote. It is refused while the observer has not caught up.",
		Example: "  member promote 4",
		Args:    exactArgs(1),
	}, client.PromoteMember, "server %d votes now")
}

func newMemberDemote(e *env) *cobra.Command {
	return plain(e, &cobra.Command{
		Use:     "demote ID",
		Short:   "Take a server's vote and leave it as an observer",
		Long:    "Take a server's vote and leave it as an observer, which still gets everything and serves clients.",
		Example: "  member demote 4",
		Args:    exactArgs(1),
	}, client.DemoteMember, "server %d has no vote any more and goes on as an observer")
}

func newMemberReplace(e *env) *cobra.Command {
	return asked(e, &cobra.Command{
		Use:   "replace ID[=HOST:PORT]",
		Short: "Let a server that lost its data come back under its id",
		Long: `Let a server whose data directory was lost or wiped come back under its id with an empty
one, at a new address if one is given. What it had voted and stored is gone, so it comes
back as an observer. Until then the cluster refuses a server that shows other data.`,
		Example: "  member replace 2\n  member replace 2=10.0.0.9:2888",
		Args:    exactArgs(1),
	}, client.ReplaceMember, "give up the data of server %d and let it start empty?", func(cmd *cobra.Command, id uint64, addr string) error {
		if addr == "" {
			addr = e.peerAddr(cmd.Context(), id)
		}
		return e.done(cmd.Context(), "server %d may start with an empty data directory", id, e.start(cmd.Context(), id, addr),
			fmt.Sprintf("give it its vote back once status shows lag 0: member promote %d", id))
	})
}

// plain is a change that can be taken back by another.
func plain(e *env, cmd *cobra.Command, action protocol.MemberAction, said string) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := parseID(args[0])
		if err != nil {
			return err
		}
		if err := e.change(cmd.Context(), client.MemberChange{Action: action, ID: id}); err != nil {
			return err
		}
		return e.done(cmd.Context(), said, id)
	}
	return cmd
}

// asked is a change that cannot be taken back: it asks first.
func asked(e *env, cmd *cobra.Command, action protocol.MemberAction, question string, then func(cmd *cobra.Command, id uint64, addr string) error) *cobra.Command {
	var yes bool
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, addr, err := parseMember(args[0], false)
		if err == nil && action != client.ReplaceMember {
			id, err = parseID(args[0])
		}
		if err != nil {
			return err
		}
		if !yes {
			if err := e.confirm(fmt.Sprintf(question, id)); err != nil {
				return err
			}
		}
		if err := e.change(cmd.Context(), client.MemberChange{Action: action, ID: id, Addr: addr}); err != nil {
			return err
		}
		return then(cmd, id, addr)
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// parseMember reads ID or ID=HOST:PORT.
func parseMember(text string, wantAddr bool) (id uint64, addr string, err error) {
	number, addr, given := strings.Cut(text, "=")
	id, err = strconv.ParseUint(number, 10, 64)
	switch {
	case wantAddr && (err != nil || addr == ""):
		return 0, "", usageError{fmt.Errorf("member %q: want ID=HOST:PORT, such as 4=10.0.0.4:2888", text)}
	case err != nil || given && addr == "":
		return 0, "", usageError{fmt.Errorf("member %q: want an id, as member list shows it", text)}
	}
	return id, addr, nil
}

// parseID reads the id of a member; 0 is nobody's.
func parseID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return 0, usageError{fmt.Errorf("member %q: want an id, as member list shows it", text)}
	}
	return id, nil
}

// change asks for a change of the members, with the identity that it wants.
func (e *env) change(ctx context.Context, c client.MemberChange) error {
	return e.administer(ctx, func(conn *client.Client) error { return conn.ChangeMember(ctx, c) })
}

// showsSuper is how a command is given the superuser's identity.
const showsSuper = "--admin-token DATA-DIR/admin.token or --auth digest:super:PASSWORD before the command shows it"

// administer runs what only the superuser may.
func (e *env) administer(ctx context.Context, do func(c *client.Client) error) error {
	e.defaultAdminToken(ctx)
	c, err := e.reader(ctx)
	if err != nil {
		return err
	}
	if err = do(c); errors.Is(err, client.ErrNoAuth) {
		return fmt.Errorf("%w; %s", err, showsSuper)
	}
	return err
}

// done says what is so now, and what to do next.
func (e *env) done(ctx context.Context, said string, id uint64, next ...string) error {
	if e.out.structured() {
		members, err := e.members(ctx)
		if err != nil {
			return err
		}
		return e.printMembers(members)
	}
	if err := e.out.line(said, id); err != nil {
		return err
	}
	for _, n := range next {
		if err := e.out.line("next: %s", n); err != nil {
			return err
		}
	}
	return nil
}

// start is how a server that was added or replaced is started.
func (e *env) start(ctx context.Context, id uint64, addr string) string {
	return fmt.Sprintf("start it with an empty data directory: lycaon serve --id %d --peer-addr %s --join %s --data-dir DIR", id, addr, e.doors(ctx, id))
}

// peerAddr is where the others dial a member.
func (e *env) peerAddr(ctx context.Context, id uint64) string {
	members, _ := e.members(ctx) // the change itself is done
	for _, m := range members {
		if m.ID == id && m.PeerAddr != "" {
			return m.PeerAddr
		}
	}
	return "H:P"
}

// doors are the peer addresses at which a server asks to be let in: those of
// the others.
func (e *env) doors(ctx context.Context, but uint64) string {
	members, err := e.members(ctx)
	if err != nil {
		return "H:P,H:P" // the change itself is done
	}
	members = slices.DeleteFunc(members, func(m client.Member) bool { return m.ID == but || m.PeerAddr == "" })
	var addrs []string
	for _, m := range members {
		addrs = append(addrs, m.PeerAddr)
	}
	return strings.Join(addrs, ",")
}
