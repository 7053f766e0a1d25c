package state

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/stretchr/testify/require"
)

const benchBatch = 256

// fill makes n nodes of 100 bytes, a thousand to a parent.
func fill(t testing.TB, n int) *bench {
	b := newBench(t)
	data := string(make([]byte, 100))
	for i := range n {
		if i%1000 == 0 {
			b.quiet(create(fmt.Sprintf("/d%06d", i/1000), ""))
		}
		b.quiet(create(fmt.Sprintf("/d%06d/node-%08d", i/1000, i), data))
	}
	return b
}

// quiet is done without an outcome.
func (b *bench) quiet(w protocol.WriteOp) {
	txn := b.txn(w)
	txn.Xid = 0
	if out := b.apply(txn); out.Answer.Code != protocol.OK {
		b.t.Fatal(out.Answer.Code, detail(&out.Answer))
	}
}

// lane makes a batch of writes of b's session, each acknowledging those some
// way behind it, as a client with 32 requests in flight does.
func (b *bench) lane(next func(i int) protocol.WriteOp) []byte {
	entry := AppendBatchHeader(nil, 5000)
	for i := range benchBatch {
		txn := b.txn(next(i))
		txn.Ack = txn.Xid - min(txn.Xid, 32)
		entry = AppendTxn(entry, txn)
	}
	return entry
}

func benchApply(bm *testing.B, b *bench, next func(i int) protocol.WriteOp) {
	var txn Txn
	var out Outcome
	// By the batch and without the making of entries, which the benchmark's own
	// clock includes; the median shrugs off what else the machine does.
	var spent []time.Duration
	txns := 0
	for txns < bm.N {
		entry := b.lane(next)
		start := time.Now()
		batch, err := DecodeBatch(entry)
		if err != nil {
			bm.Fatal(err)
		}
		for {
			if more, _ := batch.Next(&txn); !more {
				break
			}
			b.m.Apply(&txn, batch.StampMs(), &out)
			if out.Answer.Code != protocol.OK {
				bm.Fatal(out.Answer.Code, detail(&out.Answer))
			}
			txns++
		}
		spent = append(spent, time.Since(start))
	}
	slices.Sort(spent)
	bm.ReportMetric(float64(spent[len(spent)/2].Nanoseconds())/benchBatch, "p50-ns/txn")
	bm.ReportMetric(float64(spent[len(spent)/20].Nanoseconds())/benchBatch, "p5-ns/txn")
}

// The figures are per transaction, decoding included.
func BenchmarkApplySet1KiB(bm *testing.B) {
	b := fill(bm, 10_000)
	data := string(make([]byte, 1024))
	at := 0
	benchApply(bm, b, func(int) protocol.WriteOp {
		at = (at + 7919) % 10_000
		return set(fmt.Sprintf("/d%06d/node-%08d", at/1000, at), data)
	})
}

func BenchmarkApplyCreate1KiB(bm *testing.B) {
	b := newBench(bm)
	data := string(make([]byte, 1024))
	at := 0
	benchApply(bm, b, func(int) protocol.WriteOp {
		at++
		if at%1000 == 1 {
			return create(fmt.Sprintf("/d%06d", (at-1)/1000), "")
		}
		return create(fmt.Sprintf("/d%06d/node-%08d", (at-1)/1000, at), data)
	})
}

// One transaction of so many operations: what it holds the lock for.
func BenchmarkApplyBriefMulti(bm *testing.B) {
	for _, n := range []int{5000, 10_000, 20_000} {
		for name, op := range map[string]func(b *bench, i int) protocol.WriteOp{
			"create": func(b *bench, i int) protocol.WriteOp { return create(fmt.Sprintf("/%d-%05d", b.xid, i), "data") },
			"set":    func(_ *bench, i int) protocol.WriteOp { return set(fmt.Sprintf("/d%06d/node-%08d", i/1000, i), "data") },
			"fails": func(_ *bench, i int) protocol.WriteOp {
				if i == n-1 {
					return check("/none", 0)
				}
				return set(fmt.Sprintf("/d%06d/node-%08d", i/1000, i), "data")
			},
		} {
			bm.Run(fmt.Sprintf("%s/%d", name, n), func(bm *testing.B) {
				b := fill(bm, 20_000)
				var out Outcome
				for bm.Loop() {
					bm.StopTimer()
					steps := make([]protocol.WriteOp, n)
					for i := range steps {
						steps[i] = op(b, i)
					}
					txn := b.next(protocol.OpMulti, protocol.AppendBriefMulti(nil, steps))
					txn.Ack = txn.Xid
					bm.StartTimer()
					b.m.Apply(txn, 5000, &out)
				}
			})
		}
	}
}

func BenchmarkDecodeBatch(bm *testing.B) {
	b := newBench(bm)
	data := string(make([]byte, 1024))
	entry := b.lane(func(int) protocol.WriteOp { return set("/a/node", data) })
	var txn Txn
	bm.ReportAllocs()
	bm.ResetTimer()
	for n := 0; n < bm.N; n += benchBatch {
		batch, err := DecodeBatch(entry)
		if err != nil {
			bm.Fatal(err)
		}
		for {
			if more, _ := batch.Next(&txn); !more {
				break
			}
		}
	}
}

// LYCAON_BENCH_NODES overrides the size of the image.
func imageNodes(bm *testing.B) int {
	text := os.Getenv("LYCAON_BENCH_NODES")
	if text == "" {
		return 200_000
	}
	n, err := strconv.Atoi(text)
	require.NoError(bm, err)
	return n
}

func BenchmarkImage(bm *testing.B) {
	nodes := imageNodes(bm)
	m := fill(bm, nodes).m
	image := imageOf(bm, m)
	perNode := func(bm *testing.B) {
		bm.ReportMetric(float64(bm.Elapsed().Nanoseconds())/float64(bm.N)/float64(nodes), "ns/node")
	}
	bm.Run(fmt.Sprintf("write/nodes=%d", nodes), func(bm *testing.B) {
		bm.SetBytes(int64(len(image)))
		for bm.Loop() {
			require.NoError(bm, WriteImage(io.Discard, m.Freeze(), nil))
		}
		perNode(bm)
	})
	bm.Run(fmt.Sprintf("read/nodes=%d", nodes), func(bm *testing.B) {
		bm.SetBytes(int64(len(image)))
		for bm.Loop() {
			_, _, err := ReadImage(bytes.NewReader(image))
			require.NoError(bm, err)
		}
		perNode(bm)
	})
	bm.Run(fmt.Sprintf("scrub/nodes=%d", nodes), func(bm *testing.B) {
		for bm.Loop() {
			require.NoError(bm, m.Freeze().Scrub(nil))
		}
		perNode(bm)
	})
	bm.Run(fmt.Sprintf("verify/nodes=%d", nodes), func(bm *testing.B) {
		bm.SetBytes(int64(len(image)))
		for bm.Loop() {
			_, err := VerifyImage(bytes.NewReader(image))
			require.NoError(bm, err)
		}
		perNode(bm)
	})
}
