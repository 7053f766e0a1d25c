//go:build mutants

package replicate

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// An Apply that looks at something of its server's own makes three states, of
// which nobody can say which is right.
func TestMutantOfApplyIsFoundByTheMarks(t *testing.T) {
	inTrio(t, func(c *trio) {
		u := c.connect(c.leader())
		c.agree()
		mutant.Set(mutant.LocalInput)
		defer mutant.Set(mutant.None)
		u.create("/a", "value")
		c.await("writes halt everywhere", func() bool {
			for _, m := range c.nodes {
				if !m.Stats().Guard.Halted {
					return false
				}
			}
			return true
		})
		require.Equal(t, protocol.SystemError, u.set("/a", "two"))
		for _, m := range c.nodes {
			require.Zero(t, m.Stats().Guard.Rebuilt, "nobody guesses")
		}
	})
}
