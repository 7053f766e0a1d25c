package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

// The nodes of quotas: of /a the limits and what it takes are at
// /zookeeper/quota/a/zookeeper_limits and zookeeper_stats.
const (
	quotaNodes = systemNodes + "/quota"
	limitsName = "zookeeper_limits"
	statsName  = "zookeeper_stats"
)

// limitKinds are the four figures of a quota and their flags, as zkCli has them.
var limitKinds = []struct {
	flag, letter, what string
	of                 func(*znode.Limits) *int64
}{
	{"count", "n", "nodes, this one included", func(l *znode.Limits) *int64 { return &l.Count }},
	{"bytes", "b", "bytes of data", func(l *znode.Limits) *int64 { return &l.Bytes }},
	{"count-hard", "N", "nodes; more are refused", func(l *znode.Limits) *int64 { return &l.CountHard }},
	{"bytes-hard", "B", "bytes of data; more are refused", func(l *znode.Limits) *int64 { return &l.BytesHard }},
}

// errNoQuota is of a node that has none.
type errNoQuota string

func (e errNoQuota) Error() string { return "quota for " + string(e) + " does not exist" }
func (errNoQuota) Unwrap() error   { return client.ErrNoNode }

func newSetQuota(e *env) *cobra.Command {
	values := make([]int64, len(limitKinds))
	cmd := &cobra.Command{
		Use:   "setquota -n|-b|-N|-B VALUE PATH",
		Short: "Limit what a node and all below it may take",
		Long: `Limit the nodes, or the bytes of data, that a node and all below it may take. What
exceeds them is told in the leader's log and the metrics. What exceeds -N or -B is
refused with "quota exceeded" while the data of /zookeeper/quota is enforce=on,
which set it is for you to do: some older clients of ZooKeeper do not survive that
refusal, kazoo 2.8 for one. Limits that are not named stay; -1 is none.

A quota cannot be above or below another.`,
		Example: "  setquota -N 1000 /app\n  setquota -n 800 -b 1000000 /app",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set := func(l *znode.Limits) error {
				named := false
				for i, kind := range limitKinds {
					if !cmd.Flags().Changed(kind.flag) {
						continue
					}
					if named = true; values[i] < -1 {
						return usageError{fmt.Errorf("--%s %d: want a number, or -1 for no limit", kind.flag, values[i])}
					}
					*kind.of(l) = values[i]
				}
				if !named {
					return usageError{errors.New("setquota wants -n, -b, -N or -B")}
				}
				return nil
			}
			return e.setQuota(cmd.Context(), args[0], set)
		},
	}
	for i, kind := range limitKinds {
		cmd.Flags().Int64VarP(&values[i], kind.flag, kind.letter, -1, "at most `VALUE` "+kind.what)
	}
	return cmd
}

func (e *env) setQuota(ctx context.Context, path string, set func(*znode.Limits) error) error {
	limits := znode.NoLimits
	if err := set(&limits); err != nil { // what is wrong with the flags comes before any question
		return err
	}
	if err := mayHaveQuota(path); err != nil {
		return err
	}
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	if st, err := c.Exists(ctx, path); err != nil || st == nil {
		return errors.Join(err, absent("setquota", path, st))
	}
	now, old, err := quotaAt(ctx, c, path)
	if errors.Is(err, client.ErrNoNode) {
		err = aloneOnItsLine(ctx, c, path)
	} else if err == nil {
		limits = now
		err = set(&limits)
	}
	if err != nil {
		return err
	}
	if err := writeLimits(ctx, c, path, limits, old); err != nil {
		return err
	}
	return e.quotaSet(ctx, c, path, limits)
}

func mayHaveQuota(path string) error {
	if err := znode.ValidatePath(path); err != nil {
		return usageError{err}
	}
	if path == "/" || path == systemNodes || strings.HasPrefix(path, systemNodes+"/") {
		return usageError{fmt.Errorf("%s: there is no quota of the root, nor below %s", path, systemNodes)}
	}
	return nil
}

// quotaAt reads the limits of path, and the node that they are in.
func quotaAt(ctx context.Context, c *client.Client, path string) (znode.Limits, *client.Node, error) {
	node, err := c.Get(ctx, quotaNodes+path+"/"+limitsName)
	if errors.Is(err, client.ErrNoNode) {
		return znode.NoLimits, nil, errNoQuota(path)
	}
	if err != nil {
		return znode.NoLimits, nil, err
	}
	limits, err := znode.ParseLimits(node.Data)
	return limits, node, err
}

// quotaOnLineError is of a node that has another with a quota above or below it.
type quotaOnLineError struct{ path, other string }

func (e *quotaOnLineError) Error() string {
	where := map[string]string{"parent": "above", "child": "below"}[e.kin()]
	return fmt.Sprintf("setquota %s: %s %s it has a quota, and only the nearest would count", e.path, e.other, where)
}

// kin is what the other is to the node.
func (e *quotaOnLineError) kin() string {
	if strings.HasPrefix(e.other, e.path+"/") {
		return "child"
	}
	return "parent"
}

// aloneOnItsLine refuses a quota above or below another, of which only the
// nearest would count, as zkCli does.
func aloneOnItsLine(ctx context.Context, c *client.Client, path string) error {
	for up := znode.Parent(path); up != "/"; up = znode.Parent(up) {
		if _, _, err := quotaAt(ctx, c, up); err == nil {
			return &quotaOnLineError{path: path, other: up}
		} else if !errors.Is(err, client.ErrNoNode) {
			return err
		}
	}
	for node, err := range c.Walk(ctx, quotaNodes+path, client.KeysOnly()) {
		if errors.Is(err, client.ErrNoNode) {
			return nil
		}
		if err != nil {
			return err
		}
		if of, ok := strings.CutSuffix(strings.TrimPrefix(node.Path, quotaNodes), "/"+limitsName); ok && of != path {
			return &quotaOnLineError{path: path, other: of}
		}
	}
	return nil
}

// writeLimits makes both nodes of a quota, or changes the limits that were
// read.
func writeLimits(ctx context.Context, c *client.Client, path string, limits znode.Limits, old *client.Node) error {
	node := quotaNodes + path + "/" + limitsName
	change := client.OpCreate(node, []byte(limits.String()), client.Parents())
	if old != nil {
		change = client.OpSet(node, []byte(limits.String()), client.IfVersion(old.Stat.Version))
	}
	_, err := c.Multi(ctx, change, client.OpCreate(quotaNodes+path+"/"+statsName, nil, client.IfAbsent()))
	return err
}

// quotaSet warns of a limit that is exceeded already.
func (e *env) quotaSet(ctx context.Context, c *client.Client, path string, limits znode.Limits) error {
	q := znode.Quota{Path: path, Limits: limits}
	if err := usageOf(ctx, c, &q); err != nil {
		return err
	}
	if e.out.compat() {
		return e.zooWarnings(q)
	}
	if limit, bound, figure := q.Exceeded(); limit != "" {
		fmt.Fprintf(e.errw, "lycaon: %s has %d already, its %s is %d\n", path, figure, limit, bound)
	}
	if limits.CountHard >= 0 || limits.BytesHard >= 0 {
		switch node, err := c.Get(ctx, quotaNodes); {
		case err != nil:
			return err
		case string(node.Data) != znode.QuotasEnforced:
			fmt.Fprintf(e.errw, "lycaon: hard limits only warn until the data of %s is %s\n", quotaNodes, znode.QuotasEnforced)
		}
	}
	if e.out.structured() {
		return e.out.value(quotaValue(&q))
	}
	return nil
}

// usageOf reads what the node of a quota and all below it take.
func usageOf(ctx context.Context, c *client.Client, q *znode.Quota) error {
	stats, err := c.Get(ctx, quotaNodes+q.Path+"/"+statsName)
	if err != nil {
		return err
	}
	figures, err := znode.ParseLimits(stats.Data) // they read alike
	q.Count, q.Bytes = figures.Count, figures.Bytes
	return err
}

func quotaValue(q *znode.Quota) map[string]any {
	return map[string]any{
		"path":   q.Path,
		"limits": map[string]int64{"count": q.Limits.Count, "bytes": q.Limits.Bytes, "countHardLimit": q.CountHard, "byteHardLimit": q.BytesHard},
		"stats":  map[string]int64{"count": q.Count, "bytes": q.Bytes},
	}
}

func newListQuota(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "listquota PATH",
		Short:   "Show the quota of a node and what it takes",
		Example: "  listquota /app",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if err := mayHaveQuota(args[0]); err != nil {
				return err
			}
			c, err := e.reader(ctx)
			if err != nil {
				return err
			}
			if e.out.compat() {
				fmt.Fprintf(e.errw, "absolute path is %s%s/%s\n", quotaNodes, args[0], limitsName)
			}
			limits, _, err := quotaAt(ctx, c, args[0])
			if e.out.compat() && errors.Is(err, client.ErrNoNode) {
				fmt.Fprintf(e.errw, "quota for %s does not exist.\n", args[0])
				return nil
			}
			if err != nil {
				return err
			}
			q := znode.Quota{Path: args[0], Limits: limits}
			if err := usageOf(ctx, c, &q); err != nil {
				return err
			}
			if e.out.structured() {
				return e.out.value(quotaValue(&q))
			}
			return e.out.line("Output quota for %s %s\nOutput stat for %s count=%d,bytes=%d", q.Path, limits, q.Path, q.Count, q.Bytes)
		},
	}
}

func newDelQuota(e *env) *cobra.Command {
	drop := make([]bool, len(limitKinds))
	cmd := &cobra.Command{
		Use:     "delquota [-n|-b|-N|-B] PATH",
		Short:   "Take a quota away, or one of its limits",
		Example: "  delquota /app\n  delquota -N /app",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, path := cmd.Context(), args[0]
			if err := mayHaveQuota(path); err != nil {
				return err
			}
			c, err := e.session(ctx)
			if err != nil {
				return err
			}
			limits, old, err := quotaAt(ctx, c, path)
			if e.out.compat() && errors.Is(err, client.ErrNoNode) {
				return e.out.line("Quota does not exist for %s", path)
			}
			if err != nil {
				return err
			}
			if !slices.Contains(drop, true) {
				return deleteQuota(ctx, c, path)
			}
			for i, kind := range limitKinds {
				if drop[i] {
					*kind.of(&limits) = -1
				}
			}
			return writeLimits(ctx, c, path, limits, old)
		},
	}
	for i, kind := range limitKinds {
		cmd.Flags().BoolVarP(&drop[i], kind.flag, kind.letter, false, "only the limit on "+kind.what)
	}
	return cmd
}

// deleteQuota deletes both nodes, and those above that were for them alone.
func deleteQuota(ctx context.Context, c *client.Client, path string) error {
	if err := c.Delete(ctx, quotaNodes+path+"/"+limitsName); err != nil {
		return err
	}
	if err := c.Delete(ctx, quotaNodes+path+"/"+statsName); err != nil && !errors.Is(err, client.ErrNoNode) {
		return err
	}
	for ; path != "/"; path = znode.Parent(path) {
		err := c.Delete(ctx, quotaNodes+path)
		if errors.Is(err, client.ErrNotEmpty) || errors.Is(err, client.ErrNoNode) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
