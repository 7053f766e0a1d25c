package replicate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVerdict(t *testing.T) {
	voters := []uint64{1, 2, 3}
	for name, c := range map[string]struct {
		voters []uint64
		given  ballots
		want   finding
	}{
		"nobody answers":                   {voters, ballots{}, finding{}},
		"all agree":                        {voters, ballots{7: {1: 10, 2: 10, 3: 10}}, finding{agreed: 7}},
		"two agree and one is silent":      {voters, ballots{7: {1: 10, 2: 10}}, finding{agreed: 7}},
		"one differs":                      {voters, ballots{7: {1: 10, 2: 11, 3: 10}}, finding{true, true, 7, 10, []uint64{2}, 7}},
		"the leader differs":               {voters, ballots{7: {1: 9, 2: 11, 3: 11}}, finding{true, true, 7, 11, []uint64{1}, 7}},
		"two differ and the third is away": {voters, ballots{7: {1: 10, 2: 11}}, finding{true, false, 7, 0, nil, 0}},
		"all differ":                       {voters, ballots{7: {1: 10, 2: 11, 3: 12}}, finding{true, false, 7, 0, nil, 0}},
		"an observer differs":              {voters, ballots{7: {1: 10, 2: 10, 9: 11}}, finding{true, true, 7, 10, []uint64{9}, 7}},
		"observers are no majority":        {voters, ballots{7: {1: 10, 2: 11, 8: 11, 9: 11}}, finding{true, false, 7, 0, nil, 0}},
		"half of two is no majority":       {[]uint64{1, 2}, ballots{7: {1: 10, 2: 11}}, finding{true, false, 7, 0, nil, 0}},
		"two of four are no majority":      {[]uint64{1, 2, 3, 4}, ballots{7: {1: 10, 2: 10, 3: 11}}, finding{true, false, 7, 0, nil, 0}},
		"settled at an older zxid":         {voters, ballots{9: {1: 10, 2: 11}, 7: {1: 20, 2: 21, 3: 20}}, finding{true, true, 7, 20, []uint64{2}, 7}},
		"the newest settled one counts":    {voters, ballots{9: {1: 10, 2: 11, 3: 11}, 7: {1: 20, 2: 21, 3: 20}}, finding{true, true, 9, 11, []uint64{1}, 9}},
		"it has healed since":              {voters, ballots{9: {1: 10, 2: 10, 3: 10}, 7: {1: 20, 2: 21, 3: 20}}, finding{true, true, 7, 20, []uint64{2}, 9}},
		"open, and agreed on before":       {voters, ballots{9: {1: 10, 2: 11}, 7: {1: 20, 2: 20, 3: 20}}, finding{true, false, 9, 0, nil, 7}},
	} {
		require.Equal(t, c.want, c.given.judge(c.voters), name)
	}
}
