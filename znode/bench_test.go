package znode

import (
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// benchNodes nodes of 100 bytes of data, paths of 37 bytes, three levels, 100
// children each; LYCAON_BENCH_NODES overrides it.
var benchNodes = func() int {
	if n, err := strconv.Atoi(os.Getenv("LYCAON_BENCH_NODES")); err == nil {
		return n
	}
	return 1_000_000
}()

func benchPath(i int) string {
	return fmt.Sprintf("/region-%03d/service-%03d/instance-%04d", i/10000, i/100%100, i%100)
}

type benchTree struct {
	tree         *Tree
	paths        []string // of the leaves, in random order, of their own
	bytesPerNode float64
	zxid         uint64
}

// theBenchTree is grown by ordinary creates, in random order, as a live tree
// is.
var theBenchTree = sync.OnceValue(func() *benchTree {
	b := &benchTree{}
	for _, i := range rand.New(rand.NewSource(1)).Perm(benchNodes) {
		b.paths = append(b.paths, benchPath(i))
	}
	before := liveHeap()
	b.tree = New()
	data := make([]byte, 100)
	for i, path := range b.paths {
		b.zxid++
		b.tree.Begin(b.zxid, int64(i))
		if _, err := b.tree.Create(nobody, &CreateOp{Path: path, Data: data, ACL: OpenACL, Parents: true}); err != nil {
			panic(err)
		}
		b.tree.Commit()
	}
	b.bytesPerNode = float64(liveHeap()-before) / float64(b.tree.Len())
	return b
})

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (b *benchTree) path(i int) string { return b.paths[i%len(b.paths)] }

func (b *benchTree) write(tb testing.TB, f func() error) {
	b.zxid++
	b.tree.Begin(b.zxid, 1)
	if err := f(); err != nil {
		tb.Fatal(err)
	}
	b.tree.Commit()
}

// countCPU reports, at the end of b, the CPU time an operation took, collector
// included: on a busy machine the figure to trust.
func countCPU(b *testing.B) func() {
	start := cpuTime()
	return func() { b.ReportMetric(float64(cpuTime()-start)/float64(b.N), "cpu-ns/op") }
}

func cpuTime() int64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return r.Utime.Nano() + r.Stime.Nano()
}

func BenchmarkBytesPerNode(b *testing.B) {
	t := theBenchTree()
	for b.Loop() {
	}
	b.ReportMetric(t.bytesPerNode, "B/node")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkGet(b *testing.B) {
	t := theBenchTree()
	b.ReportAllocs()
	defer countCPU(b)()
	for i := 0; b.Loop(); i++ {
		if _, _, err := t.tree.Get(nobody, t.path(i)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	t := theBenchTree()
	data := make([]byte, 100)
	b.ReportAllocs()
	defer countCPU(b)()
	for i := 0; b.Loop(); i++ {
		t.write(b, func() error { _, err := t.tree.Set(nobody, t.path(i), data, AnyVersion); return err })
	}
}

// BenchmarkSetOtherLength changes the sums of data at each ancestor, too.
func BenchmarkSetOtherLength(b *testing.B) {
	t := theBenchTree()
	data := make([]byte, 101)
	b.ReportAllocs()
	defer countCPU(b)()
	for i := 0; b.Loop(); i++ {
		length := 100 + i/len(t.paths)%2 // in turn, each time round the tree
		t.write(b, func() error { _, err := t.tree.Set(nobody, t.path(i), data[:length], AnyVersion); return err })
	}
}

// BenchmarkSetAfterFreeze meets an older generation all the time: at worst what
// a write costs beside a snapshot.
func BenchmarkSetAfterFreeze(b *testing.B) {
	t := theBenchTree()
	data := make([]byte, 100)
	b.ReportAllocs()
	defer countCPU(b)()
	for i := 0; b.Loop(); i++ {
		if i%100_000 == 0 {
			t.tree.Freeze()
		}
		t.write(b, func() error { _, err := t.tree.Set(nobody, t.path(i), data, AnyVersion); return err })
	}
}

func BenchmarkCreate(b *testing.B) {
	t := theBenchTree()
	b.Run("strewn", func(b *testing.B) { t.benchCreate(b, t.paths) })
	b.Run("by parent", func(b *testing.B) { t.benchCreate(b, slices.Sorted(slices.Values(t.paths))) })
}

func (t *benchTree) benchCreate(b *testing.B, paths []string) {
	data := make([]byte, 100)
	var made []string
	b.ReportAllocs()
	report := countCPU(b)
	for i := 0; b.Loop(); i++ {
		path := paths[i%len(paths)] + strconv.Itoa(i/len(paths))
		made = append(made, path)
		t.write(b, func() error {
			_, err := t.tree.Create(nobody, &CreateOp{Path: path, Data: data, ACL: OpenACL})
			return err
		})
	}
	b.StopTimer()
	report()
	for _, path := range made {
		t.write(b, func() error { return t.tree.Delete(nobody, path, AnyVersion) })
	}
}

func BenchmarkCreateAndDelete(b *testing.B) {
	t := theBenchTree()
	data := make([]byte, 100)
	b.ReportAllocs()
	defer countCPU(b)()
	for i := 0; b.Loop(); i++ {
		path := t.path(i) + "x"
		t.write(b, func() error {
			_, err := t.tree.Create(nobody, &CreateOp{Path: path, Data: data, ACL: OpenACL})
			return err
		})
		t.write(b, func() error { return t.tree.Delete(nobody, path, AnyVersion) })
	}
}

func BenchmarkChildren10000(b *testing.B) {
	t := New()
	for range 10_000 {
		t.Begin(1, 1)
		if _, err := t.Create(nobody, &CreateOp{Path: "/dir/node-", Sequential: true, Parents: true, ACL: OpenACL}); err != nil {
			b.Fatal(err)
		}
		t.Commit()
	}
	b.ReportAllocs()
	defer countCPU(b)()
	for b.Loop() {
		if names, _, _, err := t.Children(nobody, "/dir", "", 0); err != nil || len(names) != 10_000 {
			b.Fatal(len(names), err)
		}
	}
}

func BenchmarkFullGC(b *testing.B) {
	t := theBenchTree()
	defer countCPU(b)()
	for b.Loop() {
		runtime.GC()
	}
	runtime.KeepAlive(t)
}

func BenchmarkFreeze(b *testing.B) {
	t := theBenchTree()
	b.ReportAllocs()
	defer countCPU(b)()
	for b.Loop() {
		t.tree.Freeze()
	}
}

func BenchmarkFrozenWalk(b *testing.B) {
	f := theBenchTree().tree.Freeze()
	defer countCPU(b)()
	for b.Loop() {
		n := 0
		for range f.All() {
			n++
		}
		if n != f.Len() {
			b.Fatal(n)
		}
	}
}

func BenchmarkFrozenDigest(b *testing.B) {
	t := theBenchTree().tree
	f := t.Freeze()
	defer countCPU(b)()
	for b.Loop() {
		if f.Digest(nil) != t.Digest() {
			b.Fatal("digest")
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	var records []Record // laid out as an image decodes, one after the other
	for r := range theBenchTree().tree.Freeze().All() {
		r.Path, r.Data = strings.Clone(r.Path), slices.Clone(r.Data)
		records = append(records, r)
	}
	defer countCPU(b)()
	for b.Loop() {
		if _, err := loadInRuns(records, 2000); err != nil {
			b.Fatal(err)
		}
	}
}
