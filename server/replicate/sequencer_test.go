package replicate

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSequencerRulings(t *testing.T) {
	type write struct {
		session, generation, seq uint64
		want                     Ruling
	}
	for name, writes := range map[string][]write{
		"in order": {{1, 1, 1, Propose}, {1, 1, 2, Propose}, {1, 1, 3, Propose}},
		"a copy of what was proposed is dropped": {
			{1, 1, 1, Propose}, {1, 1, 2, Propose}, {1, 1, 1, Again}, {1, 1, 2, Again}, {1, 1, 3, Propose},
		},
		"a hole is not proposed and the lane goes on where it was": {
			{1, 1, 1, Propose}, {1, 1, 3, Early}, {1, 1, 2, Propose}, {1, 1, 3, Propose},
		},
		"the first one seen may have any sequence": {{1, 4, 9, Propose}, {1, 4, 10, Propose}},
		"what came before the first one seen starts over": {
			{1, 1, 5, Propose}, {1, 1, 6, Propose},
			{1, 1, 3, Propose}, {1, 1, 4, Propose}, {1, 1, 5, Propose}, {1, 1, 6, Propose}, {1, 1, 3, Again},
		},
		"a late copy of what was applied long ago does not bar the lane": {
			{1, 1, 11, Propose}, {1, 1, 12, Propose}, {1, 1, 1, Propose}, {1, 1, 13, Propose}, {1, 1, 12, Again},
		},
		"nor does one that comes first in a term, once the lane has sent again": {
			{1, 1, 1, Propose}, {1, 1, 19, Early}, {1, 1, 20, Early}, {1, 1, 19, Propose}, {1, 1, 20, Propose}, {1, 1, 19, Again},
		},
		"even if some of what was refused has been applied meanwhile": {
			{1, 1, 1, Propose}, {1, 1, 19, Early}, {1, 1, 20, Early}, {1, 1, 21, Early}, {1, 1, 20, Propose}, {1, 1, 21, Propose},
		},
		"a newer generation starts anew and shuts out the older": {
			{1, 1, 7, Propose}, {1, 2, 1, Propose}, {1, 1, 8, Old}, {1, 2, 2, Propose},
		},
		"sessions do not touch each other": {
			{1, 1, 1, Propose}, {2, 1, 1, Propose}, {1, 1, 2, Propose}, {2, 1, 3, Early},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewSequencer()
			for i, w := range writes {
				require.Equal(t, w.want, s.Admit(w.session, w.generation, w.seq), "write %d", i)
			}
		})
	}
}

func TestSequencerForgets(t *testing.T) {
	s := NewSequencer()
	require.Equal(t, Propose, s.Admit(1, 1, 4))
	s.Forget(1)
	require.Equal(t, Propose, s.Admit(1, 1, 4), "a forgotten session starts anew")
	s.Reset()
	require.Zero(t, s.Len())
	require.Equal(t, Propose, s.Admit(1, 1, 4), "a new term starts anew")
}

func TestSequencerIsBounded(t *testing.T) {
	s := NewSequencer()
	s.max = 10
	for id := range uint64(1000) {
		require.Equal(t, Propose, s.Admit(id, 1, 1))
		require.LessOrEqual(t, s.Len(), s.max)
	}
}

// An origin that sends all its unapplied writes again and again over a lossy
// way, with the sequencer forgetting at random, gets each of them through an
// admission that wants them strictly in order; and while nothing is
// forgotten, little is logged in vain.
func TestSequencerLosesNothing(t *testing.T) {
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s, faulty := NewSequencer(), seed%2 == 0
		const writes = 40
		next, proposed, rounds := uint64(1), 0, 0
		for next <= writes {
			require.Less(t, rounds, 10_000, "seed %d: no progress", seed)
			rounds++
			var batch []uint64
			for seq := next; seq <= writes; seq++ {
				if rnd.IntN(4) == 0 {
					continue // lost before the proposer
				}
				if s.Admit(1, 1, seq) == Propose {
					batch = append(batch, seq)
				}
			}
			if faulty && rnd.IntN(3) == 0 {
				s.Reset() // the batch is lost, as after a failed future
				continue
			}
			for _, seq := range batch {
				proposed++
				if seq == next {
					next++
				}
			}
		}
		if !faulty {
			require.LessOrEqual(t, proposed, 5*writes, "seed %d", seed)
		}
	}
}
