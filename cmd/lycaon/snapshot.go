package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/atomicfile"
	"github.com/lycaon-io/lycaon/server"
	"github.com/lycaon-io/lycaon/server/state"
)

func newSnapshot(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "snapshot",
		Short:   "Save, inspect and restore the whole state",
		GroupID: groupServer,
	}
	return e.gather(cmd, newSnapshotSave(e), newSnapshotInspect(e), newSnapshotRestore(e))
}

func newSnapshotSave(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "save FILE",
		Short: "Write the state of the running server into a file",
		Long: `Write everything the server holds at one instant into FILE: nodes, ACLs, versions,
sequence counters, sessions, all under checksums. It passes every ACL, so the
superuser or the admin token must be shown: --auth before the command, or
--admin-token DATA-DIR/admin.token, which is good for that server alone. Those of make
run and make cluster are taken by themselves. Any server of a cluster will do. A FILE
that exists is replaced, at the end and whole; one is never half written.`,
		Example: "  lycaon --admin-token /var/lib/lycaon/admin.token snapshot save backup.lycaon",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e.defaultAdminToken(cmd.Context())
			info, err := e.saveSnapshot(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return e.printImage("saved "+args[0], info)
		},
	}
}

// saveSnapshot writes beside the file, verifies, and only then gives it its
// name.
func (e *env) saveSnapshot(ctx context.Context, file string) (state.Info, error) {
	c, err := e.reader(ctx)
	if err != nil {
		return state.Info{}, err
	}
	tmp, err := atomicfile.Create(file, 0o600)
	if err != nil {
		return state.Info{}, usageError{err}
	}
	defer tmp.Discard()
	if err := tmp.Chmod(0o600); err != nil { // whatever was there: it has what every ACL hides
		return state.Info{}, err
	}
	bar := e.progressOf("saving", "bytes")
	defer bar.Finish()
	if _, err := c.Snapshot(ctx, io.MultiWriter(tmp, bar)); errors.Is(err, client.ErrNoAuth) {
		return state.Info{}, fmt.Errorf("%w; %s", err, showsSuper)
	} else if err != nil {
		return state.Info{}, err
	}
	if _, err := tmp.Seek(0, io.SeekStart); err != nil {
		return state.Info{}, err
	}
	info, err := state.VerifyImage(tmp)
	if err != nil {
		return state.Info{}, fmt.Errorf("what the server sent does not verify: %w", err)
	}
	return info, tmp.Commit()
}

func newSnapshotInspect(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "inspect FILE",
		Short:   "Verify a saved state and tell what is in it",
		Example: "  lycaon snapshot inspect backup.lycaon",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := server.InspectSnapshot(args[0])
			if err != nil {
				return unopened(args[0], err)
			}
			return e.printImage(args[0], info)
		},
	}
}

// unopened words the error of a file that was typed and cannot be opened, which is no
// matter of the configuration.
func unopened(file string, err error) error {
	if open := (*fs.PathError)(nil); errors.Is(err, server.ErrConfig) && errors.As(err, &open) && open.Path == file {
		return usageError{open}
	}
	return err
}

func newSnapshotRestore(e *env) *cobra.Command {
	s := serveFlags{}
	cmd := &cobra.Command{
		Use:   "restore FILE --data-dir DIR",
		Short: "Make a new data directory from a saved state",
		Long: `Verify FILE and make from it the data directory of a new cluster of one server, which
serve then starts from. DIR must be absent or empty. Sessions come along, and get
their full timeout when the server starts. What is told is of FILE; the zxids of the
new cluster go on far above it, so that clients that have seen more come back at once
and hear that their watches missed something. This machine's clock should be right.`,
		Example: "  lycaon snapshot restore backup.lycaon --data-dir /var/lib/lycaon\n  lycaon serve --id 1 --data-dir /var/lib/lycaon",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := applyEnv(cmd.Flags(), e.getenv); err != nil {
				return err
			}
			if s.server.DataDir == "" {
				return usageError{fmt.Errorf("restore wants --data-dir DIR")}
			}
			bar := e.progressOf("restoring", "")
			defer bar.Finish()
			info, err := server.RestoreSnapshot(cmd.Context(), args[0], s.server)
			if err != nil {
				return unopened(args[0], err)
			}
			bar.Finish()
			return e.printImage("restored into "+s.server.DataDir, info)
		},
	}
	s.server = server.DefaultConfig()
	s.server.DataDir = ""
	cmd.Flags().StringVar(&s.server.DataDir, "data-dir", "", "`DIR` to make; absent or empty")
	cmd.Flags().Uint64Var(&s.server.ID, "id", 1, "number of the server that will use it")
	cmd.Flags().StringVar(&s.server.PeerAddr, "peer-addr", s.server.PeerAddr, "`H:P` where other servers will reach it; serve may say it, too")
	return cmd
}

func (e *env) printImage(what string, i state.Info) error {
	if e.out.structured() {
		return e.out.value(map[string]any{"what": what, "format": i.Format, "bytes": i.Bytes, "zxid": i.Zxid, "clockMs": i.ClockMs,
			"nodes": i.Nodes, "sessions": i.Sessions, "digest": fmt.Sprintf("%016x", i.Digest)})
	}
	return e.out.line("%s: format %d, %d bytes, zxid 0x%x of %s, %s, %s, digest %016x",
		what, i.Format, i.Bytes, i.Zxid, timeText(i.ClockMs), counted(i.Nodes, "node"), counted(i.Sessions, "session"), i.Digest)
}
