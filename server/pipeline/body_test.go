package pipeline

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

// forgetfulLog loses what it is given after the first transactions.
type forgetfulLog struct {
	*heldLog
	takes int
}

func (l *forgetfulLog) Append(t *state.Txn) []byte {
	if l.takes--; l.takes < 0 {
		return nil
	}
	return l.heldLog.Append(t)
}

func TestAWriteIsSentAgainAsItCameThoughItsFrameWasUsedAgain(t *testing.T) {
	for name, takes := range map[string]int{"the log has a copy": 100, "the log lost it": 0, "the log lost the second": 1} {
		t.Run(name, func(t *testing.T) {
			c, held := newTestCore(t, Config{})
			lane := openLane(t, c, held, "a", &heldSink{name: "a", out: &strings.Builder{}})
			log := &forgetfulLog{held, takes}
			c.SetLog(log)

			var want [][]byte
			frame := make([]byte, 0, 256)
			submit := func(r *protocol.Request) {
				want = append(want, bytes.Clone(r.Body))
				frame = append(frame[:0], r.Body...)
				r.Body = frame
				require.NoError(t, lane.Submit(r))
				clear(frame)
			}
			submit(createRequest(1, "/a", "first"))
			submit(setRequest(2, "/a", "second"))
			require.NoError(t, lane.Submit(&protocol.Request{Op: protocol.OpSync, Consistency: protocol.Linearizable, Xid: 3, Read: protocol.Read{Op: protocol.OpSync}}))
			submit(setRequest(4, "/a", "held back behind the sync"))

			held.take(100)
			log.takes = 100
			for range 2 { // the second time with what the log kept the first time
				c.Resend()
				var got [][]byte
				for _, txn := range held.take(100) {
					if txn.Kind == state.TxnWrite {
						got = append(got, bytes.Clone(txn.Body))
					}
				}
				require.Equal(t, want[:2], got)
			}
			c.Resend()
			applyAll(t, c, held)
			require.NoError(t, lane.Submit(readRequest(protocol.OpGet, 5, "/a")))
			require.Equal(t, 0, lane.Depth())
			c.View(func(m *state.Machine) {
				data, _, err := m.Tree().Get(&lane.ids.Load().actor, "/a")
				require.NoError(t, err)
				require.Equal(t, "held back behind the sync", string(data))
			})
		})
	}
}
