package migrate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

var ann = znode.ACL{{Perms: znode.AllPerms, Scheme: "digest", ID: "ann:GiRr2Cq3nWNHVbMKVCrXkMqDLAk="}}

func once(t *testing.T, src, dst *service, root string) Total {
	total, err := NewCopier(src, dst, root, nil).Run(t.Context(), Options{Once: true})
	require.NoError(t, err)
	return total
}

func TestATreeIsCopiedWithDataACLsAndCounters(t *testing.T) {
	src, dst := newService("/a", "/a/b", "/a/b/c", "/other"), newService()
	src.must(
		Change{Kind: Create, Path: "/a/null", ACL: ann}, Change{Kind: Create, Path: "/a/empty", Data: []byte{}, ACL: znode.ReadACL},
		Change{Kind: Delete, Path: "/a/b/c"}, Change{Kind: SetACL, Path: "/a", ACL: ann},
	)
	total := once(t, src, dst, "/a")
	require.Equal(t, src.shown("/a"), dst.shown("/a"))
	require.NotContains(t, dst.nodes, "/other")
	require.EqualValues(t, 1, dst.nodes["/a/b"].Created, "of a child that is gone")
	require.Zero(t, total.Verdict.Different)
	require.Equal(t, 4, total.Verdict.Compared)
	require.Equal(t, Pass{Looked: 4, Created: 4, Raised: 2, Bytes: total.Bytes}, total.Pass)
}

func TestTheWholeTreeIsCopiedWithoutSystemNodes(t *testing.T) {
	src, dst := newService("/a", "/zookeeper/mine"), newService()
	src.must(Change{Kind: SetData, Path: "/", Data: []byte("root")})
	once(t, src, dst, "/")
	require.Equal(t, "root", string(dst.nodes["/"].data))
	require.Contains(t, dst.nodes, "/a")
	require.NotContains(t, dst.nodes, "/zookeeper/mine")
}

func TestMissingNodesAboveTheTreeAreCopiedAndOthersLeft(t *testing.T) {
	src, dst := newService("/a", "/a/b", "/a/b/c"), newService()
	src.must(Change{Kind: SetACL, Path: "/a/b", ACL: ann})
	dst.must(Change{Kind: Create, Path: "/a", Data: []byte("mine"), ACL: znode.ReadACL})
	once(t, src, dst, "/a/b/c")
	require.Equal(t, "mine", string(dst.nodes["/a"].data))
	require.Equal(t, ann, dst.nodes["/a/b"].acl)
	require.Contains(t, dst.nodes, "/a/b/c")
}

func TestEphemeralNodesAreCountedAndNotCopied(t *testing.T) {
	src, dst := newService("/a"), newService()
	src.ephemeral("/a/e-0000000000")
	total := once(t, src, dst, "/a")
	require.NotContains(t, dst.nodes, "/a/e-0000000000")
	require.Equal(t, 1, total.Ephemerals)
	require.Equal(t, 1, total.Verdict.Ephemerals)
	require.EqualValues(t, 1, dst.nodes["/a"].Created, "its number is not given again")
}

func TestAPassFetchesOnlyWhatChanged(t *testing.T) {
	src, dst := newService("/a", "/a/b", "/a/c", "/a/d"), newService()
	c := NewCopier(src, dst, "/a", nil)
	require.NoError(t, c.Prepare(t.Context(), false))
	pass := func() Pass {
		p, err := c.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, src.shown("/a"), dst.shown("/a"))
		return p
	}
	require.Equal(t, 4, pass().Created)
	src.looks = 0
	p := pass()
	require.True(t, p.quiet())
	require.Equal(t, 4, src.looks)

	src.looks = 0
	src.must(Change{Kind: SetData, Path: "/a/b", Data: nil})
	src.must(Change{Kind: SetACL, Path: "/a/c", ACL: ann})
	require.Equal(t, Pass{Looked: 4, Changed: 2}, pass())
	require.Equal(t, 6, src.looks)

	src.must(Change{Kind: Delete, Path: "/a/d"}, Change{Kind: Create, Path: "/a/e", ACL: ann})
	require.Equal(t, Pass{Looked: 4, Created: 1, Deleted: 1, Raised: 1}, pass())
}

func TestANodeMadeAnewIsCopiedAnew(t *testing.T) {
	src, dst := newService("/a", "/a/b", "/a/b/c"), newService()
	c := NewCopier(src, dst, "/a", nil)
	require.NoError(t, c.Prepare(t.Context(), false))
	_, err := c.Pass(t.Context())
	require.NoError(t, err)
	src.must(Change{Kind: Delete, Path: "/a/b/c"}, Change{Kind: Delete, Path: "/a/b"}, Change{Kind: Create, Path: "/a/b", ACL: ann})
	_, err = c.Pass(t.Context())
	require.NoError(t, err)
	require.Equal(t, ann, dst.nodes["/a/b"].acl)
	require.NotContains(t, dst.nodes, "/a/b/c")

	src.must(Change{Kind: Delete, Path: "/a/b"})
	src.ephemeral("/a/b")
	_, err = c.Pass(t.Context())
	require.NoError(t, err)
	require.NotContains(t, dst.nodes, "/a/b", "it belongs to a session now")
}

// While the source changes at random under every look, passes come nearer, and
// once it stands still the next one or two make both sides the same.
func TestAnyMixtureOfChangesEndsEqual(t *testing.T) {
	for seed := range uint64(200) {
		src, dst := newService("/a"), newService()
		r := rand.New(rand.NewPCG(seed, 2))
		var mu sync.Mutex
		mutate := func(oneIn int) {
			mu.Lock()
			defer mu.Unlock()
			if r.IntN(oneIn) > 0 {
				return
			}
			depth, path := 1+r.IntN(3), "/a"
			for range depth {
				path += fmt.Sprintf("/%d", r.IntN(3))
			}
			change := Change{Kind: ChangeKind(r.IntN(4)), Path: path, Data: fmt.Append(nil, r.IntN(100)), ACL: []znode.ACL{ann, znode.OpenACL}[r.IntN(2)]}
			_, _ = src.Apply(context.Background(), []Change{change}) // many fail
		}
		for range 30 {
			mutate(1)
		}
		src.before = func() { mutate(3) }
		c := NewCopier(src, dst, "/a", nil)
		require.NoError(t, c.Prepare(t.Context(), false))
		for range 3 {
			_, err := c.Pass(t.Context())
			require.NoError(t, err)
		}
		src.before = nil
		total := Total{}
		require.NoError(t, (&run{Copier: c, total: &total}).finish(t.Context()))
		require.LessOrEqual(t, total.Passes, 3)
		require.Equal(t, src.shown("/a"), dst.shown("/a"), "seed %d", seed)
		v, err := c.Verify(t.Context())
		require.NoError(t, err)
		require.Empty(t, v.Differences)
		require.Empty(t, c.Problems())
	}
}

func TestLargeLevelsGoInManyTransactions(t *testing.T) {
	src, dst := newService("/a"), newService()
	var changes []Change
	for i := range 3 * batchOps {
		changes = append(changes, Change{Kind: Create, Path: fmt.Sprintf("/a/%d", i), ACL: znode.OpenACL})
	}
	src.must(changes...)
	total := once(t, src, dst, "/a")
	require.LessOrEqual(t, dst.most, batchOps)
	require.Equal(t, len(changes)+1, total.Verdict.Compared)
	require.Zero(t, total.Verdict.Different)
}

func TestLargeNodesAreHeldInFewerAtOnce(t *testing.T) {
	large := &item{seen: Node{Data: make([]byte, chunkBytes+1)}}
	require.Equal(t, 64, nextChunk(256, []*item{nil, large}))
	require.Equal(t, leastChunk, nextChunk(leastChunk, []*item{large}))
	require.Equal(t, 512, nextChunk(256, nil))
	require.Equal(t, mostChunk, nextChunk(mostChunk, nil))
	small := &item{}
	small.changes = small.create()
	large.changes = large.create()
	require.Len(t, batched([]*item{small, small}), 1)
	require.Len(t, batched([]*item{large, small, small, large}), 3)
}

func TestWhatIsAtTheTargetAlreadyIsNotTouchedUnasked(t *testing.T) {
	src, dst := newService("/a", "/a/b"), newService("/a", "/a/mine")
	_, err := NewCopier(src, dst, "/a", nil).Run(t.Context(), Options{Once: true})
	require.ErrorIs(t, err, ErrNotEmpty)
	require.ErrorContains(t, err, "/a/mine")
	require.Contains(t, dst.nodes, "/a/mine")

	total, err := NewCopier(src, dst, "/a", nil).Run(t.Context(), Options{Once: true, Resume: true})
	require.NoError(t, err)
	require.Zero(t, total.Verdict.Different)
	require.NotContains(t, dst.nodes, "/a/mine")
	require.Equal(t, 1, total.Deleted)
}

func TestATopNodeThatIsThereIsOverwritten(t *testing.T) {
	src, dst := newService("/a"), newService()
	dst.must(Change{Kind: Create, Path: "/a", Data: []byte("old"), ACL: znode.ReadACL})
	require.Zero(t, once(t, src, dst, "/a").Verdict.Different)
}

func TestASourceWithoutTheTreeIsAnError(t *testing.T) {
	_, err := NewCopier(newService(), newService(), "/a", nil).Run(t.Context(), Options{Once: true})
	require.ErrorIs(t, err, znode.ErrNoNode)
}

func TestWhatCannotBeCopiedIsListedAndTheRestIsCopied(t *testing.T) {
	src, dst := newService("/a", "/a/ok", "/a/hidden", "/a/hidden/c", "/a/refused", "/a/refused/c"), newService()
	src.must(
		Change{Kind: Create, Path: "/a/concealed", ACL: znode.ACL{{Perms: 31, Scheme: "digest", ID: "ann:x"}}},
		Change{Kind: Create, Path: "/a/" + strings.Repeat("x", 1100), ACL: znode.OpenACL},
	)
	src.hide = map[string]bool{"/a/hidden": true}
	dst.refuse = func(c *Change) error {
		if c.Path == "/a/refused" {
			return znode.ErrInvalidACL
		}
		return nil
	}
	c := NewCopier(src, dst, "/a", nil)
	total, err := c.Run(t.Context(), Options{Once: true})
	require.NoError(t, err)
	require.Contains(t, dst.nodes, "/a/ok")
	require.Equal(t, 4, total.Problems)
	var why []string
	for _, p := range c.Problems() {
		why = append(why, p.Reason)
	}
	require.Len(t, why, 4)
	require.Contains(t, why[0], "without the proofs")
	require.Contains(t, why[1], "may not be read")
	require.Contains(t, why[2], "target refuses")
	require.Contains(t, why[3], "longer than 1024 bytes")
	require.GreaterOrEqual(t, total.Verdict.Different, 4)
}

func TestNothingBelowANodeThatCanNoLongerBeReadIsDeleted(t *testing.T) {
	src, dst := newService("/a", "/a/b", "/a/b/c"), newService()
	c := NewCopier(src, dst, "/a", nil)
	require.NoError(t, c.Prepare(t.Context(), false))
	_, err := c.Pass(t.Context())
	require.NoError(t, err)
	src.hide = map[string]bool{"/a/b": true}
	p, err := c.Pass(t.Context())
	require.NoError(t, err)
	require.Zero(t, p.Deleted)
	require.Contains(t, dst.nodes, "/a/b/c")
	src.hide = nil
	_, err = c.Pass(t.Context())
	require.NoError(t, err)
	require.Empty(t, c.Problems())
}

func TestATargetThatChangesUnderUsIsMadeRight(t *testing.T) {
	src, dst := newService("/a", "/a/b", "/a/b/c"), newService()
	c := NewCopier(src, dst, "/a", nil)
	require.NoError(t, c.Prepare(t.Context(), false))
	_, err := c.Pass(t.Context())
	require.NoError(t, err)
	dst.must(Change{Kind: Delete, Path: "/a/b/c"}, Change{Kind: Create, Path: "/a/d", ACL: znode.ReadACL})
	src.must(Change{Kind: SetData, Path: "/a/b/c", Data: []byte("new")}, Change{Kind: Create, Path: "/a/d", ACL: ann})
	total := Total{}
	require.NoError(t, (&run{Copier: c, total: &total}).finish(t.Context()))
	v, err := c.Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, v.Differences)
	require.Equal(t, "new", string(dst.nodes["/a/b/c"].data))
}

func TestAnErrorOfTheTargetEndsIt(t *testing.T) {
	broken := errors.New("broken")
	src, dst := newService("/a", "/a/b"), newService()
	dst.refuse = func(*Change) error { return broken }
	_, err := NewCopier(src, dst, "/a", nil).Run(t.Context(), Options{Once: true})
	require.ErrorIs(t, err, broken)
}

func TestEveryKindOfDifferenceIsFound(t *testing.T) {
	src := newService("/a", "/a/data", "/a/null", "/a/acl", "/a/counter", "/a/counter/x", "/a/missing", "/a/session", "/a/same")
	dst := newService("/a", "/a/data", "/a/null", "/a/acl", "/a/counter", "/a/more", "/a/session", "/a/same")
	dst.ephemeral("/a/theirs")
	n := src.nodes["/a/session"]
	n.Ephemeral = true
	src.nodes["/a/session"] = n
	src.must(Change{Kind: Delete, Path: "/a/counter/x"})
	src.must(Change{Kind: SetData, Path: "/a/null"})
	dst.must(Change{Kind: SetData, Path: "/a/null", Data: []byte{}}, Change{Kind: SetData, Path: "/a/data"}, Change{Kind: SetACL, Path: "/a/acl", ACL: ann})
	v, err := NewCopier(src, dst, "/a", nil).Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Difference{
		{"/a/acl", "has another ACL"},
		{"/a/counter", "has a lower sequence counter at the target"},
		{"/a/data", "has other data"},
		{"/a/missing", "is at the source alone"},
		{"/a/more", "is at the target alone"},
		{"/a/null", "has other data"},
		{"/a/session", "is ephemeral at the source and not at the target"},
	}, v.Differences)
	require.Equal(t, 7, v.Different)
}

func TestQuotasOfTheTreeComeAlong(t *testing.T) {
	src := newService("/a", "/b")
	for _, path := range []string{"/zookeeper/quota/a", "/zookeeper/quota/a/zookeeper_limits", "/zookeeper/quota/a/zookeeper_stats", "/zookeeper/quota/b", "/zookeeper/quota/b/zookeeper_limits"} {
		src.must(Change{Kind: Create, Path: path, Data: []byte("count=5,bytes=-1"), ACL: znode.OpenACL})
	}
	dst := newService("/zookeeper/quota/a", "/zookeeper/quota/a/zookeeper_limits", "/zookeeper/quota/a/zookeeper_stats")
	require.Equal(t, 1, once(t, src, dst, "/a").Quotas)
	require.Equal(t, "count=5,bytes=-1", string(dst.nodes["/zookeeper/quota/a/zookeeper_limits"].data))
	require.Equal(t, "of /zookeeper/quota/a/zookeeper_stats", string(dst.nodes["/zookeeper/quota/a/zookeeper_stats"].data), "the target counts for itself")
	require.NotContains(t, dst.nodes, "/zookeeper/quota/b")

	whole := newService()
	require.Equal(t, 2, once(t, src, whole, "/").Quotas)
	require.Contains(t, whole.nodes, "/zookeeper/quota/b/zookeeper_limits")
}

func TestItCutsOverWhenTheSourceHasBeenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst := newService("/a"), newService()
		go func() {
			for i := range 10 {
				time.Sleep(4 * time.Second)
				src.must(Change{Kind: SetData, Path: "/a", Data: fmt.Append(nil, i)})
			}
		}()
		start := time.Now()
		total, err := NewCopier(src, dst, "/a", nil).Run(t.Context(), Options{Idle: 5 * time.Second, Pause: time.Second})
		require.NoError(t, err)
		require.Equal(t, "9", string(dst.nodes["/a"].data))
		require.InDelta(t, 45, time.Since(start).Seconds(), 2)
		require.Zero(t, total.Verdict.Different)
	})
}

func TestItCutsOverWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst := newService("/a"), newService()
		cutOver := make(chan struct{})
		go func() {
			time.Sleep(90 * time.Second)
			src.must(Change{Kind: SetData, Path: "/a", Data: []byte("last")})
			close(cutOver)
		}()
		var told []int
		total, err := NewCopier(src, dst, "/a", nil).Run(t.Context(), Options{CutOver: cutOver, Pause: time.Second, Passed: func(n int, _ Pass) { told = append(told, n) }})
		require.NoError(t, err)
		require.Equal(t, "last", string(dst.nodes["/a"].data))
		require.Equal(t, total.Passes, len(told))
		require.Equal(t, total.Passes+1, src.syncs, "before every pass and the comparison")

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = NewCopier(src, newService(), "/a", nil).Run(ctx, Options{Pause: time.Second})
		require.ErrorIs(t, err, context.DeadlineExceeded, "nobody says when")
	})
}
