package migrate

import (
	"context"
	"time"
)

// Options say how a migration goes.
type Options struct {
	Resume bool // go on with a copy begun earlier
	Once   bool // a single pass: nobody writes at the source
	// CutOver says that the writers have stopped. Nil never does.
	CutOver <-chan struct{}
	// Idle cuts over by itself once so long nothing has changed at the source; 0
	// never does.
	Idle time.Duration
	// Pause is between two passes.
	Pause time.Duration
	// Passed is told of every pass.
	Passed func(number int, p Pass)
}

// Total is what a whole migration did.
type Total struct {
	Pass            // sums, but Looked, Ephemerals and Problems of the last pass
	Passes  int     // made
	Quotas  int     // copied
	Verdict Verdict // of the comparison at the end
}

// Run copies until it is time to cut over, once more after that, and compares.
func (c *Copier) Run(ctx context.Context, o Options) (total Total, err error) {
	if err := c.Prepare(ctx, o.Resume); err != nil {
		return total, err
	}
	r := run{Copier: c, o: o, total: &total}
	if err := r.untilCutOver(ctx); err != nil {
		return total, err
	}
	if !o.Once {
		if err := r.finish(ctx); err != nil {
			return total, err
		}
	}
	if total.Quotas, err = c.copyQuotas(ctx); err != nil {
		return total, err
	}
	total.Verdict, err = c.Verify(ctx)
	return total, err
}

type run struct {
	*Copier
	o     Options
	total *Total
}

func (r *run) passOnce(ctx context.Context) (Pass, error) {
	p, err := r.Pass(ctx)
	t := r.total
	t.Passes++
	t.Created, t.Changed, t.Deleted = t.Created+p.Created, t.Changed+p.Changed, t.Deleted+p.Deleted
	t.Raised, t.Bytes = t.Raised+p.Raised, t.Bytes+p.Bytes
	t.Looked, t.Ephemerals, t.Problems = p.Looked, p.Ephemerals, p.Problems
	if err == nil && r.o.Passed != nil {
		r.o.Passed(t.Passes, p)
	}
	return p, err
}

func (r *run) untilCutOver(ctx context.Context) error {
	changed := time.Now()
	for {
		p, err := r.passOnce(ctx)
		if err != nil || r.o.Once {
			return err
		}
		if now := time.Now(); !p.quiet() {
			changed = now
		} else if r.o.Idle > 0 && now.Sub(changed) >= r.o.Idle {
			return nil
		}
		select {
		case <-r.o.CutOver:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(r.o.Pause):
		}
	}
}

// finish goes on until a pass finds nothing to do. Should a writer not have
// stopped, the comparison will tell.
func (r *run) finish(ctx context.Context) error {
	for range finalPasses {
		p, err := r.passOnce(ctx)
		if err != nil || p.quiet() {
			return err
		}
	}
	return nil
}
