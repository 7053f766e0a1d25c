package pipeline

import (
	"context"
	"fmt"

	"github.com/lycaon-io/lycaon/protocol"
)

// OpenWait is Open for a goroutine that waits for it. If ctx ends first, the
// session may still be made; nobody will use it and it expires.
func (c *Core) OpenWait(ctx context.Context, p OpenParams, s Sink) (*Lane, Opened, error) {
	return await(ctx, func(done Done) Cancel { return c.Open(p, s, done) })
}

// AttachWait is Attach for a goroutine that waits for it.
func (c *Core) AttachWait(ctx context.Context, p AttachParams, s Sink) (*Lane, Opened, error) {
	return await(ctx, func(done Done) Cancel { return c.Attach(p, s, done) })
}

func await(ctx context.Context, begin func(Done) Cancel) (*Lane, Opened, error) {
	type end struct {
		lane   *Lane
		opened Opened
		err    error
	}
	ended := make(chan end, 1)
	cancel := begin(func(l *Lane, o Opened, code protocol.Code, detail string) {
		e := end{l, o, nil}
		if code != protocol.OK {
			e.err = fmt.Errorf("%w: %s", code.Err(), detail)
		}
		ended <- e
	})
	select {
	case e := <-ended:
		return e.lane, e.opened, e.err
	case <-ctx.Done():
	}
	if !cancel() {
		if e := <-ended; e.lane != nil {
			e.lane.Detach()
		}
	}
	return nil, Opened{}, context.Cause(ctx)
}
