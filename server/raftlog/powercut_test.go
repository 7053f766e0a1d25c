package raftlog

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// Of what was written since the last sync a power cut leaves any sectors. What was acknowledged is there then; what was
// not is there as a whole or not at all, whatever of it lies behind, and does not come back later.
func TestAPowerCutLeavesATransactionWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	rounds, seed := 20, rand.Uint64()
	if text := os.Getenv("LYCAON_POWER_CUTS"); text != "" {
		var err error
		rounds, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	if text := os.Getenv(crashSeedEnv); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("%s=%d", crashSeedEnv, seed)
	w := &cutOff{T: t, dice: rand.New(rand.NewPCG(seed, 0)), logs: map[uint64]*raft.Log{}}
	s := openStore(t, t.TempDir())
	for range rounds {
		for range w.dice.IntN(8) {
			w.change(s)()
		}
		g := s.newest()
		path := writeAheadFile(memTableOf(g.db)).Fd.Name()
		before := w.read(path)
		dir := killedCopy(t, s) // nothing is deleted, and the guard is not written, before the sync
		acknowledge := w.change(s)
		if s.newest() != g || writeAheadFile(memTableOf(g.db)).Fd.Name() != path {
			acknowledge()
			continue // it took more than one sync
		}
		after := w.read(path)
		left := w.mix(before, after)
		require.NoError(t, s.Close())
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(g.path), filepath.Base(path)), left, 0o600))
		if s = openStore(t, dir); string(left) == string(after) {
			acknowledge()
		}
		w.check(s)
	}
}

// cutOff is what a store must hold.
type cutOff struct {
	*testing.T
	dice              *rand.Rand
	logs              map[uint64]*raft.Log
	first, last, term uint64
	vote              uint64
}

func (w *cutOff) read(path string) []byte {
	b, err := os.ReadFile(path)
	require.NoError(w, err)
	return b
}

// change does one thing. Whoever takes it for done calls acknowledge.
func (w *cutOff) change(s *Store) (acknowledge func()) {
	w.term++ // no two entries are alike
	switch what := w.dice.IntN(8); {
	case what == 0:
		vote := w.term
		require.NoError(w, s.SetUint64([]byte("vote"), vote))
		return func() { w.vote = vote }
	case what == 1 && w.last > w.first+3:
		from := w.last - w.dice.Uint64N(3)
		require.NoError(w, s.DeleteRange(from, w.last))
		return func() { w.last = from - 1 }
	case what == 2 && w.last > w.first+40:
		to := w.first + w.dice.Uint64N(20)
		require.NoError(w, s.DeleteRange(w.first, to))
		return func() { w.first = to + 1 }
	}
	var logs []*raft.Log
	size := 1 << w.dice.IntN(13)
	for i := range 1 + w.dice.Uint64N(6) {
		logs = append(logs, testLog(w.last+1+i, w.term, w.dice.IntN(size)))
	}
	require.NoError(w, s.StoreLogs(logs))
	return func() {
		for _, l := range logs {
			w.logs[l.Index] = l
		}
		w.first, w.last = max(w.first, 1), logs[len(logs)-1].Index
	}
}

// mix takes each sector from one of the two.
func (w *cutOff) mix(before, after []byte) []byte {
	const sector = 512
	mixed := append([]byte(nil), after...)
	of := w.dice.IntN(5)
	for at := 0; at < min(len(before), len(mixed)); at += sector {
		if w.dice.IntN(4) < of {
			copy(mixed[at:min(at+sector, len(mixed))], before[at:])
		}
	}
	return mixed
}

func (w *cutOff) check(s *Store) {
	w.Helper()
	first, err := s.FirstIndex()
	require.NoError(w, err)
	last, err := s.LastIndex()
	require.NoError(w, err)
	require.Equal(w, [2]uint64{w.first, w.last}, [2]uint64{first, last})
	for i := max(first, 1); i <= last; i++ {
		var l raft.Log
		require.NoError(w, s.GetLog(i, &l))
		requireSame(w, w.logs[i], &l)
	}
	if w.vote > 0 {
		vote, err := s.GetUint64([]byte("vote"))
		require.NoError(w, err)
		require.Equal(w, w.vote, vote)
	}
}
