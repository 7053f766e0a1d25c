package replicate

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A server that starts serves nobody before it has what was acknowledged
// before its start, however long the leader has led by then.
func TestAServerThatComesBackServesNothingOld(t *testing.T) {
	inTrio(t, func(c *trio) {
		leader, m := c.leader(), c.follower()
		u := c.connect(leader)
		for round := range 10 {
			m.stop()
			path := fmt.Sprint("/n", round)
			u.create(path, "value")
			c.net.Delay(hostOf(leader.id), hostOf(m.id), time.Duration(round)*time.Millisecond)
			m = c.start(m.id, m.logs, m.snaps)
			for began := time.Now(); m.Serving() != nil; time.Sleep(100 * time.Microsecond) {
				require.Less(t, time.Since(began), time.Minute)
			}
			require.Equal(t, "value", m.value(path), "round %d", round)
		}
		c.agree()
	})
}
