package main

import (
	"fmt"
	"os"
	"slices"
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
		"that deletes and makes it again": func(root string) error {
			if err := c.Delete(ctx, root+"/right"); err != nil {
				return err
			}
			_, err := c.Create(ctx, root+"/right", []byte("theirs"))
			return err
		},
		"that makes a node again and brings it to the version it had": func(root string) error {
			if err := c.Delete(ctx, root+"/later"); err != nil {
				return err
			}
			if _, err := c.Create(ctx, root+"/later", nil); err != nil {
				return err
			}
			_, err := c.Set(ctx, root+"/later", []byte("theirs"))
			return err
		},
		"that makes again what is to be deleted": func(root string) error {
			if err := c.Delete(ctx, root+"/0003"); err != nil {
				return err
			}
			_, err := c.Create(ctx, root+"/0003", []byte("theirs"))
			return err
		},
		"that deletes": func(root string) error { return c.Delete(ctx, root+"/right") },
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
		_, err := c.Create(ctx, root+"/later", nil)
		require.NoError(t, err)
		_, err = c.Set(ctx, root+"/later", []byte("right"))
		require.NoError(t, err)
		file := planFile(t, root+": {children: {set: mine, right: right, later: right, new: mine, shut: {acl: 'world:anyone:rwa'}}}")
		_, err = whenAsked(t, cluster, func() { require.NoError(t, change(root)) }, "apply", "--prune", file)
		require.ErrorIs(t, err, errConflict, name)
		require.Equal(t, exitVersion, exitCode(err), name)
		n, err := c.Count(ctx, root)
		require.NoError(t, err)
		require.InDelta(t, confirmAbove+5, n, 1, name)
	}
	plant(t, c, "/quiet", confirmAbove+1)
	out, err := whenAsked(t, cluster, func() {}, "apply", "--prune", planFile(t, "/quiet: {children: {new: mine}}"))
	require.NoError(t, err)
	require.Contains(t, out, "done: 1 create, 0 set, 0 setAcl, 101 delete; 1 node is right")
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

func TestPruningLeavesWhatIsAboveNewNodes(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	for _, n := range []string{"/app", "/app/dead", "/app/between", "/app/between/dead"} {
		_, err := c.Create(t.Context(), n, nil)
		require.NoError(t, err)
	}
	_, errw, code := inProcess(nil, "-s", cluster.Addrs()[0], "apply", "--prune", planFile(t, "/app:\n/app/between/new: mine"))
	require.Zero(t, code, errw)
	out, _, _ := inProcess(nil, "-s", cluster.Addrs()[0], "ls", "-R", "/app")
	require.Equal(t, "/app\n/app/between\n/app/between/new\n", out)
}

// planOf wants n nodes below root, a hundred to a parent, itself among them.
func planOf(root string, n int, data string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s:\n  children:\n", root)
	for i := range n - 1 {
		if i%100 == 0 {
			fmt.Fprintf(&text, "    d%03d:\n      children:\n", i/100)
			continue
		}
		fmt.Fprintf(&text, "        n%02d: %s\n", i%100, data)
	}
	return text.String()
}

func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}

func TestAPlanOfFiveThousandNodesIsDoneWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t, clienttest.WithServers(3))
	c := cluster.Client(t)
	servers := strings.Join(cluster.Addrs(), ",")
	run := func(args ...string) string {
		out, errw, code := inProcess(nil, slices.Concat([]string{"-s", servers}, patient, args)...)
		require.Zero(t, code, errw)
		return out
	}
	old, young := planFile(t, planOf("/big", 5000, "old")), planFile(t, planOf("/big", 5000, "young"))
	require.Contains(t, run("plan", old), "\ncreate /big/d049/n98: \"old\"\n")
	out := run("apply", old)
	require.Equal(t, "done: 5000 create, 0 set, 0 setAcl, 0 delete; 0 nodes are right", lastLine(out))
	top, err := c.Get(t.Context(), "/big", client.Linearizable())
	require.NoError(t, err)
	plant(t, c, "/big/stray", confirmAbove)

	_, err = whenAsked(t, cluster, func() {
		_, err := c.Set(t.Context(), "/big/d049/n98", []byte("theirs"))
		require.NoError(t, err)
	}, "apply", "--prune", young)
	require.ErrorIs(t, err, errConflict)
	require.ErrorContains(t, err, "apply: /big/d049/n98: somebody changed it meanwhile, nothing was done (set: version")
	for n, err := range c.Walk(t.Context(), "/big") { // it has seen what c set, and so what came before
		require.NoError(t, err)
		require.NotEqual(t, "young", string(n.Data), n.Path)
	}

	out, err = whenAsked(t, cluster, func() {}, "apply", "--prune", young)
	require.NoError(t, err)
	require.Equal(t, "done: 0 create, 4949 set, 0 setAcl, 101 delete; 51 nodes are right", lastLine(out))
	last, err := c.Get(t.Context(), "/big/d049/n98", client.Linearizable())
	require.NoError(t, err)
	for n, err := range c.Walk(t.Context(), "/big", client.KeysOnly()) {
		require.NoError(t, err)
		require.True(t, n.Stat.Mzxid == last.Stat.Mzxid || n.Stat.Mzxid == top.Stat.Mzxid, n.Path)
	}
	require.Equal(t, "to do: 0 create, 0 set, 0 setAcl, 0 delete; 5000 nodes are right\n", run("plan", "--prune", young))
}

func TestAPlanBeyondOneTransactionIsRefusedWhole(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	big := strings.Repeat("x", 300<<10)
	for name, c := range map[string]struct {
		plan string
		want string // "" that it is done
	}{
		"/fits": {planOf("/fits", maxSteps, "data"), ""},
		"/more": {planOf("/more", maxSteps+1, "data"), "apply: too large: it takes 20001 operations and one transaction has room for 20000; " +
			"nothing was done; in parts it would fit, each done whole or not at all"},
		"/bytes": {planOf("/bytes", 6, big), "apply: its 6 operations are too much for one transaction, nothing was done: multi: too large: " +
			"a request of 1229"},
	} {
		_, errw, code := inProcess(nil, slices.Concat([]string{"-s", cluster.Addrs()[0]}, patient, []string{"apply", planFile(t, c.plan)})...)
		if c.want == "" {
			require.Zero(t, code, errw)
		} else {
			require.Equal(t, exitError, code, errw)
			require.Contains(t, errw, c.want)
		}
		st, err := cluster.Client(t).Exists(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, c.want == "", st != nil, name)
	}
}

func FuzzAPlanIsReadOrRefused(f *testing.F) {
	for _, s := range []string{"", "{}", "/a: x", `{"/a": {"data": "x", "kind": "ttl", "ttl": "1h", "children": {"b": {"dataBase64": "AA=="}}}}`, "/a: {data: x, children: {b: {acl: 'world:anyone:r'}}}", "/a: &x {children: {b: *x}}", "{", "? [a]: b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		wishes, err := readPlan("-", strings.NewReader(text))
		if err != nil {
			require.Equal(t, exitUsage, exitCode(err))
			return
		}
		require.NotEmpty(t, topsOf(wishes))
		for i := range wishes[1:] {
			require.Negative(t, comparePaths(wishes[i].path, wishes[i+1].path))
		}
	})
}
