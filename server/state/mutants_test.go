//go:build mutants

package state

import (
	"fmt"
	"testing"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// catcher turns a failed check into a panic that the mutation run recovers.
type catcher struct{ testing.TB }

func (c catcher) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (c catcher) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (c catcher) FailNow()                          { panic("failed") }

func TestTheModelCatchesEveryMutant(t *testing.T) {
	defer mutant.Set(mutant.None)
	for _, rule := range []mutant.Rule{
		mutant.NoAdmission, mutant.NoGenerations, mutant.NoReplay, mutant.NoAborted,
		mutant.NoPruning, mutant.EagerPruning, mutant.NoAttempt,
		mutant.KeepEphemeral, mutant.ClosedWrites, mutant.HalfMulti, mutant.ReuseNumbers,
		mutant.NoChildrenACL, mutant.NoStatACL, mutant.NoCheckACL, mutant.StaleListing,
	} {
		mutant.Set(rule)
		const seeds = 20
		caught, first := 0, ""
		for seed := range uint64(seeds) {
			if why := run(t, seed, 3000); why != "" {
				caught++
				first = why
			}
		}
		t.Logf("%-28v caught by %d of %d seeds: %.60s", rule, caught, seeds, first)
		if caught < seeds/2 {
			t.Errorf("%v was caught by %d of %d seeds", rule, caught, seeds)
		}
	}
}

// run returns why the model stopped, "" if it came to its end.
func run(t *testing.T, seed uint64, ops int) (why string) {
	defer func() {
		if r := recover(); r != nil {
			why = fmt.Sprint(r)
		}
	}()
	m := newModel(catcher{t}, seed)
	for m.txns < ops {
		m.batch()
	}
	m.checkpoint()
	return ""
}
