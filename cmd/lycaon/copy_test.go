package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

// plant makes root and n children below it.
func plant(t *testing.T, c *client.Client, root string, n int) {
	t.Helper()
	ops := []client.Op{client.OpCreate(root, nil)}
	for i := range n {
		ops = append(ops, client.OpCreate(fmt.Sprintf("%s/%04d", root, i), []byte("data")))
	}
	_, err := c.Commit(t.Context(), ops...)
	require.NoError(t, err)
}

// patient gives a command time that moves thousands of nodes on a machine with other work.
var patient = []string{"--timeout", "1m", "--session-timeout", "1m"}

// whenAsked runs a command that asks, and answers yes after then has run.
func whenAsked(t *testing.T, cluster *clienttest.Cluster, then func(), args ...string) (out string, err error) {
	t.Helper()
	var w bytes.Buffer
	e := newEnv(strings.NewReader(""), &w, &w, noEnv)
	defer e.close()
	question := ""
	e.ask = func(q string) (string, error) {
		question = q
		then()
		return "y", nil
	}
	root := newRoot(e)
	root.SetArgs(slices.Concat([]string{"-s", cluster.Addrs()[0]}, patient, args))
	err = root.ExecuteContext(t.Context())
	require.NotEmpty(t, question, "it did not ask: %v", err)
	return w.String(), err
}

func TestAMoveIsRefusedAfterAChangeInBetween(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	ctx := t.Context()
	for name, change := range map[string]func(root string) error{
		"of data":              func(root string) error { _, err := c.Set(ctx, root+"/0007", []byte("new")); return err },
		"that adds a child":    func(root string) error { _, err := c.Create(ctx, root+"/new", nil); return err },
		"that deletes a child": func(root string) error { return c.Delete(ctx, root+"/0007") },
		"that adds a grandson": func(root string) error { _, err := c.Create(ctx, root+"/0007/new", nil); return err },
		"that deletes a child and makes it again": func(root string) error {
			_, err := c.Multi(ctx, client.OpDelete(root+"/0007"), client.OpCreate(root+"/0007", []byte("other")))
			return err
		},
		"that takes it all away": func(root string) error { return c.Delete(ctx, root, client.Recursive()) },
	} {
		root := "/" + strings.ReplaceAll(name, " ", "-")
		plant(t, c, root, confirmAbove)
		_, err := whenAsked(t, cluster, func() { require.NoError(t, change(root)) }, "mv", root, "/moved")
		require.ErrorIs(t, err, errConflict, name)
		require.Equal(t, exitVersion, exitCode(err), name)
		st, err := c.Exists(ctx, "/moved")
		require.NoError(t, err)
		require.Nil(t, st, name)
	}
	plant(t, c, "/quiet", confirmAbove)
	out, err := whenAsked(t, cluster, func() {}, "mv", "/quiet", "/moved")
	require.NoError(t, err)
	require.Contains(t, out, "moved 101 nodes, 400 bytes from /quiet to /moved")
}

func TestATreeBeyondOneTransactionIsNotMoved(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	run := func(args ...string) (out, errw string, code int) {
		return inProcess(nil, slices.Concat([]string{"-s", cluster.Addrs()[0]}, patient, args)...)
	}
	plant(t, c, "/most", treeMost-1)
	plant(t, c, "/more", treeMost)
	_, errw, code := run("mv", "--yes", "/more", "/moved")
	require.Equal(t, exitError, code)
	require.Contains(t, errw, "/more is more than the 6666 nodes that one transaction has room for; nothing was done")
	_, errw, code = run("mv", "/most", "/moved")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errw, "move /most and 6665 nodes below it? say --yes")
	_, errw, code = run("mv", "--yes", "/most", "/moved")
	require.Zero(t, code, errw)
	n, err := c.Count(t.Context(), "/moved")
	require.NoError(t, err)
	require.EqualValues(t, treeMost-1, n)

	big := bytes.Repeat([]byte("x"), 600<<10)
	for _, name := range []string{"/big", "/big/1", "/big/2"} {
		_, err := c.Create(t.Context(), name, big)
		require.NoError(t, err)
	}
	_, errw, code = run("cp", "-r", "/big", "/copy")
	require.Equal(t, exitError, code)
	require.Contains(t, errw, "too much for one transaction, nothing was done")
}
