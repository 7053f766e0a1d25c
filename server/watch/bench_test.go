package watch

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// deaf is a Watcher that costs nothing itself.
type deaf struct{ told int }

func (d *deaf) Allowed(znode.ACL) bool   { return true }
func (d *deaf) Notify(*protocol.Message) { d.told++ }

func BenchmarkFire(b *testing.B) {
	const path = "/service/shard-17/lock"
	e := changed(1, path)
	many := func(n int, mode protocol.WatchMode, path func(i int) string) func() *Table {
		return func() *Table {
			t := NewTable()
			for i := range n {
				t.Add(&deaf{}, path(i), mode)
			}
			return t
		}
	}
	elsewhere := func(i int) string { return fmt.Sprintf("/service/shard-%d/lock", 100+i) }
	for _, bench := range []struct {
		name string
		make func() *Table
	}{
		{"no watches", NewTable},
		{"100k watches elsewhere", many(100_000, protocol.WatchData, elsewhere)},
		{"100k recursive watches elsewhere", many(100_000, protocol.WatchRecursive, elsewhere)},
		{"one persistent watch", many(1, protocol.WatchPersistent, func(int) string { return path })},
		{"1000 persistent watches of the node", many(1000, protocol.WatchPersistent, func(int) string { return path })},
		{"1000 recursive watches of the root", many(1000, protocol.WatchRecursive, func(int) string { return "/" })},
	} {
		b.Run(bench.name, func(b *testing.B) {
			t := bench.make()
			b.ReportAllocs()
			for b.Loop() {
				t.Fire(&e)
			}
		})
	}
}

// writer is a Watcher that encodes what it is told, as its connection's writer does.
type writer struct{ page []byte }

func (w *writer) Allowed(znode.ACL) bool     { return true }
func (w *writer) Notify(m *protocol.Message) { w.page = protocol.AppendMessage(w.page[:0], m) }

func BenchmarkFireAndEncode(b *testing.B) {
	for _, watchers := range []int{1, 2, 1000} {
		b.Run(fmt.Sprint(watchers, " watchers"), func(b *testing.B) {
			t, e := NewTable(), changed(1, "/service/shard-17/lock")
			for range watchers {
				t.Add(&writer{}, e.Path, protocol.WatchPersistent)
			}
			b.ReportAllocs()
			for b.Loop() {
				t.Fire(&e)
			}
		})
	}
}

func BenchmarkAddAndFireOneShots(b *testing.B) {
	for _, watchers := range []int{1, 1000} {
		b.Run(fmt.Sprint(watchers, " watchers"), func(b *testing.B) {
			t, e := NewTable(), changed(1, "/service/config")
			all := make([]*deaf, watchers)
			for i := range all {
				all[i] = &deaf{}
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, d := range all {
					t.Add(d, "/service/config", protocol.WatchData)
				}
				t.Fire(&e)
			}
		})
	}
}

func BenchmarkMemoryOfAWatch(b *testing.B) {
	const connections, each = 1000, 100
	for _, shared := range []bool{true, false} {
		b.Run(fmt.Sprint("shared paths ", shared), func(b *testing.B) {
			for b.Loop() {
				before := heap()
				t := NewTable()
				for c := range connections {
					d := &deaf{}
					for i := range each {
						path := fmt.Sprintf("/service/shard-%d", i)
						if !shared {
							path = fmt.Sprintf("/service/shard-%d-%d", i, c)
						}
						t.Add(d, path, protocol.WatchData)
					}
				}
				b.ReportMetric(float64(heap()-before)/(connections*each), "B/watch")
				runtime.KeepAlive(t)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func BenchmarkRingAppend(b *testing.B) {
	r := NewRing(65536, 64<<20)
	effects := []znode.Effect{changed(0, "/service/shard-17/lock")}
	b.ReportAllocs()
	for b.Loop() {
		effects[0].Zxid++
		r.Append(effects)
	}
}

func BenchmarkResume(b *testing.B) {
	r := NewRing(65536, 64<<20)
	var effects []znode.Effect
	for i := range 65536 {
		effects = append(effects, changed(uint64(i+1), fmt.Sprintf("/service/shard-%d/lock", i%1000)))
	}
	r.Append(effects)
	for _, missed := range []uint64{100, 65536} {
		b.Run(fmt.Sprint(missed, " effects missed"), func(b *testing.B) {
			since := 65536 - missed
			watches := watchesOf("/service/shard-1/lock /service/shard-2/lock /service", protocol.WatchData, since)
			watches = append(watches, watchesOf("/service/shard-3", protocol.WatchRecursive, since)...)
			b.ReportAllocs()
			for b.Loop() {
				Resume(NewTable(), r, nil, &deaf{}, watches, 65536)
			}
		})
	}
}
