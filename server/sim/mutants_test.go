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
// that notice, until enough have. A rule that nobody misses is not tested, or
// not needed.
func TestMutantsAreCaught(t *testing.T) {
	const enough = 10
	seeds, steps := setting(t, "LYCAON_SIM_SEEDS", 400), setting(t, "LYCAON_SIM_STEPS", 4000)
	var table strings.Builder
	fmt.Fprintf(&table, "%-32s %9s   %s\n", "switched off", "caught", "first by")
	for _, rule := range append([]mutant.Rule{mutant.None}, mutant.OfSim()...) {
		t.Run(rule.String(), func(t *testing.T) {
			mutant.Set(rule)
			defer mutant.Set(mutant.None)
			ran, caught, how := 0, 0, ""
			for ; ran < seeds && caught < enough && (rule != mutant.None || ran < 50); ran++ {
				if _, broken := run(uint64(ran+1), steps); broken != "" {
					if caught == 0 {
						how = fmt.Sprintf("seed %d: %s", ran+1, broken)
					}
					caught++
				}
			}
			fmt.Fprintf(&table, "%-32v %3d / %3d   %.120s\n", rule, caught, ran, how)
			if (caught == 0) != (rule == mutant.None) {
				t.Errorf("%v: caught by %d of %d seeds %s", rule, caught, ran, how)
			}
		})
	}
	t.Log("\n" + table.String())
}
