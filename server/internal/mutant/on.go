//go:build mutants

package mutant

import "sync/atomic"

var active atomic.Uint32

// On tells whether r is switched off.
func On(r Rule) bool { return active.Load() == uint32(r) }

// Set switches r off and every other on again.
func Set(r Rule) { active.Store(uint32(r)) }

// Rules lists all there are.
func Rules() []Rule {
	var all []Rule
	for r := None + 1; r < numRules; r++ {
		all = append(all, r)
	}
	return all
}
