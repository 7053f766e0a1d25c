package znode

import (
	"fmt"
	"math/rand"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestTheIndexFindsWhatAMapFinds(t *testing.T) {
	for _, room := range []int{0, 1, 1000, 100_000} {
		x, twin := newIndex(room), map[string]*node{}
		random := rand.New(rand.NewSource(int64(room)))
		for range 20_000 {
			path := fmt.Sprintf("/%d", random.Intn(5000))
			switch random.Intn(4) {
			case 0:
				x.remove(path)
				delete(twin, path)
			default:
				n := &node{path: path}
				x.put(n)
				twin[path] = n
			}
			if x.get(path) != twin[path] || x.size != len(twin) { // require is slow
				t.Fatal(path, x.size, len(twin))
			}
		}
		for i := range 5000 {
			path := fmt.Sprintf("/%d", i)
			if x.get(path) != twin[path] {
				t.Fatal(path)
			}
			x.remove(path)
			if x.get(path) != nil {
				t.Fatal(path)
			}
		}
		require.Zero(t, x.size)
		for i := range x.buckets {
			require.Equal(t, bucket{hashes: x.bucket(i).hashes}, *x.bucket(i), "nothing is left behind")
		}
	}
}

func TestAnIndexerBuildsWhatPutBuilds(t *testing.T) {
	for _, nodes := range []int{0, 1, 1000, 2 * shards * bucketLoad, 30_000} {
		var x indexer
		var entries []entry
		for i := range nodes {
			n := &node{path: fmt.Sprintf("/%d", i)}
			entries = append(entries, entry{indexHash(n.path), n})
			if len(entries) == 777 || i == nodes-1 {
				x.add(entries)
				entries = nil
			}
		}
		built := x.index()
		require.Equal(t, nodes, built.size)
		for i := range nodes {
			path := fmt.Sprintf("/%d", i)
			if n := built.get(path); n == nil || n.path != path {
				t.Fatal(path)
			}
			built.put(&node{path: fmt.Sprintf("/more/%d", i)})
		}
		for i := range nodes {
			built.remove(fmt.Sprintf("/%d", i))
			built.remove(fmt.Sprintf("/more/%d", i))
		}
		require.Zero(t, built.size)
	}
}

func TestNodesWithOneHashAreToldApart(t *testing.T) {
	x := newIndex(0)
	var nodes []*node
	for i := range 5 * bucketNodes {
		nodes = append(nodes, &node{path: fmt.Sprintf("/%d", i)})
		x.of(7).add(7, nodes[i])
		x.size++
	}
	for range 100 {
		x.split()
	}
	for _, n := range nodes {
		b, i := x.place(7, n.path)
		require.Same(t, n, b.nodes[i])
	}
	b, _ := x.place(7, "/none")
	require.Nil(t, b)
}

func TestTheIndexIsAsFullAtAnySize(t *testing.T) {
	const bucketBytes = 192
	require.EqualValues(t, bucketBytes, unsafe.Sizeof(bucket{}))
	x := newIndex(0)
	for i := range 100_000 {
		x.put(&node{path: fmt.Sprintf("/node-%d", i)})
		if i%1000 != 999 || i < 50_000 {
			continue
		}
		buckets := 0
		for i := range x.buckets {
			for b := x.bucket(i); b != nil; b = b.more {
				buckets++
			}
		}
		require.Less(t, float64(buckets*bucketBytes)/float64(x.size), 23.0, "bytes a node, with %d of them", x.size)
	}
}

func TestWhatIsPrefetchedAreTheNodesAndTheirParents(t *testing.T) {
	x := newIndex(0)
	nodes := map[string]*node{}
	for _, path := range []string{"/", "/a", "/a/b", "/c"} {
		nodes[path] = &node{path: path}
		x.put(nodes[path])
	}
	for _, c := range []struct {
		name  string
		paths []string
		found []string
	}{
		{"two nodes", []string{"/a/b", "/c"}, []string{"/a/b", "/a", "/c", "/"}},
		{"one to be made", []string{"/a/new"}, []string{"/a"}},
		{"one whose parent is missing too", []string{"/x/new"}, nil},
		{"the root", []string{"/"}, []string{"/", "/"}},
		{"what is no path", []string{"", "a", "//"}, []string{"/", "/", "/"}},
		{"nothing", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var found []*node
			for _, path := range c.found {
				found = append(found, nodes[path])
			}
			var room [2 * prefetchPaths]*node
			n := x.prefetch(c.paths, &room)
			require.Equal(t, found, append([]*node(nil), room[:n]...))
		})
	}
}

func TestAnyNumberOfPathsIsPrefetched(t *testing.T) {
	tree := New()
	require.Zero(t, testing.AllocsPerRun(10, func() { tree.Prefetch(make([]string, 3*prefetchPaths+1)) }))
}
