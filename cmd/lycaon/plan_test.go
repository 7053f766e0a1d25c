package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

func planFile(t *testing.T, text string) string {
	t.Helper()
	file := t.TempDir() + "/plan.yaml"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestAPlanIsNotAppliedAfterAChangeInBetween(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	ctx := t.Context()
	for name, change := range map[string]func(root string) error{
		"of data that is to be set": func(root string) error { _, err := c.Set(ctx, root+"/set", []byte("theirs")); return err },
		"of data that was right":    func(root string) error { _, err := c.Set(ctx, root+"/right", []byte("theirs")); return err },
		"that creates":              func(root string) error { _, err := c.Create(ctx, root+"/new", nil); return err },
		"that deletes":              func(root string) error { return c.Delete(ctx, root+"/right") },
		"of an ACL": func(root string) error {
			return c.SetACL(ctx, root+"/shut", client.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}})
		},
		"of what is to be deleted": func(root string) error { _, err := c.Set(ctx, root+"/0003", []byte("theirs")); return err },
		"below what is to be deleted": func(root string) error {
			_, err := c.Create(ctx, root+"/0003/below", nil)
			return err
		},
	} {
		root := "/" + strings.ReplaceAll(name, " ", "-")
		plant(t, c, root, confirmAbove+1)
		for _, n := range []string{"set", "right", "shut"} {
			_, err := c.Create(ctx, root+"/"+n, []byte("right"))
			require.NoError(t, err)
		}
		file := planFile(t, root+": {children: {set: mine, right: right, new: mine, shut: {acl: 'world:anyone:rwa'}}}")
		_, err := whenAsked(t, cluster, func() { require.NoError(t, change(root)) }, "apply", "--prune", file)
		require.ErrorIs(t, err, errConflict, name)
		require.Equal(t, exitVersion, exitCode(err), name)
		n, err := c.Count(ctx, root)
		require.NoError(t, err)
		require.InDelta(t, confirmAbove+4, n, 1, name)
	}
	plant(t, c, "/quiet", confirmAbove+1)
	out, err := whenAsked(t, cluster, func() {}, "apply", "--prune", planFile(t, "/quiet: {children: {new: mine}}"))
	require.NoError(t, err)
	require.Contains(t, out, "done: 1 create, 0 set, 0 setAcl, 101 delete; 1 nodes are right")
	names, err := c.Children(ctx, "/quiet")
	require.NoError(t, err)
	require.Equal(t, []string{"new"}, names)
}

func TestPruningLeavesEphemeralNodesAndWhatIsAboveThem(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	ctx := t.Context()
	for _, n := range []string{"/app", "/app/live", "/app/live/er", "/app/dead", "/app/dead/er"} {
		_, err := c.Create(ctx, n, nil)
		require.NoError(t, err)
	}
	_, err := c.Create(ctx, "/app/live/er/me", nil, client.Ephemeral())
	require.NoError(t, err)
	_, errw, code := inProcess(nil, "-s", cluster.Addrs()[0], "apply", "--prune", planFile(t, "/app:"))
	require.Zero(t, code, errw)
	out, _, _ := inProcess(nil, "-s", cluster.Addrs()[0], "ls", "-R", "/app")
	require.Equal(t, "/app\n/app/live\n/app/live/er\n/app/live/er/me\n", out)
}

func TestAPlanBeyondOneTransactionIsRefusedWhole(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	for n, want := range map[int]int{maxSteps: exitOK, maxSteps + 1: exitError} {
		text := fmt.Sprintf("/n%d:\n  children:\n", n)
		for i := range n - 1 {
			text += fmt.Sprintf("    n%d: data\n", i)
		}
		_, errw, code := inProcess(nil, "-s", cluster.Addrs()[0], "apply", planFile(t, text))
		require.Equal(t, want, code, errw)
		if want != exitOK {
			require.Contains(t, errw, "it takes 1001 operations and one transaction has room for 1000; nothing was done")
		}
		st, err := cluster.Client(t).Exists(t.Context(), fmt.Sprintf("/n%d", n))
		require.NoError(t, err)
		require.Equal(t, want == exitOK, st != nil)
	}
}

func FuzzAPlanIsReadOrRefused(f *testing.F) {
	for _, s := range []string{"", "/a: x", "/a: {data: x, children: {b: {acl: 'world:anyone:r'}}}", "/a: &x {children: {b: *x}}", "{", "? [a]: b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tops, wishes, err := readPlan("-", strings.NewReader(text))
		if err != nil {
			require.Equal(t, exitUsage, exitCode(err))
			return
		}
		require.GreaterOrEqual(t, len(wishes), len(tops))
		for i := range wishes[1:] {
			require.Negative(t, comparePaths(wishes[i].path, wishes[i+1].path))
		}
	})
}
