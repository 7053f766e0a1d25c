package replicate

import "github.com/lycaon-io/lycaon/server/internal/mutant"

// maxSequencerSessions bounds the memory of a Sequencer (about 100 bytes a
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

// maxRuns bounds what is remembered of one lane. Forgetting the oldest run is
// as safe as forgetting all.
const maxRuns = 8

// Sequencer keeps doubled and reordered writes out of the log: it remembers,
// per session, which sequences of which generation were proposed in this
// term. It saves bytes and keeps order, it does not carry correctness: the
// admission at apply has the last word, so forgetting is always safe and only
// costs entries that are skipped when applied. Not safe for concurrent use.
type Sequencer struct {
	max   int
	lanes map[uint64]*lane
}

// lane is what was proposed of one generation: runs of sequences, the newest
// last. There is one run, unless writes came that are older than all seen.
type lane struct {
	generation uint64
	runs       []run
	early      uint64 // the last one refused since one was proposed, 0 for none
}

type run struct{ first, last uint64 }

// NewSequencer returns an empty Sequencer.
func NewSequencer() *Sequencer {
	return &Sequencer{max: maxSequencerSessions, lanes: map[uint64]*lane{}}
}

// Admit rules on the write seq of a session's generation and, if it is to be
// proposed, takes it as proposed.
//
// A write that was proposed is proposed again only if the one before it was
// proposed later: then the copy in the log may be a gap. One of which neither
// itself nor the one before it is known is proposed when it is older than
// those known, since what came before this term is not known here. A later one
// is Early, until the lane starts over without anything having been proposed:
// then it has nothing older to send, and what is known is a late copy of what
// was applied long ago.
func (s *Sequencer) Admit(session, generation, seq uint64) Ruling {
	if mutant.On(mutant.NoProposerSkip) {
		return Propose
	}
	l := s.lanes[session]
	switch {
	case l == nil:
		s.makeRoom()
		l = &lane{generation: generation}
		s.lanes[session] = l
	case generation < l.generation:
		return Old
	case generation > l.generation:
		*l = lane{generation: generation, runs: l.runs[:0]}
	}
	return l.admit(seq)
}

func (l *lane) admit(seq uint64) Ruling {
	own, before := l.newestWith(seq), l.newestWith(seq-1)
	switch {
	case own >= 0 && own >= before:
		return Again
	case before < 0 && l.laterThanAll(seq) && seq > l.early:
		l.early = seq
		return Early
	}
	l.propose(seq, before)
	return Propose
}

// propose adds seq behind all else. Only the newest run can be prolonged: what
// is prolonged later than another run would look older than it.
func (l *lane) propose(seq uint64, before int) {
	l.early = 0
	if newest := len(l.runs) - 1; before == newest && newest >= 0 {
		l.runs[newest].last = seq // it ends before seq, or it would hold it
		return
	}
	if len(l.runs) == maxRuns {
		l.runs = append(l.runs[:0], l.runs[1:]...)
	}
	l.runs = append(l.runs, run{seq, seq})
}

// newestWith is the index of the newest run with seq in it, -1 for none.
func (l *lane) newestWith(seq uint64) int {
	for i := len(l.runs) - 1; i >= 0; i-- {
		if r := l.runs[i]; r.first <= seq && seq <= r.last {
			return i
		}
	}
	return -1
}

func (l *lane) laterThanAll(seq uint64) bool {
	for _, r := range l.runs {
		if seq <= r.last {
			return false
		}
	}
	return len(l.runs) > 0
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
