package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol/jute"
)

const (
	catchUpWithin = 30 * time.Second       // a server that joins with a vote
	catchUpRetry  = 200 * time.Millisecond // of its promotion
	publishWithin = 20 * time.Second       // the changed membership, in the tree
	maxConfigFile = 1 << 20
)

// reconfiguration is what the flags of reconfig ask for.
type reconfiguration struct {
	add, remove, members, file, version string
	stat                                bool
}

func newReconfig(e *env) *cobra.Command {
	var r reconfiguration
	cmd := &cobra.Command{
		Use:   "reconfig -add SERVERS | -remove IDS | -members SERVERS | -file FILE",
		Short: "Change who belongs to the cluster, in ZooKeeper's words",
		Long: `Change who belongs to the cluster, in ZooKeeper's words; member does it one server at a
time, and tells more. SERVERS are ID=HOST:PORT:PORT[:participant|observer][;CLIENT] with
commas between, of which the first port is that of the peers. It wants the superuser's
identity, and asks nothing.

Who leaves goes first. A server that joins is added as an observer, and gets its vote
when it has caught up; start it, with --join, meanwhile. -members and -file name all
servers: others leave. What was done when it fails stays, and the same words go on.`,
		Example:            "  reconfig -add 4=10.0.0.4:2888:2889\n  reconfig -remove 3 -add 5=10.0.0.5:2888:2889:observer",
		GroupID:            groupServer,
		DisableFlagParsing: true, // for the flags of ZooKeeper, which have one dash
	}
	f := cmd.Flags()
	f.StringVar(&r.add, "add", "", "`SERVERS` that join")
	f.StringVar(&r.remove, "remove", "", "`IDS` that leave, with commas between")
	f.StringVar(&r.members, "members", "", "all `SERVERS` that there are to be")
	f.StringVar(&r.file, "file", "", "a `FILE` with them, a line server.ID=... each")
	f.StringVarP(&r.version, "version", "v", "", "only if the configuration has this version, in `HEX`")
	f.BoolVarP(&r.stat, "stat", "s", false, "print the stat of the configuration too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args, err := parseZooFlags(cmd, args); err != nil || args == nil {
			return err
		}
		return e.reconfig(cmd.Context(), &r)
	}
	return cmd
}

// parseZooFlags parses the flags of a command that has ZooKeeper's long ones with
// one dash. The rest is nil if only help was asked for.
func parseZooFlags(cmd *cobra.Command, args []string) (rest []string, err error) {
	args = slices.Clone(args)
	for i, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		if len(name) > 2 && name[0] == '-' && cmd.Flags().Lookup(name[1:]) != nil {
			args[i] = "-" + arg
		}
	}
	cmd.DisableFlagParsing = false
	if err := cmd.ParseFlags(args); err != nil {
		return nil, flagError(cmd, err)
	}
	if help, err := cmd.Flags().GetBool("help"); err != nil || help {
		return nil, errors.Join(err, cmd.Help())
	}
	rest = append([]string{}, cmd.Flags().Args()...)
	return rest, exactArgs(0)(cmd, rest)
}

func (e *env) reconfig(ctx context.Context, r *reconfiguration) error {
	if err := r.check(); err != nil {
		return err
	}
	e.defaultAdminToken(ctx)
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	before, err := c.Get(ctx, configNode)
	if err != nil {
		return err
	}
	if version := parseConfig(before.Data).version; r.version != "" && !sameHex(r.version, version) {
		return &client.Error{Op: "reconfig", Path: configNode, Err: client.ErrBadVersion}
	}
	changes, err := r.changes(ctx, c)
	if err != nil {
		return err
	}
	for _, change := range changes {
		if err := e.administer(ctx, func(c *client.Client) error { return changeMember(ctx, c, change) }); err != nil {
			return err
		}
	}
	now, err := configuration(ctx, c)
	if err != nil {
		return err
	}
	return e.printReconfigured(now, r.stat)
}

func sameHex(a, b string) bool {
	x, errX := strconv.ParseUint(a, 16, 64)
	y, errY := strconv.ParseUint("0"+b, 16, 64)
	return errX == nil && errY == nil && x == y
}

// check is what can be said without a server.
func (r *reconfiguration) check() error {
	given := func(s string) int { return min(len(s), 1) }
	whole := given(r.members) + given(r.file)
	if whole > 1 || whole > 0 && r.add+r.remove != "" || whole == 0 && r.add+r.remove == "" {
		return usageError{errors.New("reconfig wants -add or -remove or both, or one of -members and -file")}
	}
	if _, err := strconv.ParseUint(r.version, 16, 64); r.version != "" && err != nil {
		return usageError{fmt.Errorf("-v %q: want the version of the configuration, in hex", r.version)}
	}
	if r.file == "" {
		return nil
	}
	text, err := readSome(r.file)
	if err != nil {
		return usageError{fmt.Errorf("-file: %w", err)}
	}
	if r.members = strings.Join(parseConfig(text).servers, ","); r.members == "" {
		return usageError{fmt.Errorf("-file %s: no line of it begins with server.ID=", r.file)}
	}
	return nil
}

func readSome(file string) ([]byte, error) {
	if info, err := os.Stat(file); err == nil && info.Size() > maxConfigFile {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", file, info.Size(), maxConfigFile)
	}
	return os.ReadFile(file)
}

// changes are those that are left to do.
func (r *reconfiguration) changes(ctx context.Context, c *client.Client) ([]client.MemberChange, error) {
	members, err := c.Members(ctx)
	if err != nil {
		return nil, err
	}
	asked := jute.Reconfig{Joining: r.add, Leaving: r.remove}
	if r.members != "" {
		asked = jute.Reconfig{Joining: r.members, Leaving: strings.Join(others(members, r.members), ",")}
	}
	changes, err := asked.Changes(members)
	if err != nil {
		return nil, usageError{err}
	}
	return slices.DeleteFunc(changes, func(change client.MemberChange) bool { return isSo(change, members) }), nil
}

// others are the ids of the members that a list of servers does not name.
func others(members []client.Member, servers string) (ids []string) {
	named := map[uint64]bool{}
	for server := range strings.SplitSeq(servers, ",") {
		text, _, _ := strings.Cut(server, "=")
		if id, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(text), "server."), 10, 64); err == nil {
			named[id] = true // what is no id is refused as one that joins
		}
	}
	for _, m := range members {
		if !named[m.ID] {
			ids = append(ids, strconv.FormatUint(m.ID, 10))
		}
	}
	return ids
}

// isSo is of a vote that the member has, or has not, already.
func isSo(change client.MemberChange, members []client.Member) bool {
	return slices.ContainsFunc(members, func(m client.Member) bool {
		votes := m.Role == "leader" || m.Role == "follower"
		return m.ID == change.ID && (change.Action == client.PromoteMember && votes || change.Action == client.DemoteMember && m.Role == "observer")
	})
}

// changeMember makes a change. A promotion waits for its server to catch up.
func changeMember(ctx context.Context, c *client.Client, change client.MemberChange) error {
	late := time.After(catchUpWithin)
	for {
		err := c.ChangeMember(ctx, change)
		if change.Action != client.PromoteMember || !errors.Is(err, client.ErrBadArguments) {
			return err
		}
		select {
		case <-late:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(catchUpRetry):
		}
	}
}

func (e *env) printReconfigured(node *client.Node, stat bool) error {
	if !e.out.structured() {
		if err := e.out.line("Committed new configuration:"); err != nil {
			return err
		}
	}
	return e.printConfig(node, false, stat)
}

// configuration waits for the tree to name the members as they are, which it does
// soon after a change.
func configuration(ctx context.Context, c *client.Client) (*client.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	w, err := c.Watch(ctx, configNode)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	for {
		members, err := c.Members(ctx)
		if err != nil {
			return nil, err
		}
		node, err := c.Get(ctx, configNode)
		if err != nil || names(parseConfig(node.Data), members) {
			return node, err
		}
		if _, err := w.Next(ctx); err != nil {
			return nil, fmt.Errorf("the members have changed, and %s does not show it yet: %w", configNode, err)
		}
	}
}

// names tells whether a configuration has these members and their votes, as far as
// they are known. One that is empty is that of a server alone.
func names(conf dynamicConfig, members []client.Member) bool {
	if len(conf.servers) == 0 {
		return len(members) == 1
	}
	return len(conf.servers) == len(members) && !slices.ContainsFunc(members, func(m client.Member) bool {
		at := slices.IndexFunc(conf.servers, func(line string) bool { return strings.HasPrefix(line, fmt.Sprintf("server.%d=", m.ID)) })
		return at < 0 || m.Role != "unreachable" && strings.Contains(conf.servers[at], ":observer") != (m.Role == "observer")
	})
}
