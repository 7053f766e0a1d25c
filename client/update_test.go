package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

func TestAnUpdateDoesNotTakeANodeThatWasMadeAgainForTheOldOne(t *testing.T) {
	addrs, stop := serve()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Open(ctx, addrs)
	require.NoError(t, err)
	defer c.Close(ctx)
	remake := func() error {
		_, err := c.Create(ctx, "/x", []byte("new"))
		return err
	}
	nothing := func() error { return nil }
	for name, test := range map[string]struct {
		meddle func() error
		want   []string
	}{
		"made again": {remake, []string{"old", "new"}},
		"gone":       {nothing, []string{"old", "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := c.Create(ctx, "/x", []byte("old"))
			require.NoError(t, err)
			var seen []string
			stat, err := c.Update(ctx, "/x", func(old *client.Node) ([]byte, error) {
				if old == nil {
					seen = append(seen, "none")
					return nil, nil
				}
				if seen = append(seen, string(old.Data)); len(seen) > 1 {
					return nil, nil
				}
				return nil, errors.Join(c.Delete(ctx, "/x"), test.meddle())
			})
			require.NoError(t, err)
			require.Equal(t, test.want, seen)
			require.Greater(t, stat.Mzxid, n.Zxid)

			lost := client.WithGuard(ctx, client.NewGuard("/x", n.Stat.Czxid))
			_, err = c.Update(lost, "/x", func(*client.Node) ([]byte, error) { return nil, nil })
			require.ErrorIs(t, err, client.ErrFenced)
			require.NoError(t, c.Delete(ctx, "/x"))
		})
	}
}
