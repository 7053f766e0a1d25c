package znode

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFrozenIsInPathOrderParentsFirst(t *testing.T) {
	tree := plantTree(t, "/b", "/a", "/a/x", "/a-b", "/a/x/y")
	var paths []string
	for r := range tree.Freeze().All() {
		paths = append(paths, r.Path)
	}
	require.Equal(t, []string{"/", "/a", "/a/x", "/a/x/y", "/a-b", "/b", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"}, paths)
	for range tree.Freeze().All() {
		break
	}
}

func TestFrozenDigestSeesAFlippedByte(t *testing.T) {
	tree := plantTree(t, "/a", "/a/b")
	create(t, tree, 3, user, &CreateOp{Path: "/a/c", Data: []byte("data")})
	f := tree.Freeze()
	require.Equal(t, tree.Digest(), f.Digest(nil))
	tree.index.get("/a/c").data[1] ^= 4
	require.NotEqual(t, tree.Digest(), f.Digest(nil))
	tree.index.get("/a/c").data[1] ^= 4
	tree.index.get("/a").dir.created++
	require.NotEqual(t, tree.Digest(), f.Digest(nil))
}

func TestADigestRemembersABoundedNumberOfACLs(t *testing.T) {
	tree := plantTree(t, "/a")
	for i := range maxACLsKnown + 10 {
		own := ACL{{AllPerms, SchemeIP, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)}, {AllPerms, SchemeWorld, anyone}}
		_, err := do(tree, uint64(3+i), func() error {
			_, err := tree.Create(user, &CreateOp{Path: fmt.Sprint("/a/", i), ACL: own})
			return err
		})
		require.NoError(t, err)
	}
	requireSound(t, tree)
	seen := 0
	require.Equal(t, tree.Digest(), tree.Freeze().Digest(func(int) bool { seen++; return true }))
	require.Equal(t, tree.Len(), seen)
	seen = 0
	tree.Freeze().Digest(func(int) bool { seen++; return seen < 3 })
	require.Equal(t, 3, seen)
}

// TestDigestIsPartOfTheFormat fails when the definition of the digest changes:
// voters of two versions would then disagree for ever.
func TestDigestIsPartOfTheFormat(t *testing.T) {
	tree, err := load(sampleRecords(t))
	require.NoError(t, err)
	require.Equal(t, "0xdfc03c73367c97db", fmt.Sprintf("%#x", tree.Digest()))
}

func TestDigestTellsEveryFieldApart(t *testing.T) {
	base := node{path: "/a", acl: &sharedACL{hash: 1}}
	hashes := map[uint64]string{base.hash(): "base"}
	for name, change := range map[string]func(*node){
		"body":     func(n *node) { n.body = bodyHash("/b", nil) },
		"null":     func(n *node) { n.body = bodyHash("/a", nil) },
		"empty":    func(n *node) { n.body = bodyHash("/a", []byte{}) },
		"data":     func(n *node) { n.body = bodyHash("/a", []byte{0}) },
		"acl":      func(n *node) { n.acl = &sharedACL{hash: 2} },
		"czxid":    func(n *node) { n.czxid, n.dir = 1, &dir{} },
		"mzxid":    func(n *node) { n.mzxid = 1 },
		"pzxid":    func(n *node) { n.dir = &dir{pzxid: 1} },
		"ctime":    func(n *node) { n.ctimeMs = 1 },
		"mtime":    func(n *node) { n.mtimeMs = 1 },
		"version":  func(n *node) { n.version = 1 },
		"cversion": func(n *node) { n.dir = &dir{deleted: 1} },
		"aversion": func(n *node) { n.aversion = 1 },
		"grant":    func(n *node) { n.grant = 1 },
		"kind":     func(n *node) { n.kind = Container },
		"sequence": func(n *node) { n.dir = &dir{created: 1} },
	} {
		n := base
		change(&n)
		require.Empty(t, hashes[n.hash()], name)
		hashes[n.hash()] = name
	}
}

// TestFrozenTreesAreReadBesideAWriter is for the race detector: readers take
// no lock, and each finds what was there when it was frozen.
func TestFrozenTreesAreReadBesideAWriter(t *testing.T) {
	tree := New()
	for i := range 3000 {
		create := &CreateOp{Path: fmt.Sprintf("/d%d/n%04d", i%7, i), Data: []byte("0"), ACL: OpenACL, Parents: true}
		_, err := do(tree, 1, func() error { _, err := tree.Create(user, create); return err })
		require.NoError(t, err)
	}
	var readers sync.WaitGroup
	for round := uint64(2); round < 12; round++ {
		f, digest, nodes := tree.Freeze(), tree.Digest(), tree.Len()
		readers.Go(func() {
			if got := f.Digest(nil); got != digest {
				t.Errorf("round %d: digest %x, want %x", round, got, digest)
			}
			if got := len(slices.Collect(f.All())); got != nodes {
				t.Errorf("round %d: %d nodes, want %d", round, got, nodes)
			}
		})
		for i := range 3000 {
			path := fmt.Sprintf("/d%d/n%04d", i%7, i)
			_, err := do(tree, round, func() error {
				switch (i + int(round)) % 5 {
				case 0:
					_, err := tree.Create(user, &CreateOp{Path: path, Kind: Ephemeral, ACL: ReadACL, IfAbsent: true})
					return err
				case 1:
					if tree.index.get(path) != nil {
						return tree.Delete(user, path, AnyVersion)
					}
				case 2:
					if tree.index.get(path) != nil {
						_, err := tree.SetACL(super, path, CreatorACL, AnyVersion)
						require.ErrorIs(t, err, ErrInvalidACL)
						_, err = tree.SetACL(super, path, OpenACL, AnyVersion)
						return err
					}
				default:
					if tree.index.get(path) != nil {
						_, err := tree.Set(super, path, []byte("1"), AnyVersion)
						return err
					}
				}
				return nil
			})
			require.NoError(t, err)
		}
	}
	readers.Wait()
	requireSound(t, tree)
}
