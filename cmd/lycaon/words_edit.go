package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
)

func newEdit(e *env) *cobra.Command {
	var stat bool
	cmd := &cobra.Command{
		Use:   "edit PATH",
		Short: "Change the data of a node in an editor",
		Long: `Open the data of a node in $VISUAL, $EDITOR or vi, and set what is saved there. Nothing is
written if it is the same, or if the node was changed meanwhile: the exit code is 4
then, and the text stays in a file, which is named. A line end that an editor puts at the end
of data that had none is taken away again.`,
		Example: "  edit /app/config\n  EDITOR='code --wait' lycaon edit /app/config",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.edit(cmd.Context(), args[0], stat)
		},
	}
	cmd.Flags().BoolVarP(&stat, "stat", "s", false, "print the new stat")
	return cmd
}

func (e *env) edit(ctx context.Context, node string, stat bool) error {
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	old, err := c.Get(ctx, node)
	if err != nil {
		return err
	}
	file, err := editable(old)
	if err != nil {
		return err
	}
	data, err := e.runEditor(file, old.Data)
	if err == nil && bytes.Equal(data, old.Data) {
		os.Remove(file)
		if e.out.structured() {
			return e.out.value(statValue(old.Stat))
		}
		return e.out.line("%s is as it was", node)
	}
	var st *client.Stat
	if err == nil {
		st, err = replaceData(ctx, c, node, data, old.Stat)
	}
	if err != nil {
		return fmt.Errorf("%w; your text is in %s", err, file)
	}
	os.Remove(file)
	return e.printChanged(st, stat)
}

// replaceData sets the data of the very node that was read: one that was deleted
// and made again may be at the same version.
func replaceData(ctx context.Context, c *client.Client, node string, data []byte, read client.Stat) (*client.Stat, error) {
	done, err := commitWithResults(ctx, c, "edit", []step{
		{client.OpGuard(client.NewGuard(node, read.Czxid)), "check", node, true},
		{client.OpSet(node, data, client.IfVersion(read.Version)), "set", node, true},
	})
	if err != nil {
		return nil, err
	}
	return &done.Nodes[1].Stat, nil
}

// An editor may choose its colours by this.
var fileSuffix = regexp.MustCompile(`^\.[A-Za-z0-9]{1,16}$`)

// editable puts the data of a node into a file that nobody else may read.
func editable(n *client.Node) (string, error) {
	suffix := path.Ext(n.Path)
	if !fileSuffix.MatchString(suffix) {
		suffix = ""
	}
	f, err := os.CreateTemp("", "lycaon-edit-*"+suffix)
	if err != nil {
		return "", err
	}
	_, err = f.Write(n.Data)
	if err := cmp.Or(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// runEditor returns what a file that holds data holds afterwards.
func (e *env) runEditor(file string, data []byte) ([]byte, error) {
	editor := cmp.Or(e.getenv("VISUAL"), e.getenv("EDITOR"), "vi")
	cmd := exec.Command("sh", "-c", editor+` "$0"`, file) // it may have arguments of its own
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.in, e.out.w, e.errw
	if e.screen != nil {
		cmd.Stdout, cmd.Stderr = e.screen.tty, e.screen.tty
		defer e.screen.lend()()
	}
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("editor %s: %w; nothing was written", editor, err)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	most := int64(protocol.DefaultLimits().MaxData)
	text, err := io.ReadAll(io.LimitReader(f, most+2)) // one byte too many, and a line end
	if err != nil {
		return nil, err
	}
	if !bytes.HasSuffix(data, []byte("\n")) {
		text = bytes.TrimSuffix(text, []byte("\n"))
	}
	return text, nil
}

func newTouch(e *env) *cobra.Command {
	var stat bool
	cmd := &cobra.Command{
		Use:   "touch PATH",
		Short: "Write a node anew as it is, or create it",
		Long: `Write the data of a node anew, which raises its version, sets its time of change and wakes
its watches; a node that does not exist is created with null data.`,
		Example: "  touch /app/reload",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			st, err := c.Update(cmd.Context(), args[0], func(old *client.Node) ([]byte, error) {
				if old == nil {
					return nil, nil
				}
				return old.Data, nil
			})
			if err != nil {
				return err
			}
			return e.printChanged(st, stat)
		},
	}
	cmd.Flags().BoolVarP(&stat, "stat", "s", false, "print the new stat")
	return cmd
}
