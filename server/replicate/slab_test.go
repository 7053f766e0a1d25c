package replicate

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

// promise is bytes that somebody was given, and what they were then.
type promise struct{ given, was []byte }

type promises []promise

func (p *promises) add(given []byte) { *p = append(*p, promise{given, bytes.Clone(given)}) }

func (p promises) requireKept(t *testing.T) {
	t.Helper()
	for i := range p {
		require.True(t, bytes.Equal(p[i].was, p[i].given), "promise %d", i)
	}
}

// bodied is a write whose body is its sequence over and over.
func bodied(seq uint64, size int) state.Txn {
	return write(1, 1, seq, protocol.OpSet, bytes.Repeat([]byte{byte(seq)}, size))
}

func TestWhatWasCutFromASlabIsNeverWrittenAgain(t *testing.T) {
	for _, c := range []struct {
		name    string
		most    int // bytes of a body
		batches int
	}{
		{"small batches", 100, 40}, {"batches that outgrow what is left", 8 << 10, 40}, {"bodies larger than a slab", 3 << 19, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, uint64(c.most)))
			var s slab
			var given promises
			seq := uint64(0)
			for range c.batches {
				batch, want := s.begin(), []byte(nil)
				require.Empty(t, batch)
				for range 1 + rng.IntN(8) {
					seq++
					txn := bodied(seq, rng.IntN(c.most))
					encoded := state.AppendTxn(nil, &txn)
					want = append(want, encoded...)
					var kept []byte
					if rng.IntN(2) == 0 {
						batch, _ = s.appendTxn(batch, &txn, encoded)
						continue
					}
					batch, kept = s.appendTxn(batch, &txn, nil)
					require.Equal(t, len(kept), cap(kept), "who has it cannot append to it")
					require.True(t, bytes.Equal(txn.Body, kept))
					given.add(kept)
				}
				require.True(t, bytes.Equal(want, batch))
				if rng.IntN(4) == 0 {
					s.drop()
					continue
				}
				batch = s.end(batch)
				require.Equal(t, len(batch), cap(batch))
				given.add(batch)
			}
			given.requireKept(t)
		})
	}
}

func TestASlabHoldsSeveralBatches(t *testing.T) {
	var s slab
	s.size = maxSlabBytes
	txn := bodied(1, 1000)
	memory := testing.AllocsPerRun(10, func() {
		for range 100 {
			batch, _ := s.appendTxn(s.begin(), &txn, nil)
			s.end(batch)
		}
	})
	require.LessOrEqual(t, memory, 1.0)
}

func TestTheBodyOfAWriteStaysWhenItsBatchIsDropped(t *testing.T) {
	var given promises
	appendAll := func(append func(*state.Txn) []byte, from, to uint64) {
		for seq := from; seq <= to; seq++ {
			txn := bodied(seq, 300)
			kept := append(&txn)
			require.Equal(t, txn.Body, kept)
			given.add(kept)
		}
	}
	proposing(t, func(b *bench) {
		appendAll(b.Append, 1, 9) // two under way, the others wait
		b.rest()
		b.lead()
		appendAll(b.Append, 10, 30)
	})
	o := NewOutbox(maxOutboxBytes, nil)
	o.Open(func() {})
	appendAll(o.Append, 1, 1)
	o.Take()
	appendAll(o.Append, 2, 9)
	o.Open(func() {})
	appendAll(o.Append, 10, 30)
	given.requireKept(t)
}

func TestWhatIsNotTakenIsNotKept(t *testing.T) {
	txn := bodied(1, 10)
	require.Nil(t, newProposer(nil).Append(&txn), "it does not lead")
	require.Nil(t, NewOutbox(maxOutboxBytes, nil).Append(&txn), "there is no stream")
}
