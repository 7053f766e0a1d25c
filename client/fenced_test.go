package client

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// Update guards by what it has read. That this is gone is not that a guard of the
// caller's is, and only the next read tells.
func TestAnUpdateWithoutAGuardIsNeverToldOfOne(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		done := async(func() (uint64, error) {
			_, err := c.Update(ctx, "/x", func(*Node) ([]byte, error) { return nil, nil })
			return 0, err
		})
		p.answer(p.next(), func(m *protocol.Message) { m.Stat.Czxid = 5 })
		r := p.next()
		require.Equal(t, protocol.OpMulti, r.Op)
		p.answer(r, func(m *protocol.Message) { m.Code = protocol.Fenced })
		p.next() // is not answered in time
		err := (<-done).err
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, ErrFenced)
	})
}
