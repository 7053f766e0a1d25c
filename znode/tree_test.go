package znode

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	nobody = &Actor{}
	user   = &Actor{Session: 7, IDs: []Identity{{SchemeIP, "127.0.0.1"}, {SchemeDigest, "u:x1"}}}
	super  = &Actor{Session: 8, IDs: []Identity{{SchemeSuper, ""}}}
)

// do runs f in a transaction of its own and returns its effects.
func do(t *Tree, zxid uint64, f func() error) ([]Effect, error) {
	t.Begin(zxid, int64(zxid)*10)
	if err := f(); err != nil {
		t.Rollback()
		return nil, err
	}
	return t.Commit(), nil
}

// plantTree creates the paths as open persistent nodes, from zxid 1.
func plantTree(tb testing.TB, paths ...string) *Tree {
	tb.Helper()
	t := New()
	for i, path := range paths {
		create(tb, t, uint64(i+1), user, &CreateOp{Path: path})
	}
	return t
}

// create creates one node that must be possible; no ACL means OpenACL.
func create(tb testing.TB, t *Tree, zxid uint64, a *Actor, op *CreateOp) Created {
	tb.Helper()
	if op.ACL == nil {
		op.ACL = OpenACL
	}
	var c Created
	_, err := do(t, zxid, func() (err error) {
		c, err = t.Create(a, op)
		return err
	})
	require.NoError(tb, err)
	requireSound(tb, t)
	return c
}

// requireSound checks every stored figure against the nodes themselves, and
// that the records make the same tree again.
func requireSound(tb testing.TB, t *Tree) {
	tb.Helper()
	f := t.Freeze()
	require.Equal(tb, t.Digest(), f.Digest(nil), "digest")
	require.Equal(tb, t.Len(), f.Len())
	var bytes int64
	records := slices.Collect(f.All())
	for i := range records {
		bytes += int64(len(records[i].Data))
	}
	require.Equal(tb, t.DataBytes(), bytes)
	again, err := loadInRuns(records, len(records)/3)
	require.NoError(tb, err)
	require.Equal(tb, t.Digest(), again.Digest(), "digest after a load")
	require.Equal(tb, t.Len(), again.Len())
	require.Equal(tb, t.DataBytes(), again.DataBytes())
	require.Equal(tb, t.acls.holders(), again.acls.holders())
	wantMortals, _ := t.Mortals("", math.MaxInt)
	mortals, _ := again.Mortals("", math.MaxInt)
	require.Equal(tb, wantMortals, mortals)
	require.Len(tb, again.ephemerals, len(t.ephemerals))
	for session := range t.ephemerals {
		want, _ := t.Ephemerals(session, "", "", 0)
		got, _ := again.Ephemerals(session, "", "", 0)
		require.Equal(tb, want, got)
	}
	require.Equal(tb, t.root.descendants()+1, t.Len())
	t.root.walk(func(n *node) bool {
		require.Same(tb, n, t.index.get(n.path), n.path)
		require.Equal(tb, n.descendants(), again.index.get(n.path).descendants(), n.path)
		_, bytes := t.usage(n.path)
		_, want := again.usage(n.path)
		require.Equal(tb, want, bytes, n.path)
		return true
	})
	require.Equal(tb, sortedQuotas(again), sortedQuotas(t))
}

func (s *aclSet) holders() map[string]int {
	counts := map[string]int{}
	for key, a := range s.byKey {
		counts[key] = a.holders
	}
	return counts
}

func TestNewTreeHasTheSystemNodes(t *testing.T) {
	tree := New()
	requireSound(t, tree)
	require.Equal(t, 4, tree.Len())
	names, more, st, err := tree.Children(nobody, "/zookeeper", "", 0)
	require.NoError(t, err)
	require.False(t, more)
	require.Equal(t, []string{"config", "quota"}, names)
	require.Equal(t, Stat{NumChildren: 2}, st)
	n, err := tree.Count(nobody, "/")
	require.NoError(t, err)
	require.Equal(t, 3, n)
	acl, _, err := tree.ACL(nobody, "/zookeeper/config")
	require.NoError(t, err)
	require.Equal(t, ReadACL, acl)
}

func TestSystemNodesStay(t *testing.T) {
	tree := New()
	for _, path := range []string{"/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"} {
		for _, del := range []func() error{
			func() error { return tree.Delete(super, path, AnyVersion) },
			func() error { _, err := tree.DeleteAll(super, path, AnyVersion, 1000); return err },
		} {
			_, err := do(tree, 1, del)
			require.ErrorIs(t, err, ErrBadArguments, path)
		}
	}
	_, err := do(tree, 1, func() error { _, err := tree.Set(user, "/zookeeper/config", nil, -1); return err })
	require.ErrorIs(t, err, ErrNoAuth)
	_, err = do(tree, 1, func() error { _, err := tree.Set(super, "/zookeeper/config", []byte("x"), -1); return err })
	require.NoError(t, err)
	requireSound(t, tree)
}

func TestFirstSequenceUnderTheRootIsZero(t *testing.T) {
	tree := New()
	c := create(t, tree, 1, user, &CreateOp{Path: "/", Sequential: true})
	require.Equal(t, "/0000000000", c.Path)
	st, _, _ := tree.Peek("/")
	require.Equal(t, int64(1), st.Cversion)
	require.Equal(t, uint64(1), st.Pzxid)
}

func TestSequenceCountsEveryChildEverCreated(t *testing.T) {
	tree := plantTree(t, "/p", "/p/a", "/p/b")
	_, err := do(tree, 4, func() error { return tree.Delete(user, "/p/a", -1) })
	require.NoError(t, err)
	require.Equal(t, "/p/n-0000000002", create(t, tree, 5, user, &CreateOp{Path: "/p/n-", Sequential: true}).Path)
	require.Equal(t, "/p/0000000003", create(t, tree, 6, user, &CreateOp{Path: "/p/", Sequential: true}).Path)
	require.Equal(t, "/p/q/r0000000000", create(t, tree, 7, user, &CreateOp{Path: "/p/q/r", Sequential: true, Parents: true}).Path)

	tree.Begin(8, 0)
	c, err := tree.Create(user, &CreateOp{Path: "/p/n-", Sequential: true, ACL: OpenACL})
	require.NoError(t, err)
	require.Equal(t, "/p/n-0000000005", c.Path)
	tree.Rollback()
	require.Equal(t, "/p/n-0000000005", create(t, tree, 9, user, &CreateOp{Path: "/p/n-", Sequential: true}).Path, "a failed multi does not advance it")
}

func TestSequencePathHasAtLeastTenDigits(t *testing.T) {
	tree := New()
	for number, want := range map[uint64]string{
		0: "0000000000", 1: "0000000001", 9: "0000000009", 10: "0000000010", 99: "0000000099",
		999_999_999: "0999999999", 1_000_000_000: "1000000000", 9_999_999_999: "9999999999",
		10_000_000_000: "10000000000", MaxCreated: "2305843009213693952",
	} {
		require.Equal(t, "/x"+want, tree.sequencePath("/x", number))
	}
}

func TestCreateRefusesWhenTheSequenceIsUsedUp(t *testing.T) {
	tree := plantTree(t, "/p", "/p/a")
	tree.index.get("/p").dir.created = MaxCreated
	_, err := do(tree, 3, func() error { _, err := tree.Create(user, &CreateOp{Path: "/p/b", ACL: OpenACL}); return err })
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorContains(t, err, "create /p/b: too large: the parent's sequence is used up")
}

func TestANarrowClientIsGivenNoSequenceNumberThatItCannotCount(t *testing.T) {
	number := func(created uint64, narrow bool) (string, error) {
		tree := New()
		records := slices.Collect(tree.Freeze().All())
		records[0].Sequence, records[0].Stat.Cversion = created, 2*int64(created)
		tree, err := load(records)
		require.NoError(t, err)
		tree.Begin(1, 1)
		c, err := tree.Create(user, &CreateOp{Path: "/n-", ACL: OpenACL, Sequential: true, Narrow: narrow})
		return c.Path, err
	}
	path, err := number(MaxNarrow, true)
	require.NoError(t, err)
	require.Equal(t, "/n-2147483647", path)
	_, err = number(MaxNarrow+1, true)
	require.ErrorIs(t, err, ErrTooLarge)
	require.EqualError(t, err, "create /n-: too large: sequence number 2147483648, and the client counts to 2147483647")
	path, err = number(MaxNarrow+1, false)
	require.NoError(t, err)
	require.Equal(t, "/n-2147483648", path)
}

func TestCreateChecksInZooKeepersOrder(t *testing.T) {
	tree := plantTree(t, "/open", "/open/taken")
	create(t, tree, 3, user, &CreateOp{Path: "/closed", ACL: ReadACL})
	create(t, tree, 4, user, &CreateOp{Path: "/eph", Kind: Ephemeral})
	_, err := do(tree, 4, func() error { _, err := tree.SetACL(super, "/zookeeper", ReadACL, AnyVersion); return err })
	require.NoError(t, err)
	long := "/" + strings.Repeat("x", MaxPathBytes-6)
	auth := ACL{{AllPerms, SchemeAuth, ""}}
	for _, c := range []struct {
		name string
		op   CreateOp
		a    *Actor
		want error
	}{
		{"bad path before bad ACL", CreateOp{Path: "/x/"}, user, ErrBadArguments},
		{"no slash", CreateOp{Path: "x", ACL: OpenACL}, user, ErrBadArguments},
		{"absent ACL before missing parent", CreateOp{Path: "/no/x"}, user, ErrInvalidACL},
		{"auth without a user", CreateOp{Path: "/x", ACL: auth}, nobody, ErrInvalidACL},
		{"missing parent", CreateOp{Path: "/no/x", ACL: OpenACL}, user, ErrNoNode},
		{"permission before name", CreateOp{Path: "/zookeeper/config/x", ACL: OpenACL}, user, ErrNoAuth},
		{"permission before a name that is taken", CreateOp{Path: "/zookeeper/config", ACL: OpenACL}, user, ErrNoAuth},
		{"permission at the deepest ancestor", CreateOp{Path: "/closed/x/y", ACL: OpenACL, Parents: true}, user, ErrNoAuth},
		{"name taken", CreateOp{Path: "/open/taken", ACL: OpenACL}, user, ErrNodeExists},
		{"root", CreateOp{Path: "/", ACL: OpenACL}, user, ErrNodeExists},
		{"under an ephemeral", CreateOp{Path: "/eph/x", ACL: OpenACL}, user, ErrNoChildrenForEphemerals},
		{"below an ephemeral", CreateOp{Path: "/eph/x/y", ACL: OpenACL, Parents: true}, user, ErrNoChildrenForEphemerals},
		{"sequence makes it too long", CreateOp{Path: long, ACL: OpenACL, Sequential: true}, user, ErrBadArguments},
		{"ephemeral without session", CreateOp{Path: "/x", ACL: OpenACL, Kind: Ephemeral}, nobody, ErrBadArguments},
		{"TTL of nothing", CreateOp{Path: "/x", ACL: OpenACL, Kind: TTL}, user, ErrBadArguments},
		{"TTL too long", CreateOp{Path: "/x", ACL: OpenACL, Kind: TTL, TTLMs: 1 << 40}, user, ErrBadArguments},
		{"TTL of a persistent node", CreateOp{Path: "/x", ACL: OpenACL, TTLMs: 1}, user, ErrBadArguments},
		{"unknown kind", CreateOp{Path: "/x", ACL: OpenACL, Kind: TTL + 1}, user, ErrBadArguments},
		{"sequential if absent", CreateOp{Path: "/x", ACL: OpenACL, Sequential: true, IfAbsent: true}, user, ErrBadArguments},
		{"one ephemeral too many", CreateOp{Path: "/x", ACL: OpenACL, Kind: Ephemeral, MaxEphemerals: 1}, user, ErrTooManyEphemerals},
		{"if absent, unreadable", CreateOp{Path: "/open/secret", ACL: OpenACL, IfAbsent: true}, nobody, ErrNoAuth},
	} {
		t.Run(c.name, func(t *testing.T) {
			if tree.index.get("/open/secret") == nil {
				create(t, tree, 5, user, &CreateOp{Path: "/open/secret", ACL: CreatorACL})
			}
			before := tree.Digest()
			tree.Begin(9, 90)
			_, err := tree.Create(c.a, &c.op)
			require.ErrorIs(t, err, c.want)
			require.Empty(t, tree.Commit())
			require.Equal(t, before, tree.Digest())
		})
	}
}

func TestCreateOfTheRootWantsCreateOnIt(t *testing.T) {
	tree := New()
	_, err := do(tree, 1, func() error { _, err := tree.SetACL(super, "/", ReadACL, AnyVersion); return err })
	require.NoError(t, err)
	for a, want := range map[*Actor]error{user: ErrNoAuth, super: ErrNodeExists} {
		_, err := do(tree, 2, func() error { _, err := tree.Create(a, &CreateOp{Path: "/", ACL: OpenACL}); return err })
		require.ErrorIs(t, err, want)
	}
}

func TestCreateIfAbsentAndParents(t *testing.T) {
	tree := New()
	tree.Begin(5, 50)
	acl := ACL{{AllPerms, SchemeDigest, "u:x1"}}
	c, err := tree.Create(user, &CreateOp{Path: "/a/b/c", Data: []byte("v"), ACL: CreatorACL, Parents: true, Kind: Ephemeral, IfAbsent: true})
	require.NoError(t, err)
	require.False(t, c.Existed)
	effects := tree.Commit()
	require.Len(t, effects, 3)
	for i, path := range []string{"/a", "/a/b", "/a/b/c"} {
		want := Effect{Zxid: 5, Type: NodeCreated, Path: path, ACL: acl, ParentACL: acl}
		if i == 0 {
			want.ParentACL = OpenACL
		}
		require.Equal(t, want, effects[i])
	}
	st, got, ok := tree.Peek("/a/b")
	require.True(t, ok)
	require.Equal(t, acl, got)
	require.Equal(t, Stat{Czxid: 5, Mzxid: 5, Pzxid: 5, CtimeMs: 50, MtimeMs: 50, Cversion: 1, NumChildren: 1}, st)

	tree.Begin(6, 60)
	c, err = tree.Create(user, &CreateOp{Path: "/a/b/c", Data: []byte("w"), ACL: OpenACL, IfAbsent: true})
	require.NoError(t, err)
	require.True(t, c.Existed)
	require.Equal(t, uint64(5), c.Stat.Czxid)
	require.Equal(t, user.Session, c.Stat.Owner)
	require.Empty(t, tree.Commit())
	requireSound(t, tree)
}

func TestTheTreeKeepsNothingOfARequest(t *testing.T) {
	tree := New()
	data, id := []byte("data"), []byte("u:hash")
	create(t, tree, 1, user, &CreateOp{Path: "/a", Data: data, ACL: ACL{{AllPerms, SchemeDigest, string(id)}, {Read, SchemeWorld, "anyone"}}})
	copy(data, "XXXX")
	got, _, err := tree.Get(nobody, "/a")
	require.NoError(t, err)
	require.Equal(t, "data", string(got))
	require.Equal(t, len(got), cap(got), "an append must not reach what others read")
	create(t, tree, 2, user, &CreateOp{Path: "/null"})
	create(t, tree, 3, user, &CreateOp{Path: "/empty", Data: data[:0]})
	null, _, _ := tree.Get(user, "/null")
	empty, _, _ := tree.Get(user, "/empty")
	require.Nil(t, null)
	require.NotNil(t, empty)
	require.Empty(t, empty)
}

func TestDeleteChecksInZooKeepersOrder(t *testing.T) {
	tree := plantTree(t, "/p", "/p/c")
	create(t, tree, 3, user, &CreateOp{Path: "/guarded", ACL: ACL{{Read | Create, SchemeWorld, "anyone"}}})
	create(t, tree, 4, user, &CreateOp{Path: "/guarded/x"})
	_, err := do(tree, 5, func() error { _, err := tree.SetACL(super, "/", ReadACL, AnyVersion); return err })
	require.NoError(t, err)
	for _, c := range []struct {
		name, path string
		a          *Actor
		version    int64
		want       error
	}{
		{"no slash", "no", super, AnyVersion, ErrBadArguments},
		{"broken path before a forbidden parent", "/guarded/..", user, AnyVersion, ErrBadArguments},
		{"system node before its version and a forbidden parent", "/zookeeper", user, 9, ErrBadArguments},
		{"missing parent", "/no/x", user, AnyVersion, ErrNoNode},
		{"forbidden parent of a node that is there", "/guarded/x", user, AnyVersion, ErrNoAuth},
		{"forbidden parent of one that is not", "/guarded/y", user, AnyVersion, ErrNoAuth},
		{"forbidden parent before the version", "/guarded/x", user, 9, ErrNoAuth},
		{"forbidden parent before the children", "/p", user, AnyVersion, ErrNoAuth},
		{"missing node", "/guarded/y", super, AnyVersion, ErrNoNode},
		{"missing node before its version", "/p/d", user, 9, ErrNoNode},
		{"version before the children", "/p", super, 9, ErrBadVersion},
		{"children", "/p", super, 0, ErrNotEmpty},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := do(tree, 6, func() error { return tree.Delete(c.a, c.path, c.version) })
			require.ErrorIs(t, err, c.want)
			if c.want == ErrNotEmpty {
				return
			}
			_, err = do(tree, 6, func() error { _, err := tree.DeleteAll(c.a, c.path, c.version, 100); return err })
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestDeleteChangesTheParentsCounters(t *testing.T) {
	tree := plantTree(t, "/p", "/p/c")
	effects, err := do(tree, 6, func() error { return tree.Delete(user, "/p/c", 0) })
	require.NoError(t, err)
	require.Equal(t, []Effect{{Zxid: 6, Type: NodeDeleted, Path: "/p/c", ACL: OpenACL, ParentACL: OpenACL}}, effects)
	st, _, _ := tree.Peek("/p")
	require.Equal(t, int64(2), st.Cversion)
	require.Equal(t, uint64(6), st.Pzxid)
	require.Equal(t, uint64(1), st.Mzxid)
	requireSound(t, tree)
}

func TestDeleteAllDeletesAllOrNothingChildrenFirst(t *testing.T) {
	tree := plantTree(t, "/p", "/p/b", "/p/a", "/p/a/x", "/p-q")
	create(t, tree, 6, user, &CreateOp{Path: "/p/a/e", Kind: Ephemeral})
	_, err := do(tree, 7, func() error { _, err := tree.DeleteAll(user, "/p", AnyVersion, 4); return err })
	require.ErrorIs(t, err, ErrTooLarge)
	require.EqualError(t, err, "deleteall /p: too large: 5 nodes, at most 4 in one delete")
	_, err = do(tree, 7, func() error { _, err := tree.DeleteAll(user, "/p", 1, 5); return err })
	require.ErrorIs(t, err, ErrBadVersion)

	tree.Freeze() // so that the deletes copy nodes on their way
	effects, err := do(tree, 8, func() error {
		n, err := tree.DeleteAll(user, "/p", AnyVersion, 5)
		require.Equal(t, 5, n)
		return err
	})
	require.NoError(t, err)
	var paths []string
	for _, e := range effects {
		require.Equal(t, NodeDeleted, e.Type)
		paths = append(paths, e.Path)
	}
	require.Equal(t, []string{"/p/a/e", "/p/a/x", "/p/a", "/p/b", "/p"}, paths)
	require.Zero(t, tree.NumEphemerals(user.Session))
	requireSound(t, tree)
	require.Equal(t, 5, tree.Len())

	create(t, tree, 9, super, &CreateOp{Path: "/q/guarded/x", Parents: true, ACL: ReadACL})
	before := tree.Digest()
	tree.Begin(10, 0)
	_, err = tree.DeleteAll(user, "/q", AnyVersion, 100)
	require.ErrorIs(t, err, ErrNoAuth)
	require.Empty(t, tree.Commit())
	require.Equal(t, before, tree.Digest())
}

func TestSetAndSetACL(t *testing.T) {
	tree := plantTree(t, "/a")
	effects, err := do(tree, 2, func() error {
		st, err := tree.Set(user, "/a", []byte("v"), 0)
		require.Equal(t, Stat{Czxid: 1, Mzxid: 2, Pzxid: 1, CtimeMs: 10, MtimeMs: 20, Version: 1, DataLength: 1}, st)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, []Effect{{Zxid: 2, Type: DataChanged, Path: "/a", ACL: OpenACL, ParentACL: OpenACL}}, effects)
	_, err = do(tree, 3, func() error { _, err := tree.Set(user, "/a", nil, 0); return err })
	require.ErrorIs(t, err, ErrBadVersion)
	_, err = do(tree, 3, func() error { _, err := tree.SetACL(user, "/a", ReadACL, 1); return err })
	require.ErrorIs(t, err, ErrBadVersion)
	_, err = do(tree, 3, func() error {
		st, err := tree.SetACL(user, "/a", ReadACL, 0)
		require.Equal(t, int64(1), st.Aversion)
		require.Equal(t, uint64(2), st.Mzxid)
		return err
	})
	require.NoError(t, err)
	_, err = do(tree, 4, func() error { _, err := tree.Set(user, "/a", nil, -1); return err })
	require.ErrorIs(t, err, ErrNoAuth)
	_, err = do(tree, 4, func() error { _, err := tree.SetACL(user, "/a", OpenACL, -1); return err })
	require.ErrorIs(t, err, ErrNoAuth)
	_, err = do(tree, 4, func() error { _, err := tree.SetACL(super, "/a", ACL{{0, "kerberos", "x"}}, -1); return err })
	require.ErrorIs(t, err, ErrInvalidACL)
	require.NoError(t, tree.Check(user, "/a", 1))
	requireSound(t, tree)
}

func TestCheckWantsReadAndTheVersion(t *testing.T) {
	tree := plantTree(t, "/a")
	create(t, tree, 2, user, &CreateOp{Path: "/s", ACL: CreatorACL})
	tree.Begin(3, 0)
	require.NoError(t, tree.Check(user, "/a", 0))
	require.NoError(t, tree.Check(user, "/a", AnyVersion))
	require.ErrorIs(t, tree.Check(user, "/a", 1), ErrBadVersion)
	require.ErrorIs(t, tree.Check(user, "/a", -2), ErrBadVersion)
	require.ErrorIs(t, tree.Check(user, "/b", 0), ErrNoNode)
	require.ErrorIs(t, tree.Check(nobody, "/s", 0), ErrNoAuth)
	require.Empty(t, tree.Commit())
}

func TestEffectsCarryTheACLsInForceAfterTheTransaction(t *testing.T) {
	tree := plantTree(t, "/p")
	closed := ACL{{AllPerms, SchemeDigest, "u:x1"}}
	tree.Begin(2, 0)
	for _, step := range []func() error{
		func() error { _, err := tree.Create(user, &CreateOp{Path: "/p/old", ACL: ReadACL}); return err },
		func() error { return tree.Delete(user, "/p/old", -1) },
		func() error { _, err := tree.Create(user, &CreateOp{Path: "/p/old", ACL: OpenACL}); return err },
		func() error { _, err := tree.SetACL(user, "/p/old", closed, -1); return err },
		func() error { _, err := tree.SetACL(user, "/p", closed, -1); return err },
	} {
		require.NoError(t, step())
	}
	var got []Effect
	for _, e := range tree.Commit() {
		e.Zxid = 0
		got = append(got, e)
	}
	require.Equal(t, []Effect{
		{Type: NodeCreated, Path: "/p/old", ACL: ReadACL, ParentACL: closed},
		{Type: NodeDeleted, Path: "/p/old", ACL: ReadACL, ParentACL: closed},
		{Type: NodeCreated, Path: "/p/old", ACL: closed, ParentACL: closed},
		{Type: ACLChanged, Path: "/p/old", ACL: closed, ParentACL: closed},
		{Type: ACLChanged, Path: "/p", ACL: closed, ParentACL: OpenACL},
	}, got)
}

func TestErrorsNameOperationAndPath(t *testing.T) {
	tree := plantTree(t, "/a", "/a/b")
	_, _, err := tree.Get(user, "/a/x")
	require.EqualError(t, err, "get /a/x: node does not exist")
	require.True(t, errors.Is(err, ErrNoNode))
	_, _, err = tree.Get(user, "/a//x")
	require.EqualError(t, err, `path "/a//x" has an empty name (at byte 3)`)
	_, err = do(tree, 3, func() error { return tree.Delete(user, "/a", -1) })
	require.EqualError(t, err, "delete /a: node has children")
}

func TestMisuseOfTransactionsPanics(t *testing.T) {
	tree := New()
	require.Panics(t, func() { _ = tree.Delete(user, "/a", -1) })
	require.Panics(t, func() { tree.Commit() })
	require.Panics(t, func() { tree.Rollback() })
	tree.Begin(1, 1)
	require.Panics(t, func() { tree.Begin(2, 2) })
	require.Panics(t, func() { tree.Freeze() })
}

func TestMortalsComeRoundInBoundedSteps(t *testing.T) {
	tree := New()
	for i, path := range []string{"/c", "/a", "/b"} {
		create(t, tree, uint64(i+1), user, &CreateOp{Path: path, Kind: TTL, TTLMs: 5})
	}
	create(t, tree, 4, user, &CreateOp{Path: "/box", Kind: Container})
	var paths []string
	calls, cursor := 0, ""
	for calls == 0 || cursor != "" {
		var some []Mortal
		some, cursor = tree.Mortals(cursor, calls%3) // 0 is taken for 1
		require.LessOrEqual(t, len(some), max(calls%3, 1))
		for _, m := range some {
			paths = append(paths, m.Path)
		}
		calls++
	}
	require.Equal(t, []string{"/a", "/b", "/c"}, paths, "a container that never had a child is not mortal")
}

func TestReapTakesOnlyWhatHasNotChanged(t *testing.T) {
	tree := plantTree(t, "/p")
	create(t, tree, 2, user, &CreateOp{Path: "/ttl", Kind: TTL, TTLMs: 5})
	create(t, tree, 3, user, &CreateOp{Path: "/box", Kind: Container})
	create(t, tree, 4, user, &CreateOp{Path: "/box/x"})
	for _, c := range []struct {
		path         string
		mzxid, pzxid uint64
		want         error
	}{
		{"/no", 1, 1, ErrNoNode},
		{"/p", 1, 1, ErrBadVersion},
		{"/ttl", 1, 2, ErrBadVersion},
		{"/ttl", 2, 1, ErrBadVersion},
		{"/box", 3, 4, ErrNotEmpty},
		{"/ttl", 2, 2, nil},
	} {
		_, err := do(tree, 9, func() error { return tree.Reap(c.path, c.mzxid, c.pzxid) })
		require.ErrorIs(t, err, c.want, c.path)
	}
	require.Nil(t, tree.index.get("/ttl"))
	requireSound(t, tree)
}

func TestRaiseSequenceIsAsIfChildrenHadComeAndGone(t *testing.T) {
	tree := plantTree(t, "/p", "/p/c", "/leaf")
	create(t, tree, 4, user, &CreateOp{Path: "/eph", Kind: Ephemeral})
	raise := func(a *Actor, path string, atLeast int64) ([]Effect, error) {
		return do(tree, 5, func() error { return tree.RaiseSequence(a, path, atLeast) })
	}
	for _, c := range []struct {
		name, path string
		a          *Actor
		atLeast    int64
		want       error
	}{
		{"no superuser, whether the node is there", "/p", user, 5, ErrNoAuth},
		{"or not", "/no", user, 5, ErrNoAuth},
		{"below zero", "/p", super, -1, ErrBadArguments},
		{"more than there may ever be", "/p", super, MaxCreated + 1, ErrBadArguments},
		{"no node", "/no", super, 5, ErrNoNode},
		{"no path", "/p/", super, 5, ErrBadArguments},
		{"an ephemeral", "/eph", super, 5, ErrNoChildrenForEphemerals},
	} {
		_, err := raise(c.a, c.path, c.atLeast)
		require.ErrorIs(t, err, c.want, c.name)
	}
	before := tree.Digest()
	effects, err := raise(super, "/p", 1)
	require.NoError(t, err)
	require.Empty(t, effects, "there is nothing to change")
	require.Equal(t, before, tree.Digest())

	tree.Begin(6, 60)
	require.NoError(t, tree.RaiseSequence(super, "/leaf", 9))
	tree.Rollback()
	require.Equal(t, before, tree.Digest())

	frozen := tree.Freeze()
	for _, path := range []string{"/p", "/leaf"} {
		was, _, _ := tree.Peek(path)
		effects, err := raise(super, path, 1<<31)
		require.NoError(t, err)
		require.Equal(t, []Effect{{Zxid: 5, Type: SequenceRaised, Path: path, ACL: OpenACL, ParentACL: OpenACL}}, effects)
		want := was
		want.Cversion = 2*1<<31 - int64(was.NumChildren)
		st, _, _ := tree.Peek(path)
		require.Equal(t, want, st)
		require.Equal(t, path+"/n2147483648", create(t, tree, 7, user, &CreateOp{Path: path + "/n", Sequential: true}).Path)
	}
	require.Equal(t, before, frozen.Digest(nil))
	requireSound(t, tree)
}
