package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/target"
	"github.com/lycaon-io/lycaon/znode"
)

const zkImportHelp = `
With --zk-snapshot a snapshot of ZooKeeper 3.4 to 3.9 is loaded instead, plain or
compressed with gzip or snappy, below PATH, by default /. Its name must be
snapshot.HEX as ZooKeeper gave it. A snapshot is written while ZooKeeper goes on,
so it is whole only with the transaction logs behind it: --zk-log names them, or
their directory. Stop ZooKeeper, or copy the logs after the snapshot. Transactions
that are missing between the files are an error.

Data, ACLs, containers, TTL nodes and the counters of sequential nodes come along;
TTLs start anew; so do the quotas of what comes along. Versions, times and zxids do
not, and ephemeral nodes and the rest of /zookeeper are left out. ACLs and counters want the
superuser's identity, --auth or --admin-token before the command. Everything is
read and checked before the first node is written.`

// zkImport is an import of ZooKeeper's files.
type zkImport struct {
	snapshot   string
	logs       []string
	from       string
	incomplete bool

	to       string
	existing target.Existing
}

func (z *zkImport) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&z.snapshot, "zk-snapshot", "", "import a ZooKeeper snapshot, `snapshot.HEX`, instead of a directory")
	f.StringArrayVar(&z.logs, "zk-log", nil, "a ZooKeeper transaction log to apply over it, or a directory of logs, `FILE|DIR`; may be repeated")
	f.StringVar(&z.from, "zk-path", "/", "import only this node of ZooKeeper's and what is below it, `/PATH`")
	f.BoolVar(&z.incomplete, "zk-incomplete", false, "go on though transactions are missing between the files, or a record of a log cannot be read, which ends the log: the tree may never have been so")
}

func (z *zkImport) wanted() bool { return z.snapshot != "" || z.stray() != "" }

// stray is a flag that says nothing without --zk-snapshot.
func (z *zkImport) stray() string {
	switch {
	case len(z.logs) > 0:
		return "--zk-log wants --zk-snapshot: a log alone is no tree"
	case z.from != "/":
		return "--zk-path wants --zk-snapshot"
	case z.incomplete:
		return "--zk-incomplete wants --zk-snapshot"
	}
	return ""
}

func (z *zkImport) check(args []string) error {
	switch {
	case z.snapshot == "":
		return usageError{errors.New(z.stray())}
	case len(args) > 1:
		return usageError{errors.New("usage: import --zk-snapshot FILE [--zk-log FILE|DIR]... [PATH]")}
	}
	z.to = "/"
	if len(args) == 1 {
		z.to = args[0]
	}
	for _, path := range []string{z.to, z.from} {
		if err := znode.ValidatePath(path); err != nil {
			return usageError{err}
		}
		if path == systemNodes || strings.HasPrefix(path, systemNodes+"/") {
			return usageError{fmt.Errorf("%s: the nodes below %s are the server's own", path, systemNodes)}
		}
	}
	return nil
}

// importZooKeeper reads and checks everything, then writes.
func (e *env) importZooKeeper(ctx context.Context, z *zkImport) error {
	e.defaultAdminToken(ctx)
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	if err := wantSuperuser(ctx, c); err != nil {
		return err
	}
	start := time.Now()
	files, err := readZooKeeper(z)
	if err != nil {
		return err
	}
	for _, notice := range files.notices {
		e.tell("lycaon: " + notice)
	}
	list, err := z.list(files.tree)
	if err != nil {
		return fmt.Errorf("%s: %w", z.snapshot, err)
	}
	w, err := e.writeZooKeeper(ctx, c, z, list)
	if err != nil {
		return err
	}
	return e.zkSummary(z, files, list, w.Written(), time.Since(start))
}

// wantSuperuser says at once what would be refused at the first ACL.
func wantSuperuser(ctx context.Context, c *client.Client) error {
	ids, err := c.WhoAmI(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(ids, func(id client.Identity) bool { return id.Scheme == znode.SchemeSuper }) {
		return nil
	}
	return fmt.Errorf("import: %w: ACLs and counters of ZooKeeper want the superuser's identity; %s", client.ErrNoAuth, showsSuper)
}

func (e *env) writeZooKeeper(ctx context.Context, c *client.Client, z *zkImport, list *zkList) (*target.Writer, error) {
	there, err := target.Prepare(ctx, c, "import", z.to, z.existing)
	if err != nil {
		return nil, err
	}
	if z.existing == target.Refuse {
		if err := list.refuseExisting(ctx, c, there); err != nil {
			return nil, err
		}
	}
	bar := e.progress("importing")
	defer bar.Finish()
	w := target.NewWriter(ctx, c, target.Config{Op: "import", Existing: z.existing, There: there, Progress: func(n int) { bar.Add(n) }})
	for _, n := range list.nodes {
		if err = w.Put(n); err != nil {
			break
		}
	}
	err = w.Flush()
	if err == nil {
		err = writeQuotas(ctx, c, z.existing, list.quotas)
	}
	if err != nil {
		return nil, fmt.Errorf("after %d nodes: %w", w.Written(), err)
	}
	return w, nil
}

func (e *env) zkSummary(z *zkImport, files *zkFiles, list *zkList, nodes int, took time.Duration) error {
	zxid := fmt.Sprintf("0x%x", files.tree.Zxid())
	if e.out.structured() {
		return e.out.value(map[string]any{
			"from": z.snapshot, "to": z.to, "zxid": zxid, "transactions": files.applied, "nodes": nodes, "bytes": list.bytes,
			"quotas": list.limits(), "skippedEphemerals": list.ephemerals, "skippedSystemNodes": list.system, "notices": files.notices, "ms": took.Milliseconds(),
		})
	}
	line := fmt.Sprintf("imported %s, %d bytes from %s", counted(nodes, "node"), list.bytes, z.snapshot)
	if files.applied > 0 {
		line += fmt.Sprintf(" and %s behind it", counted(files.applied, "transaction"))
	}
	line += fmt.Sprintf(", as of %s, to %s in %s", zxid, z.to, took.Round(time.Millisecond))
	if n := list.limits(); n > 0 {
		line += "; " + counted(n, "quota")
	}
	if list.ephemerals > 0 {
		line += "; skipped " + counted(list.ephemerals, "ephemeral node")
	}
	if list.strangers > 0 {
		line += fmt.Sprintf("; skipped %s below %s that ZooKeeper did not make", counted(list.strangers, "node"), systemNodes)
	}
	return e.out.line("%s", line)
}
