package differential

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page tells operators word for word what the test allows.
func TestThePageListsTheDeviations(t *testing.T) {
	raw, err := os.ReadFile("../../../docs/ZOOKEEPER.md")
	require.NoError(t, err)
	var rows strings.Builder
	for _, d := range slices.Concat(deviations, quotaDeviations) {
		fmt.Fprintf(&rows, "| %s | %s |\n", d.name, d.reason)
	}
	require.True(t, strings.Contains(string(raw), rows.String()), "want these rows in docs/ZOOKEEPER.md:\n%s", rows.String())
}
