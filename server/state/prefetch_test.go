package state

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

func TestWhatIsPrefetchedIsNotChanged(t *testing.T) {
	ahead, plain := newBench(t), newBench(t)
	ahead.m.prefetchFrom = 0
	for _, b := range []*bench{ahead, plain} {
		b.done(create("/a", "x"))
		w, gone := set("/a", "y"), remove("/gone")
		txns := []Txn{
			*b.next(w.Op, protocol.AppendWrite(nil, &w)),
			*b.next(gone.Op, protocol.AppendWrite(nil, &gone)),
			*b.next(protocol.OpMulti, protocol.AppendMulti(nil, []protocol.WriteOp{create("/b", ""), w})),
			*b.next(protocol.OpSet, []byte("no body")),
			{Kind: TxnReap, Path: "/a"}, {Kind: TxnNoop},
		}
		for range maxPrefetched {
			txns = append(txns, *b.next(w.Op, protocol.AppendWrite(nil, &w)))
		}
		if b == ahead {
			before := b.m.Digest()
			require.Equal(t, 2+1+2*(maxPrefetched-2), b.m.Prefetch(txns), "/a and its parent, that of /gone, and again of /a")
			require.Equal(t, before, b.m.Digest())
		}
		for i := range txns {
			b.apply(&txns[i])
		}
	}
	require.Equal(t, plain.m.Digest(), ahead.m.Digest())
}
