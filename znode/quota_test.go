package znode

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func limitsOf(path string) string { return "/zookeeper/quota" + path + "/zookeeper_limits" }
func statsOf(path string) string  { return "/zookeeper/quota" + path + "/zookeeper_stats" }

// limit gives path a quota as ZooKeeper's clients do, and has quotas kept.
func limit(tb testing.TB, t *Tree, path, limits string) {
	_, err := do(t, 1, func() error { _, err := t.Set(user, quotaPath, []byte(QuotasEnforced), AnyVersion); return err })
	require.NoError(tb, err)
	create(tb, t, 1, user, &CreateOp{Path: limitsOf(path), Data: []byte(limits), Parents: true})
	create(tb, t, 1, user, &CreateOp{Path: statsOf(path), Data: []byte("count=0,bytes=0")})
}

func sortedQuotas(t *Tree) []Quota {
	all := t.Quotas()
	slices.SortFunc(all, Quota.ComparePaths)
	return all
}

func requireStats(tb testing.TB, t *Tree, path string, count, bytes int) {
	tb.Helper()
	want := fmt.Sprintf("count=%d,bytes=%d", count, bytes)
	data, st, err := t.Get(nobody, statsOf(path))
	require.NoError(tb, err)
	require.Equal(tb, want, string(data))
	require.Equal(tb, len(want), st.DataLength)
	require.Zero(tb, st.Version, "the node itself does not change")
	again, err := t.Exists(nobody, statsOf(path))
	require.NoError(tb, err)
	require.Equal(tb, st, again)
}

func TestTheStatsOfAQuotaAreTrueWhenTheyAreRead(t *testing.T) {
	tree := plantTree(t, "/q", "/other")
	limit(t, tree, "/q", "count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=-1")
	limit(t, tree, "/q/sub", "count=9")
	limit(t, tree, "/none", "")
	write := func(f func() error) {
		t.Helper()
		_, err := do(tree, 9, f)
		require.NoError(t, err)
	}
	requireStats(t, tree, "/none", 0, 0)
	requireStats(t, tree, "/q", 1, 0)
	write(func() error { _, err := tree.Set(user, "/q", []byte("abcd"), 0); return err })
	requireStats(t, tree, "/q", 1, 4)
	create(t, tree, 9, user, &CreateOp{Path: "/q/sub/deep", Data: []byte("123"), Parents: true})
	requireStats(t, tree, "/q", 3, 7)
	requireStats(t, tree, "/q/sub", 2, 3)
	tree.Freeze()
	write(func() error { _, err := tree.Set(user, "/q/sub/deep", []byte("1"), 0); return err })
	requireStats(t, tree, "/q", 3, 5)
	requireStats(t, tree, "/q/sub", 2, 1)
	create(t, tree, 9, user, &CreateOp{Path: "/other/x", Data: []byte("123456")})
	requireStats(t, tree, "/q", 3, 5)

	tree.Begin(10, 10)
	_, err := tree.Set(user, "/q/sub/deep", make([]byte, 100), AnyVersion)
	require.NoError(t, err)
	_, err = tree.Create(user, &CreateOp{Path: "/q/new", Data: []byte("1"), ACL: OpenACL})
	require.NoError(t, err)
	require.NoError(t, tree.Delete(user, "/q/sub/deep", AnyVersion))
	requireStats(t, tree, "/q", 3, 5)
	tree.Rollback()
	requireStats(t, tree, "/q", 3, 5)
	requireStats(t, tree, "/q/sub", 2, 1)

	write(func() error { _, err := tree.DeleteAll(user, "/q/sub", AnyVersion, 10); return err })
	requireStats(t, tree, "/q", 1, 4)
	requireStats(t, tree, "/q/sub", 0, 0)
	write(func() error { return tree.Delete(user, "/q", AnyVersion) })
	requireStats(t, tree, "/q", 0, 0)
	require.Equal(t, []Quota{
		{Path: "/none", Limits: NoLimits},
		{Path: "/q", Limits: Limits{5, -1, -1, -1}},
		{Path: "/q/sub", Limits: Limits{9, -1, -1, -1}},
	}, sortedQuotas(tree))
	requireSound(t, tree)
}

func TestWhatAClientWroteIntoStatsIsStoredAndNotShown(t *testing.T) {
	written := func(data string) *Tree {
		tree := plantTree(t, "/q")
		limit(t, tree, "/q", "count=5")
		_, err := do(tree, 9, func() error { _, err := tree.Set(user, statsOf("/q"), []byte(data), AnyVersion); return err })
		require.NoError(t, err)
		shown, _, err := tree.Get(user, statsOf("/q"))
		require.NoError(t, err)
		require.Equal(t, "count=1,bytes=0", string(shown))
		return tree
	}
	require.NotEqual(t, written("count=100,bytes=100").Digest(), written("count=100,bytes=101").Digest(), "what replicas compare")
}

func TestAHardLimitRefusesWhatZooKeeperRefuses(t *testing.T) {
	tree := New()
	create(t, tree, 1, user, &CreateOp{Path: "/q", Data: []byte("abcd")})
	create(t, tree, 1, user, &CreateOp{Path: "/q/x", Data: []byte("12")})
	limit(t, tree, "/q", "count=1,bytes=1=;byteHardLimit=20;countHardLimit=3")
	data := func(n int) []byte { return make([]byte, n) }
	for _, c := range []struct {
		name   string
		f      func() error
		refuse string // the text of the error, "" for none
	}{
		{"a node, at the limit, above the soft ones", func() error { _, err := tree.Create(user, &CreateOp{Path: "/q/3", ACL: OpenACL}); return err }, ""},
		{"a node above it", func() error { _, err := tree.Create(user, &CreateOp{Path: "/q/4", ACL: OpenACL}); return err },
			"create /q/4: quota exceeded: /q would have 4, its countHardLimit is 3"},
		{"deeper down", func() error { _, err := tree.Create(user, &CreateOp{Path: "/q/x/y", ACL: OpenACL}); return err },
			"create /q/x/y: quota exceeded: /q would have 4, its countHardLimit is 3"},
		{"by the superuser", func() error { _, err := tree.Create(super, &CreateOp{Path: "/q/4", ACL: OpenACL}); return err },
			"create /q/4: quota exceeded: /q would have 4, its countHardLimit is 3"},
		{"a taken name goes first", func() error { _, err := tree.Create(user, &CreateOp{Path: "/q/x", ACL: OpenACL}); return err },
			"create /q/x: node already exists"},
		{"bytes above the limit", func() error { _, err := tree.Set(user, "/q/3", data(15), AnyVersion); return err },
			"set /q/3: quota exceeded: /q would have 21, its byteHardLimit is 20"},
		{"before the version", func() error { _, err := tree.Set(user, "/q/3", data(15), 9); return err },
			"set /q/3: quota exceeded: /q would have 21, its byteHardLimit is 20"},
		{"of the limited node itself", func() error { _, err := tree.Set(user, "/q", data(19), AnyVersion); return err },
			"set /q: quota exceeded: /q would have 21, its byteHardLimit is 20"},
		{"bytes at the limit", func() error { _, err := tree.Set(user, "/q/3", data(14), AnyVersion); return err }, ""},
		{"a lower limit of bytes alone", func() error {
			_, err := tree.Set(user, limitsOf("/q"), []byte("count=-1,bytes=-1=;byteHardLimit=5;countHardLimit=-1"), AnyVersion)
			return err
		}, ""},
		{"less, but still above it", func() error { _, err := tree.Set(user, "/q/3", data(10), AnyVersion); return err },
			"set /q/3: quota exceeded: /q would have 16, its byteHardLimit is 5"},
		{"as much as before", func() error { _, err := tree.Set(user, "/q/3", data(14), AnyVersion); return err }, ""},
		{"a node without data", func() error { _, err := tree.Create(user, &CreateOp{Path: "/q/4", ACL: OpenACL}); return err }, ""},
		{"a node with some", func() error {
			_, err := tree.Create(user, &CreateOp{Path: "/q/5", Data: data(1), ACL: OpenACL})
			return err
		},
			"create /q/5: quota exceeded: /q would have 21, its byteHardLimit is 5"},
		{"elsewhere", func() error {
			_, err := tree.Create(user, &CreateOp{Path: "/qq", Data: data(99), ACL: OpenACL})
			return err
		}, ""},
		{"without the limits", func() error { return tree.Delete(user, limitsOf("/q"), AnyVersion) }, ""},
		{"nothing is refused", func() error { _, err := tree.Set(user, "/q/3", data(1000), AnyVersion); return err }, ""},
	} {
		before := tree.Digest()
		_, err := do(tree, 9, c.f)
		if c.refuse == "" {
			require.NoError(t, err, c.name)
			continue
		}
		require.EqualError(t, err, c.refuse, c.name)
		require.Equal(t, before, tree.Digest(), c.name)
	}
	requireSound(t, tree)
}

func TestOnlyTheNearestQuotaCounts(t *testing.T) {
	tree := plantTree(t, "/a", "/a/b")
	limit(t, tree, "/a", "countHardLimit=2")
	limit(t, tree, "/a/b", "countHardLimit=3")
	create(t, tree, 9, user, &CreateOp{Path: "/a/b/1"})
	create(t, tree, 9, user, &CreateOp{Path: "/a/b/2"})
	for path, want := range map[string]string{
		"/a/b/3": "create /a/b/3: quota exceeded: /a/b would have 4, its countHardLimit is 3",
		"/a/c":   "create /a/c: quota exceeded: /a would have 5, its countHardLimit is 2",
	} {
		_, err := do(tree, 9, func() error { _, err := tree.Create(user, &CreateOp{Path: path, ACL: OpenACL}); return err })
		require.ErrorIs(t, err, ErrQuotaExceeded)
		require.EqualError(t, err, want)
	}
}

func TestMissingParentsCountAsIfMadeOneByOne(t *testing.T) {
	for _, c := range []struct{ limits, want string }{
		{"/a countHardLimit=5", ""},
		{"/a countHardLimit=4", "create /a/b/c/d/e: quota exceeded: /a would have 5, its countHardLimit is 4"},
		{"/a/b/c countHardLimit=3", ""},
		{"/a/b/c countHardLimit=2", "create /a/b/c/d/e: quota exceeded: /a/b/c would have 3, its countHardLimit is 2"},
		{"/a/b/c/d/e countHardLimit=0", "create /a/b/c/d/e: quota exceeded: /a/b/c/d/e would have 1, its countHardLimit is 0"},
		{"/a byteHardLimit=4", ""},
		{"/a/b byteHardLimit=3", "create /a/b/c/d/e: quota exceeded: /a/b would have 4, its byteHardLimit is 3"},
	} {
		tree := plantTree(t, "/a")
		var path, limits string
		_, err := fmt.Sscan(c.limits, &path, &limits)
		require.NoError(t, err)
		limit(t, tree, path, limits)
		_, err = do(tree, 9, func() error {
			_, err := tree.Create(user, &CreateOp{Path: "/a/b/c/d/e", Data: []byte("1234"), ACL: OpenACL, Parents: true})
			return err
		})
		if c.want == "" {
			require.NoError(t, err, c.limits)
		} else {
			require.EqualError(t, err, c.want)
		}
	}
}

// By these the server of a connection bounds them: a tree takes any number.
func TestACreateTellsWhichQuotasItMakes(t *testing.T) {
	tree := New()
	for _, c := range []struct {
		op   CreateOp
		want []string
	}{
		{CreateOp{Path: limitsOf("/a")}, []string{"/a"}},
		{CreateOp{Path: limitsOf("/a"), Parents: true}, []string{"/a"}},
		{CreateOp{Path: limitsOf("/b/zookeeper_limits/c"), Parents: true}, []string{"/b/zookeeper_limits/c", "/b"}},
		{CreateOp{Path: limitsOf("/b/zookeeper_limits") + "/d"}, nil},
		{CreateOp{Path: limitsOf("/e") + "/", Parents: true, Sequential: true}, []string{"/e"}},
		{CreateOp{Path: limitsOf("/e") + "/", Sequential: true}, nil},
		{CreateOp{Path: limitsOf("/e"), Parents: true, Sequential: true}, nil},
		{CreateOp{Path: statsOf("/a")}, nil},
		{CreateOp{Path: "/zookeeper/quota/f/zookeeper_limits_/g", Parents: true}, nil},
		{CreateOp{Path: "/zookeeper/quotas/zookeeper_limits"}, nil},
		{CreateOp{Path: "/h/zookeeper_limits"}, nil},
		{CreateOp{Path: "/"}, nil},
	} {
		require.Equal(t, c.want, slices.Collect(c.op.Limited()), c.op.Path)
		made := tree.NumQuotas()
		for _, of := range c.want {
			if tree.HasQuota(of) {
				made--
			}
		}
		c.op.ACL = OpenACL
		_, err := do(tree, 1, func() error { _, err := tree.Create(user, &c.op); return err })
		if err == nil {
			require.Equal(t, made+len(c.want), tree.NumQuotas(), c.op.Path)
		}
	}
	require.Equal(t, []string{"/a", "/b", "/b/zookeeper_limits/c", "/e"}, slices.Sorted(maps.Keys(tree.quotas)))
	root := CreateOp{Path: "/zookeeper/quota/zookeeper_limits/a", Parents: true}
	require.Empty(t, slices.Collect(root.Limited()), "it is refused")
}

func TestAnOperationOfATransactionSeesTheQuotaAsThoseBeforeItLeftIt(t *testing.T) {
	tree := plantTree(t, "/a", "/a/b")
	tree.Begin(9, 9)
	_, err := tree.Set(user, quotaPath, []byte(QuotasEnforced), AnyVersion)
	require.NoError(t, err)
	_, err = tree.Create(user, &CreateOp{Path: limitsOf("/a"), Data: []byte("countHardLimit=2"), ACL: OpenACL, Parents: true})
	require.NoError(t, err)
	create := func() error { _, err := tree.Create(user, &CreateOp{Path: "/a/c", ACL: OpenACL}); return err }
	require.ErrorIs(t, create(), ErrQuotaExceeded)
	require.NoError(t, tree.Delete(user, "/a/b", AnyVersion))
	require.NoError(t, create())
	require.NoError(t, tree.Delete(user, "/a/c", AnyVersion))
	require.Len(t, tree.Quotas(), 1)
	tree.Rollback()
	require.Empty(t, tree.Quotas())

	limit(t, tree, "/a", "countHardLimit=2")
	tree.Begin(10, 10)
	require.NoError(t, tree.Delete(user, limitsOf("/a"), AnyVersion))
	require.NoError(t, create())
	tree.Rollback()
	tree.Begin(11, 11)
	_, err = tree.Set(user, limitsOf("/a"), []byte("countHardLimit=9"), AnyVersion)
	require.NoError(t, err)
	require.NoError(t, create())
	tree.Rollback()
	_, err = do(tree, 12, create)
	require.ErrorIs(t, err, ErrQuotaExceeded)
}

func TestTheDataOfTheQuotaNodeSwitchesEnforcement(t *testing.T) {
	tree := plantTree(t, "/a")
	limit(t, tree, "/a", "countHardLimit=1,byteHardLimit=0")
	create := func() error {
		_, err := do(tree, 9, func() error { _, err := tree.Create(user, &CreateOp{Path: "/a/b", ACL: OpenACL}); return err })
		return err
	}
	for _, c := range []struct {
		data string
		off  bool
	}{{"", true}, {"enforce=on", false}, {"enforce=on ", true}, {"enforce=off", true}, {"on", true}, {"enforce=on", false}} {
		_, err := do(tree, 9, func() error { _, err := tree.Set(user, "/zookeeper/quota", []byte(c.data), AnyVersion); return err })
		require.NoError(t, err)
		if !c.off {
			require.ErrorIs(t, create(), ErrQuotaExceeded, c.data)
			continue
		}
		require.NoError(t, create())
		_, err = do(tree, 9, func() error { _, err := tree.Set(user, "/a/b", []byte("x"), AnyVersion); return err })
		require.NoError(t, err)
		_, err = do(tree, 9, func() error { return tree.Delete(user, "/a/b", AnyVersion) })
		require.NoError(t, err)
	}
}

func TestLimitsAreReadAsZooKeepersClientsWriteThem(t *testing.T) {
	for text, want := range map[string]Limits{
		"":                   NoLimits,
		",":                  NoLimits, // to ZooKeeper too
		"count=5,bytes=-1":   {5, -1, -1, -1},
		"bytes=7,count=5":    {5, 7, -1, -1},
		"count=5;bytes=7,,;": {5, 7, -1, -1},
		"count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=-1": {5, -1, -1, -1},
		"count=-1,bytes=3=;byteHardLimit=9;countHardLimit=4":   {-1, 3, 4, 9},
		"countHardLimit=4,byteHardLimit=9":                     {-1, -1, 4, 9},
		"future=1":                                             NoLimits,
		"count=1,count=2":                                      {2, -1, -1, -1},
		"bytes=9223372036854775807":                            {-1, 1<<63 - 1, -1, -1},
	} {
		got, err := ParseLimits([]byte(text))
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := ParseLimits([]byte(want.String()))
		require.NoError(t, err, text)
		require.Equal(t, want, again, text)
	}
	for _, text := range []string{"x", "count", "count=five", "count=5 ", "count=", "count==5", "=", "count=5,bytes=9223372036854775808", string(make([]byte, maxLimitsBytes+1))} {
		_, err := ParseLimits([]byte(text))
		require.ErrorIs(t, err, ErrBadArguments, text)
	}
}

func TestLimitsAreWrittenAsZooKeepersClientsWriteThem(t *testing.T) {
	require.Equal(t, "count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=7", Limits{5, -1, 7, -1}.String())
}

func TestAQuotaThatMeansNothingIsRefused(t *testing.T) {
	tree := plantTree(t, "/a")
	limit(t, tree, "/a", "count=1")
	for _, f := range []func() error{
		func() error { _, err := tree.Create(user, &CreateOp{Path: limitsOf(""), ACL: OpenACL}); return err },
		func() error { _, err := tree.Create(user, &CreateOp{Path: statsOf(""), ACL: OpenACL}); return err },
		func() error {
			_, err := tree.Create(user, &CreateOp{Path: limitsOf("/b"), Data: []byte("many"), ACL: OpenACL, Parents: true})
			return err
		},
		func() error { _, err := tree.Set(user, limitsOf("/a"), []byte("many"), AnyVersion); return err },
	} {
		_, err := do(tree, 9, f)
		require.ErrorIs(t, err, ErrBadArguments)
	}
	require.Equal(t, []Quota{{Path: "/a", Limits: Limits{1, -1, -1, -1}, Count: 1}}, tree.Quotas())
}

func TestAnImageMayHoldLimitsThatDoNotRead(t *testing.T) {
	tree := plantTree(t, "/a")
	limit(t, tree, "/a", "count=1")
	var records []Record
	for r := range tree.Freeze().All() {
		if r.Path == limitsOf("/a") {
			r.Data, r.Stat.DataLength = []byte("many"), 4
		}
		records = append(records, r)
	}
	loaded, err := load(records)
	require.NoError(t, err)
	require.Equal(t, []Quota{{Path: "/a", Limits: NoLimits, Count: 1}}, loaded.Quotas())
}

func TestExceededNamesTheLimitThatCounts(t *testing.T) {
	for _, c := range []struct {
		name          string
		q             Quota
		limit         string
		bound, figure int64
	}{
		{"none", Quota{Limits: NoLimits, Count: 9, Bytes: 9}, "", 0, 0},
		{"at the limits", Quota{Limits: Limits{9, 9, 9, 9}, Count: 9, Bytes: 9}, "", 0, 0},
		{"nodes", Quota{Limits: Limits{8, -1, -1, -1}, Count: 9}, "count", 8, 9},
		{"nodes, hard", Quota{Limits: Limits{1, -1, 8, -1}, Count: 9}, "countHardLimit", 8, 9},
		{"a hard limit stands for the other", Quota{Limits: Limits{1, 1, 9, 9}, Count: 9, Bytes: 9}, "", 0, 0},
		{"bytes", Quota{Limits: Limits{-1, 8, -1, -1}, Bytes: 9}, "bytes", 8, 9},
		{"bytes, hard", Quota{Limits: Limits{-1, 8, -1, 0}, Bytes: 9}, "byteHardLimit", 0, 9},
	} {
		limit, bound, figure := c.q.Exceeded()
		require.Equal(t, []any{c.limit, c.bound, c.figure}, []any{limit, bound, figure}, c.name)
	}
}
