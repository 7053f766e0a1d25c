//go:build mutants

package mutant

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMutantsAreAllInTheTable(t *testing.T) {
	table, err := os.ReadFile("../../../docs/MUTANTS.md")
	require.NoError(t, err)
	for r := None + 1; r < numRules; r++ {
		if r == endOfSim {
			continue
		}
		require.NotEmpty(t, r.String())
		row := "\n| " + r.String() + " |"
		marked := "\n| " + r.String() + " + |"
		if !strings.Contains(string(table), row) && !strings.Contains(string(table), marked) {
			t.Errorf("docs/MUTANTS.md has no row for %q", r)
		}
	}
}
