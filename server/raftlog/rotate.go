package raftlog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// makeRoom begins a new generation if the newest is so full that Badger might write a table of it. Badger looks for that
// before each transaction, and its memory has room for the one that fills it.
func (s *Store) makeRoom() error {
	if s.firstVersion() {
		return nil // Badger writes tables of it, as it did before there were generations
	}
	g := s.newest()
	if g.used.Load() < s.opt.memTableBytes {
		if s.lacksSpare(g) {
			s.wake()
		}
		return nil
	}
	return s.rotate()
}

// rotate begins a new generation in a transaction of its own. Killed in it, the server finds the old one unchanged.
func (s *Store) rotate() error {
	if s.awaitSettling(); s.Err() != nil {
		return s.Err()
	}
	next := *s.view.Load()
	if err := s.appendGeneration(); err != nil {
		return s.fail(fmt.Errorf("raftlog: begin a generation: %w", err))
	}
	s.batch.reset()
	for _, key := range slices.Sorted(maps.Keys(s.stable)) {
		value := encodeStable([]byte(key), s.stable[key])
		if !s.batch.fits(2, len(key)+len(value)+1+stateLen, s.txnMax) {
			if err := s.commitRaw(); err != nil {
				return err
			}
		}
		s.batch.add(stableKey([]byte(key)), value)
	}
	if err := s.commit(&next); err != nil {
		return err
	}
	signal(s.crowded)
	return nil
}

// appendGeneration makes the spare the newest, or one that it makes.
func (s *Store) appendGeneration() error {
	s.making.Lock()
	defer s.making.Unlock()
	sealed := s.newest()
	next := s.spare.Load()
	if next == nil {
		g, err := s.beginGeneration(sealed.number + 1)
		if err != nil {
			return err
		}
		next = g
	}
	sealed.sealed = time.Now()
	gens := append(slices.Clone(s.generations()), next)
	s.gens.Store(&gens)
	s.spare.Store(nil)
	return nil
}

// beginGeneration makes an empty one whose files outlive a power cut.
func (s *Store) beginGeneration(number uint64) (*generation, error) {
	path := generationPath(s.dir, number)
	if err := removeDirs(path); err != nil {
		return nil, err
	}
	g, err := openGeneration(number, engineOptions(path, s.opt.memTableBytes, s.engineLog()), openEmpty)
	if err != nil {
		return nil, err
	}
	g.single = true
	if err := errors.Join(syncDir(path), syncDir(s.dir)); err != nil {
		return nil, errors.Join(err, g.discard(nil))
	}
	s.warned = false
	return g, nil
}

// makeSpare begins the next generation ahead of time, so that no write waits for it.
func (s *Store) makeSpare() {
	s.making.Lock()
	defer s.making.Unlock()
	g := s.newest()
	if g.number == 0 || s.Err() != nil || !s.lacksSpare(g) {
		return
	}
	spare, err := s.beginGeneration(g.number + 1)
	if err != nil {
		if !s.warned { // each write tries again
			s.warned = true
			s.opt.Logger.Warn("cannot begin the next generation of the log ahead", "dir", s.dir, "error", err)
		}
		return
	}
	s.spare.Store(spare)
}

// lacksSpare tells whether it is time to make the generation behind g, the newest, and it is not there. Each append
// asks, and most find it made: called for nothing, keepHouse would wait for the append to end, which would wake it.
func (s *Store) lacksSpare(g *generation) bool { return s.wantsNext(g) && s.spare.Load() == nil }

// wantsNext tells whether it is time to make the generation behind g, the newest.
func (s *Store) wantsNext(g *generation) bool {
	return g.used.Load() > s.opt.memTableBytes*g.spareAt/100
}

// unvouched tells which generations hold nothing that next vouches for, and has next say so.
func (s *Store) unvouched(next *state) []*generation {
	gens := s.generations()
	n := 0
	for n < len(gens)-1 && (next.empty() || gens[n].highest < next.first) {
		n++
	}
	next.oldest = gens[n].number
	return gens[:n]
}

// retire hands generations that the state no longer vouches for to keepDeleting.
func (s *Store) retire(gone []*generation) {
	if len(gone) == 0 {
		return
	}
	rest := slices.Clone(s.generations()[len(gone):])
	s.gens.Store(&rest)
	s.retired = append(s.retired, gone...)
	signal(s.obsolete)
}

// discardRetired deletes a piece at a time, unless there is much to delete or the store closes.
func (s *Store) discardRetired() {
	s.mu.Lock()
	gone := s.retired
	s.retired = nil
	s.mu.Unlock()
	for _, g := range gone {
		var rest func() error
		if len(gone) <= maxUnsettled {
			rest = s.restBetweenPieces()
		}
		if err := g.discard(rest); err != nil {
			s.opt.Logger.Warn("cannot delete a generation of the log that is no longer needed", "dir", g.path, "error", err)
		}
	}
}

// restBetweenPieces pauses in proportion to what came since the last pause, so that syncs of the log come between.
func (s *Store) restBetweenPieces() func() error {
	since := time.Now()
	return func() error {
		select {
		case <-s.stop:
		case <-time.After(min(removeRest*time.Since(since), maxRemoveRest)):
		}
		since = time.Now()
		return nil
	}
}

// mustSettle tells which sealed generation is to give its memory back next, nil for none: at once if that takes no table.
func (s *Store) mustSettle() *generation {
	waiting := s.unsettled()
	if len(waiting) == 0 || s.Err() != nil {
		return nil
	}
	if i := slices.IndexFunc(waiting, func(g *generation) bool { return g.single }); i >= 0 {
		return waiting[i]
	}
	if len(waiting) > maxUnsettled || time.Since(waiting[0].sealed) >= settleAfter {
		return waiting[0]
	}
	return nil
}

// unsettled are the sealed generations that keep their entries in memory.
func (s *Store) unsettled() (waiting []*generation) {
	gens := s.generations()
	for _, g := range gens[:len(gens)-1] {
		if !g.settled.Load() {
			waiting = append(waiting, g)
		}
	}
	return waiting
}

// settle reports false if it is put off, or has failed.
func (s *Store) settle(g *generation) bool {
	if !g.single {
		s.opt.collect(s.opt.memTableBytes * settlePercent / 100)
	}
	err := g.settle(s.engineLog())
	if errors.Is(err, errPutOff) {
		s.opt.Logger.Warn("a sealed generation of the log stays in memory for now", "dir", g.path, "error", err)
		return false
	}
	if err != nil {
		s.fail(fmt.Errorf("raftlog: settle %s: %w", g.path, err))
		return false
	}
	signal(s.eased)
	return true
}

// awaitSettling slows a writer down that begins generations faster than they settle.
func (s *Store) awaitSettling() {
	if len(s.unsettled()) < maxCrowd {
		return
	}
	s.stats.settleWaits.Add(1)
	s.stats.inFlight.Store(int64(time.Since(clockBase)))
	defer s.stats.inFlight.Store(0)
	for len(s.unsettled()) >= maxCrowd {
		signal(s.crowded)
		select {
		case <-s.eased:
		case <-s.dead:
			return
		}
	}
}

// forget lowers what generations may be vouched for after the suffix of the log from on was dropped.
func (s *Store) forget(from uint64) {
	for _, g := range s.generations() {
		g.highest = min(g.highest, from-1)
	}
}
