package pipeline

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

// markedLog opens a session and changes things, with writes that fail between
// those that do not; each transaction is an entry with a stamp of its own.
func markedLog(writes int) [][]byte {
	open := state.Txn{Kind: state.TxnOpen, PasswordHash: passwordHash("a"), TimeoutMs: 10_000}
	entries := [][]byte{batchOf(1000, open)}
	for i := range writes {
		r := createRequest(uint64(i+1), "/x", "")
		if i > 0 && i%3 != 0 {
			r = setRequest(uint64(i+1), []string{"", "/x", "/missing"}[i%3], "data")
		}
		t := state.Txn{
			Kind: state.TxnWrite, Session: 1, Generation: 1, Seq: uint64(i + 1), Xid: r.Xid, Op: r.Op,
			IDs: protocol.AppendIdentities(nil, nil), Body: r.Body,
		}
		entries = append(entries, batchOf(int64(1000+i), t))
	}
	return entries
}

func image(t *testing.T, c *Core) *state.Machine {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, state.WriteImage(&b, c.Freeze(), nil))
	m, _, err := state.ReadImage(&b)
	require.NoError(t, err)
	return m
}

func TestServersThatAppliedTheSameLogHaveTheSameMarks(t *testing.T) {
	log := markedLog(60)
	whole, late := New(Config{Origin: 1}), New(Config{Origin: 2})
	for i, entry := range log {
		require.NoError(t, whole.Apply(entry))
		if i == 20 { // behind a write that failed
			late.Install(image(t, whole))
		}
		if i > 20 {
			require.NoError(t, late.Apply(entry))
		}
	}
	at, digest := late.Mark()
	newest, same := whole.Mark()
	require.Equal(t, newest, at)
	require.Equal(t, same, digest)
	compared := 0
	for zxid := range newest + 2 {
		if found, ok := late.MarkAt(zxid); ok {
			want, ok := whole.MarkAt(zxid)
			require.True(t, ok)
			require.Equal(t, want, found, zxid)
			compared++
		}
	}
	require.Greater(t, compared, 10)
}

func TestAMarkIsOfTheInstantOfItsTransaction(t *testing.T) {
	c := New(Config{})
	for _, entry := range markedLog(6) {
		require.NoError(t, c.Apply(entry))
	}
	zxid, digest := c.Mark()
	require.Equal(t, c.Zxid(), zxid)
	c.View(func(m *state.Machine) {
		require.NotEqual(t, m.Digest(), digest, "a write failed after it: its answer is kept")
	})
	_, ok := c.MarkAt(zxid + 1)
	require.False(t, ok)
}

func TestAnImageHasNoMark(t *testing.T) {
	c := New(Config{})
	for _, entry := range markedLog(9) {
		require.NoError(t, c.Apply(entry))
	}
	c.Install(image(t, c))
	zxid, digest := c.Mark()
	require.Zero(t, zxid)
	require.Zero(t, digest)
	_, ok := c.MarkAt(c.Zxid())
	require.False(t, ok)
}

func TestOldMarksAreKeptAtACoarseStep(t *testing.T) {
	var m marks
	const newest = 3 * coarseStep * coarseMarks
	m.reset(10)
	for zxid := uint64(11); zxid <= newest; zxid++ {
		m.add(zxid, ^zxid)
	}
	known := 0
	for zxid := range uint64(newest + 10) {
		digest, ok := m.at(zxid)
		require.Equal(t, zxid <= newest && zxid > newest-recentMarks ||
			zxid <= newest && zxid%coarseStep == 0 && zxid > newest-coarseStep*(coarseMarks-1), ok, zxid)
		if ok {
			known++
			require.Equal(t, ^zxid, digest)
		}
	}
	require.Equal(t, recentMarks+coarseMarks-1-recentMarks/coarseStep, known)
}
