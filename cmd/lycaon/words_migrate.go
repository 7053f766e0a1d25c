package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/migrate"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/zkclient"
	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/znode"
)

func newMigrate(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "migrate",
		Short:   "Move a live tree here from another service",
		GroupID: groupServer,
	}
	return e.gather(cmd, newMigrateZooKeeper(e))
}

// migration is what the command line says of one.
type migration struct {
	from, fromAuth []string
	to             string
	resume, once   bool
	idle, pause    time.Duration
}

const migrateHelp = `Copy the node PATH and all below it from a running ZooKeeper (3.4 or newer), which
may be written meanwhile: data, ACLs and sequence counters. The tree is walked again
and again, and what has changed since the walk before is copied, deletions
included, until it is time to cut over:

  stop the writers, then press Enter        on a terminal
  --cut-over-when-idle 30s                  once nothing has changed for so long
  --once                                    at once: nobody writes

Then what is left is copied, and every node is compared on both sides. Each
difference is listed, and the exit code is 0 only if there is none. After an error
or an interruption run it again with --resume. Without it nothing may be below
PATH at the target; with it, what is there counts as a copy begun earlier, and what
the source does not have is deleted.

Not copied: ephemeral nodes, which belong to sessions (clients make them anew);
/zookeeper, save the quotas of what is copied; versions and times of nodes, which
begin anew. Container and TTL nodes cannot be told from others by a client of
ZooKeeper and become persistent.

Each node must be readable. Hashed passwords in ACLs are shown only to who has ADMIN
on the node, so as a rule the superuser of the ZooKeeper is named by --from-auth. The
target wants its own superuser: --auth or --admin-token before the command, as
for snapshot save.`

func newMigrateZooKeeper(e *env) *cobra.Command {
	var m migration
	cmd := &cobra.Command{
		Use:   "zookeeper --from H:P[,H:P...] PATH",
		Short: "Copy a tree from a running ZooKeeper",
		Long:  migrateHelp,
		Example: `  lycaon --admin-token /var/lib/lycaon/admin.token migrate zookeeper \
    --from zk1:2181,zk2:2181 --from-auth digest:super:PASSWORD --to lycaon1:2181 /`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.migrateZooKeeper(cmd.Context(), &m, args[0])
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&m.from, "from", nil, "servers of the ZooKeeper, `H:P[,H:P...]`")
	f.StringVar(&m.to, "to", "", "servers of the target, `H:P[,H:P...]`, in place of --server")
	f.StringArrayVar(&m.fromAuth, "from-auth", nil, "identity at the ZooKeeper, as `SCHEME:AUTH`, such as digest:USER:PASSWORD; may be repeated")
	f.BoolVar(&m.resume, "resume", false, "go on with a copy begun earlier: overwrite and delete what differs at the target")
	f.BoolVar(&m.once, "once", false, "walk the tree once and compare: nobody writes")
	f.DurationVar(&m.idle, "cut-over-when-idle", 0, "cut over once nothing has changed for `TIME`")
	f.DurationVar(&m.pause, "pause", time.Second, "`TIME` between two walks")
	exclusive(cmd, []string{"once", "cut-over-when-idle"})
	return cmd
}

func (e *env) migrateZooKeeper(ctx context.Context, m *migration, path string) error {
	if err := m.check(path); err != nil {
		return err
	}
	if m.to != "" {
		e.target.server = m.to
	}
	if strings.Contains(e.target.server, "/") {
		return usageError{errors.New("the target takes no chroot: PATH is the same on both sides")}
	}
	cutOver, err := e.cutOver(m)
	if err != nil {
		return err
	}
	src, dst, err := e.bothSides(ctx, m)
	if err != nil {
		return err
	}
	defer src.zk.Close()
	bar := e.progress("looking at")
	copier := migrate.NewCopier(src, dst, path, func(n int) { bar.Add(n) })
	start := time.Now()
	total, err := copier.Run(ctx, migrate.Options{
		Resume: m.resume, Once: m.once, CutOver: cutOver, Idle: m.idle, Pause: m.pause,
		Passed: func(number int, p migrate.Pass) { e.passed(bar, m, number, p) },
	})
	bar.Finish()
	switch {
	case errors.Is(err, client.ErrNoAuth):
		return fmt.Errorf("%w; the target wants its superuser: --admin-token DATA-DIR/admin.token or --auth before the command", err)
	case errors.Is(err, migrate.ErrNotEmpty):
		return fmt.Errorf("%w; --resume goes on with a copy begun earlier", err)
	case errors.Is(err, client.ErrNoNode) && total.Passes <= 1:
		return err // nothing was begun
	case err != nil:
		return fmt.Errorf("after walk %d: %w; run it again with --resume", total.Passes, err)
	}
	return e.migrated(m, path, &total, copier.Problems(), time.Since(start))
}

func (m *migration) check(path string) error {
	if len(m.from) == 0 {
		return usageError{errors.New("migrate zookeeper wants --from H:P[,H:P...]")}
	}
	for _, addr := range m.from {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || !isPort(port) {
			return usageError{fmt.Errorf("--from %q: want HOST:PORT, without a chroot", addr)}
		}
	}
	if err := znode.ValidatePath(path); err != nil {
		return usageError{err}
	}
	if path == systemNodes || strings.HasPrefix(path, systemNodes+"/") {
		return usageError{fmt.Errorf("%s holds nodes that each service makes for itself; the quotas of what is copied come along", systemNodes)}
	}
	if m.idle < 0 || m.pause <= 0 {
		return usageError{errors.New("--cut-over-when-idle and --pause want a time above zero")}
	}
	return nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// cutOver is closed when the person at the terminal says so; nil if nobody can.
func (e *env) cutOver(m *migration) (<-chan struct{}, error) {
	if m.once {
		return nil, nil
	}
	ask := e.askTerminal()
	if ask == nil {
		if m.idle == 0 {
			return nil, usageError{errors.New("without a terminal to say when to cut over, one of --once and --cut-over-when-idle TIME is needed")}
		}
		return nil, nil
	}
	said := make(chan struct{})
	go func() { // ends with the process at the latest: a terminal cannot be read with a deadline
		if _, err := ask("stop the writers, then press Enter to cut over\n"); err != io.EOF {
			close(said)
		}
	}()
	return said, nil
}

// patience is how long a request to the target waits at least: a new leader may
// have to be elected.
const patience = time.Minute

func (e *env) bothSides(ctx context.Context, m *migration) (*zooKeeperSide, *lycaonSide, error) {
	cfg := zkclient.Config{Servers: m.from}
	for _, a := range m.fromAuth {
		scheme, data, ok := strings.Cut(a, ":")
		if !ok || scheme == "" {
			return nil, nil, usageError{errors.New("--from-auth wants SCHEME:AUTH, such as digest:USER:PASSWORD")}
		}
		cfg.Auth = append(cfg.Auth, jute.Auth{Scheme: scheme, Data: []byte(data)})
	}
	e.defaultAdminToken(ctx)
	e.target.timeout = max(e.target.timeout, patience)
	c, err := e.session(ctx)
	if err != nil {
		return nil, nil, err
	}
	first, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	zk, err := zkclient.Open(first, cfg)
	if err != nil {
		return nil, nil, err
	}
	return &zooKeeperSide{zk}, &lycaonSide{c}, nil
}

// passed tells of one walk, if there is something to tell.
func (e *env) passed(bar *progress, m *migration, number int, p migrate.Pass) {
	if p.Created+p.Changed+p.Deleted == 0 && number > 1 {
		return
	}
	bar.Clear()
	fmt.Fprintf(e.errw, "walk %d: %d nodes; %d created, %d changed, %d deleted, %d left out\n",
		number, p.Looked, p.Created, p.Changed, p.Deleted, p.Ephemerals+p.Problems)
}

// migrated says what was moved, and every difference.
func (e *env) migrated(m *migration, path string, total *migrate.Total, problems []migrate.Problem, took time.Duration) error {
	v, from := &total.Verdict, strings.Join(m.from, ",")
	for _, p := range problems {
		fmt.Fprintf(e.errw, "not copied %q: %s\n", p.Path, p.Reason)
	}
	for _, d := range v.Differences {
		fmt.Fprintf(e.errw, "differs %q: it %s\n", d.Path, d.What)
	}
	if more := v.Different - len(v.Differences); more > 0 {
		fmt.Fprintf(e.errw, "and %d more differences\n", more)
	}
	if err := e.printMigrated(path, from, total, problems, took); err != nil {
		return err
	}
	if v.Different > 0 || len(problems) > 0 {
		return errQuiet
	}
	return nil
}

func (e *env) printMigrated(path, from string, total *migrate.Total, problems []migrate.Problem, took time.Duration) error {
	v := &total.Verdict
	if e.out.structured() {
		return e.out.value(map[string]any{
			"from": from, "to": e.target.server, "path": path, "nodes": v.Compared, "bytes": v.Bytes, "ms": took.Milliseconds(),
			"walks": total.Passes, "created": total.Created, "changed": total.Changed, "deleted": total.Deleted,
			"ephemerals": v.Ephemerals, "quotas": total.Quotas, "different": v.Different,
			"differences": append([]migrate.Difference{}, v.Differences...), "notCopied": append([]migrate.Problem{}, problems...), // [], not null
		})
	}
	verdict := "all equal"
	if v.Different > 0 {
		verdict = fmt.Sprintf("%d differ, listed above", v.Different)
	}
	return e.out.line("migrated %s from %s to %s in %s: %d walks; %d nodes, %d bytes and %d quotas compared, %s; %d ephemeral nodes left to their sessions",
		path, from, e.target.server, took.Round(time.Millisecond), total.Passes, v.Compared, v.Bytes, total.Quotas, verdict, v.Ephemerals)
}
