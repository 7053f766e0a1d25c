package differential

import (
	"slices"
	"time"
)

// shrinkFor bounds the search for a smaller script.
const shrinkFor = 40 * time.Second

// shrink looks for a smaller script that shows a difference of the same kind,
// by leaving out more and more finely what is not needed.
func shrink(said script, diff *difference, again func(s script) *difference) (script, *difference) {
	s := &shrinker{said, diff, again, diff.signature(), time.Now().Add(shrinkFor)}
	for before := -1; before != s.best.count() && s.time(); {
		before = s.best.count()
		s.steps()
		s.ops()
		s.parts()
	}
	return s.best, s.diff
}

type shrinker struct {
	best      script
	diff      *difference
	again     func(s script) *difference
	signature string
	deadline  time.Time
}

func (s *shrinker) time() bool { return time.Now().Before(s.deadline) }

// keep takes a script in place of the best if it shows the same.
func (s *shrinker) keep(smaller script) bool {
	diff := s.again(smaller)
	if diff == nil || diff.signature() != s.signature {
		return false
	}
	s.best, s.diff = smaller, diff
	return true
}

// steps leaves out runs of steps, long ones first.
func (s *shrinker) steps() {
	for size := len(s.best) / 2; size > 0; size /= 2 {
		for from := 0; from < len(s.best) && s.time(); {
			if !s.keep(slices.Delete(slices.Clone(s.best), from, min(from+size, len(s.best)))) {
				from += size
			}
		}
	}
}

// ops leaves out requests of a step.
func (s *shrinker) ops() {
	for i := 0; i < len(s.best); i++ {
		for j := 0; j < len(s.best[i].Ops) && len(s.best[i].Ops) > 1 && s.time(); {
			smaller := slices.Clone(s.best)
			smaller[i].Ops = slices.Delete(slices.Clone(s.best[i].Ops), j, j+1)
			if !s.keep(smaller) {
				j++
			}
		}
	}
}

// parts leaves out operations of a multi and paths of a setWatches.
func (s *shrinker) parts() {
	for i := 0; i < len(s.best); i++ {
		for j := 0; j < len(s.best[i].Ops); j++ {
			for k := 0; k < len(s.best[i].Ops[j].Ops) && s.time(); {
				if !s.keep(s.without(i, j, func(o *op) { o.Ops = slices.Delete(slices.Clone(o.Ops), k, k+1) })) {
					k++
				}
			}
			for list := range s.best[i].Ops[j].Lists {
				for k := 0; k < len(s.best[i].Ops[j].Lists[list]) && s.time(); {
					if !s.keep(s.without(i, j, func(o *op) {
						o.Lists = slices.Clone(o.Lists)
						o.Lists[list] = slices.Delete(slices.Clone(o.Lists[list]), k, k+1)
					})) {
						k++
					}
				}
			}
		}
	}
}

func (s *shrinker) without(step, request int, change func(o *op)) script {
	smaller := slices.Clone(s.best)
	smaller[step].Ops = slices.Clone(s.best[step].Ops)
	o := *s.best[step].Ops[request]
	change(&o)
	smaller[step].Ops[request] = &o
	return smaller
}
