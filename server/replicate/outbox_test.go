package replicate

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

// seqsOf returns the sequences of the writes in frames of transactions.
func seqsOf(t *testing.T, frames [][]byte) (all []uint64) {
	t.Helper()
	in := newFrameReader(bytes.NewReader(bytes.Join(frames, nil)), 64)
	for {
		kind, body, err := in.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		require.EqualValues(t, frameTxns, kind)
		batch, err := state.DecodeBatch(body)
		require.NoError(t, err)
		var txn state.Txn
		for {
			more, err := batch.Next(&txn)
			require.NoError(t, err)
			if !more {
				break
			}
			require.Equal(t, state.AppendTxn(nil, &txn), batch.Raw())
			all = append(all, txn.Seq)
		}
	}
}

func fill(o *Outbox, from, to uint64, size int) {
	body := make([]byte, size)
	for seq := from; seq <= to; seq++ {
		t := write(1, 1, seq, protocol.OpSet, body)
		o.Append(&t)
	}
}

func TestAnOutboxGivesWhatHasGatheredInOrder(t *testing.T) {
	o := NewOutbox(maxOutboxBytes, func() { require.Fail(t, "nothing was lost") })
	fill(o, 1, 3, 10)
	require.Empty(t, o.Take(), "there is no stream yet")
	require.EqualValues(t, 3, o.Stats().Unled)

	o.Open(func() {})
	fill(o, 4, 103, 10)
	frames := o.Take()
	require.Len(t, frames, 1)
	require.Equal(t, upTo(4, 103), seqsOf(t, frames))
	fill(o, 104, 104, 10)
	require.Equal(t, upTo(104, 104), seqsOf(t, o.Take()))
	require.Empty(t, o.Take())
	require.Zero(t, o.Stats().QueuedBytes)
}

func TestAFrameIsCutAtTransactionsAndALargeOneIsAlone(t *testing.T) {
	o := NewOutbox(maxOutboxBytes, nil)
	o.Open(func() {})
	fill(o, 1, 5, 100<<10)
	fill(o, 6, 6, 1<<20)
	fill(o, 7, 8, 10)
	frames := o.Take()
	require.Equal(t, upTo(1, 8), seqsOf(t, frames))
	var sizes []int
	for _, f := range frames {
		sizes = append(sizes, len(f)>>10)
	}
	require.Equal(t, []int{200, 200, 100, 1024, 0}, sizes)
}

func TestAFullOutboxDropsAndAsksForItOnceThereIsRoom(t *testing.T) {
	doubts := 0
	o := NewOutbox(maxOutboxBytes, func() { doubts++ })
	o.Open(func() {})
	fill(o, 1, 70, 1<<20)
	s := o.Stats()
	require.Greater(t, s.Overflowed, uint64(4))
	require.Less(t, s.QueuedBytes, maxOutboxBytes+(1<<20)+1024)
	require.Zero(t, doubts)
	kept := seqsOf(t, o.Take())
	require.Equal(t, upTo(1, uint64(len(kept))), kept)
	require.Equal(t, 1, doubts)
	o.Take()
	require.Equal(t, 1, doubts)
}

func TestAnotherStreamGetsNothingOfTheFormerOne(t *testing.T) {
	o := NewOutbox(maxOutboxBytes, nil)
	o.Open(func() {})
	fill(o, 1, 9, 10)
	o.Shut()
	fill(o, 10, 11, 10)
	o.Open(func() { fill(o, 5, 11, 10) })
	fill(o, 12, 12, 10)
	require.Equal(t, upTo(5, 12), seqsOf(t, o.Take()))
}

func TestAFrameThatLiesIsRefusedWithoutRoomForIt(t *testing.T) {
	for name, frame := range map[string]string{
		"no length":     "\x00\x00\x00\x00t",
		"absurd length": "\xff\xff\xff\xfft",
	} {
		_, _, err := newFrameReader(strings.NewReader(frame), 64).next()
		require.ErrorIs(t, err, errGarbled, name)
	}
	short := newFrameReader(strings.NewReader("\x00\xff\xff\xfft..."), 64)
	_, _, err := short.next()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.LessOrEqual(t, cap(short.body), 2*frameStep)

	large := append(beginFrame(nil, frameTxns), make([]byte, 5<<20)...)
	endFrame(large, 0)
	kind, body, err := newFrameReader(bytes.NewReader(large), 64).next()
	require.NoError(t, err)
	require.EqualValues(t, frameTxns, kind)
	require.Len(t, body, 5<<20)
}
