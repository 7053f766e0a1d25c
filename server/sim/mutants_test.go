//go:build mutants

package sim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// A mutant may well panic: that, too, is being caught.
const catchPanics = true

// TestMutantsAreCaught switches each rule off in turn and counts the seeds
// that notice. A rule that nobody misses is not tested, or not needed.
func TestMutantsAreCaught(t *testing.T) {
	seeds, steps := setting(t, "LYCAON_SIM_SEEDS", 12), setting(t, "LYCAON_SIM_STEPS", 4000)
	var table strings.Builder
	fmt.Fprintf(&table, "%-32s %8s   %s\n", "switched off", "caught", "first by")
	for _, rule := range append([]mutant.Rule{mutant.None}, mutant.Rules()...) {
		mutant.Set(rule)
		caught, how := 0, ""
		for seed := range uint64(seeds) {
			if _, broken := run(seed+1, steps); broken != "" {
				if caught == 0 {
					how = fmt.Sprintf("seed %d: %s", seed+1, broken)
				}
				caught++
			}
		}
		mutant.Set(mutant.None)
		fmt.Fprintf(&table, "%-32v %3d / %d   %.140s\n", rule, caught, seeds, how)
		if (caught == 0) != (rule == mutant.None) {
			t.Errorf("%v: caught by %d of %d seeds %s", rule, caught, seeds, how)
		}
	}
	t.Log("\n" + table.String())
}
