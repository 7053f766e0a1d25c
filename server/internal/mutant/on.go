//go:build mutants

package mutant

import (
	"fmt"
	"os"
	"sync/atomic"
)

var active atomic.Uint32

// LYCAON_MUTANT names a rule that is off from the start, for suites that know
// nothing of mutants.
func init() {
	name := os.Getenv("LYCAON_MUTANT")
	for r := range numRules {
		if name != "" && r.String() == name {
			Set(r)
			return
		}
	}
	if name != "" {
		panic(fmt.Sprintf("mutant: no rule %q", name))
	}
}

// On tells whether r is switched off.
func On(r Rule) bool { return active.Load() == uint32(r) }

// Set switches r off and every other on again.
func Set(r Rule) { active.Store(uint32(r)) }

var turns atomic.Uint64

// OneIn is On for every n-th call alone.
func OneIn(n uint64, r Rule) bool { return On(r) && turns.Add(1)%n == 0 }

// OfSim lists the rules that server/sim is to miss.
func OfSim() []Rule {
	var all []Rule
	for r := None + 1; r < endOfSim; r++ {
		all = append(all, r)
	}
	return all
}
