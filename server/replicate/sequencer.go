package replicate

import "github.com/lycaon-io/lycaon/server/internal/mutant"

// maxSequencerSessions bounds the memory of a Sequencer (about 50 bytes a
// session). Beyond it everything is forgotten, which is always safe.
const maxSequencerSessions = 1 << 20

// Ruling is what the Sequencer says of one write.
type Ruling uint8

const (
	Propose Ruling = 1 + iota // goes into the log
	Again                     // a copy was proposed in this term
	Early                     // an earlier one of its lane is missing
	Old                       // a newer generation of its session has been proposed
)

// Sequencer keeps doubled and reordered writes out of the log: it remembers,
// per session, which sequences of which generation were proposed in this
// term. It saves bytes and keeps order, it does not carry correctness: the
// admission at apply has the last word, so forgetting is always safe and only
// costs entries that are skipped when applied. Not safe for concurrent use.
type Sequencer struct {
	max   int
	lanes map[uint64]run
}

// run is the unbroken range of sequences proposed for one generation.
type run struct {
	generation  uint64
	first, last uint64
}

// NewSequencer returns an empty Sequencer.
func NewSequencer() *Sequencer {
	return &Sequencer{max: maxSequencerSessions, lanes: map[uint64]run{}}
}

// Admit rules on the write seq of a session's generation and, if it is to be
// proposed, takes it as proposed.
//
// The first write seen of a lane is proposed whatever its sequence, since the
// earlier ones may have been logged in another term. One below the run's
// start may have been lost there, so it starts the run anew: the copies that
// follow it are proposed again, because the ones logged before it were gaps.
func (s *Sequencer) Admit(session, generation, seq uint64) Ruling {
	if mutant.On(mutant.NoProposerSkip) {
		return Propose
	}
	r, known := s.lanes[session]
	switch {
	case !known:
		s.makeRoom()
		r = run{generation, seq, seq}
	case generation < r.generation:
		return Old
	case generation > r.generation || seq < r.first:
		r = run{generation, seq, seq}
	case seq <= r.last:
		return Again
	case seq > r.last+1:
		return Early
	default:
		r.last = seq
	}
	s.lanes[session] = r
	return Propose
}

// Forget drops a session that ended.
func (s *Sequencer) Forget(session uint64) { delete(s.lanes, session) }

// Reset forgets everything: a new term began, or something proposed may have
// been lost on its way into the log.
func (s *Sequencer) Reset() { clear(s.lanes) }

// Len is the number of sessions remembered.
func (s *Sequencer) Len() int { return len(s.lanes) }

func (s *Sequencer) makeRoom() {
	if len(s.lanes) >= s.max {
		s.Reset()
	}
}
