package recipes

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/lycaon-io/lycaon/client"
)

// Election has one leader at a time, out of those who campaign, in the order in
// which they began to. Its nodes are those of Curator's LeaderLatch.
type Election struct{ line line }

// latchKind is Curator's.
const latchKind = "latch-"

// NewElection makes nothing in the tree before it is used.
func NewElection(c Client, path string, opts ...Option) *Election {
	return &Election{line{c, newConfig(opts), path, []string{latchKind}}}
}

// Leader is who leads.
type Leader struct {
	Value   []byte // what it campaigned with
	Session client.SessionID
	Token   uint64 // of its grant: rises from leader to leader
}

// String is for people.
func (l Leader) String() string {
	return fmt.Sprintf("%q leads, token %d, session %s", l.Value, l.Token, l.Session)
}

// Campaign waits to be the leader, as long as ctx and the session last, and
// leaves nothing behind in the end if it fails. Release resigns. The value is for the others
// to see.
func (e *Election) Campaign(ctx context.Context, value []byte) (*Held, error) {
	h, err := e.line.acquire(patient{ctx}, latchKind, value, behindAll)
	return h, wrap("campaign", e.line.dir, err)
}

// Run campaigns and leads, and campaigns again whenever the leadership was lost
// while the session lives on. It ends with what lead returns while it leads, with
// ctx, or with the session. The context of lead is ctx, guarded, and cancelled on
// loss; lead must return then.
func (e *Election) Run(ctx context.Context, value []byte, lead func(ctx context.Context) error) error {
	for {
		h, err := e.Campaign(ctx, value)
		grant := err
		if err == nil {
			err, grant = h.do(ctx, lead)
			err = errors.Join(err, grant)
		}
		if !errors.Is(grant, ErrLost) || ctx.Err() != nil || e.line.c.Session().Context().Err() != nil {
			return err
		}
	}
}

// Leader is who leads now, nil if nobody does. It asks the leader of the cluster:
// the answer was true after the call began. It may be false when it is used; what
// must not happen then has to be guarded by the leader itself.
func (e *Election) Leader(ctx context.Context) (*Leader, error) {
	l, _, err := e.find(ctx, client.Linearizable())
	return l, wrap("leader", e.line.dir, err)
}

// find looks for the first spot that a session holds.
func (e *Election) find(ctx context.Context, opts ...client.ListOption) (*Leader, string, error) {
	names, err := e.line.c.Children(ctx, e.line.dir, opts...)
	if errors.Is(err, client.ErrNoNode) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	t := turn{line: &e.line}
	for _, s := range t.sorted(names) {
		n, err := e.line.c.Get(ctx, join(e.line.dir, s.name))
		switch {
		case errors.Is(err, client.ErrNoNode):
		case err != nil:
			return nil, "", err
		case n.Stat.Owner != 0:
			return &Leader{n.Data, client.SessionID(n.Stat.Owner), n.Stat.Czxid}, n.Path, nil
		}
	}
	return nil, "", nil
}

// Observe yields the present leader, nil if there is none, and then each change.
// Leaders that came and went in between may be missing, never the latest. An error
// is the last thing it yields: of ctx, or of the session.
func (e *Election) Observe(ctx context.Context) iter.Seq2[*Leader, error] {
	return func(yield func(*Leader, error) bool) {
		o := observer{Election: e, ctx: patient{ctx}}
		err := o.run(func(l *Leader) bool { return yield(l, nil) })
		if err != nil {
			yield(nil, wrap("observe", e.line.dir, err))
		}
	}
}

type observer struct {
	*Election
	ctx  context.Context
	told bool
	last Leader // of what was told
}

// run returns nil when yield has had enough.
func (o *observer) run(yield func(*Leader) bool) error {
	for {
		l, path, err := o.find(o.ctx)
		if err != nil {
			return err
		}
		if path == "" {
			path = o.line.dir
		}
		if goOn, err := o.until(l, path, yield); !goOn || err != nil {
			return err
		}
	}
}

// until watches path, the leader's node or the directory if there is none, looks
// again, and tells what it saw if it is still so; it returns at the next change.
func (o *observer) until(l *Leader, path string, yield func(*Leader) bool) (goOn bool, err error) {
	w, err := o.line.c.Watch(o.ctx, path)
	if err != nil {
		return false, err
	}
	defer w.Close()
	again, _, err := o.find(o.ctx)
	if err != nil || !same(l, again) {
		return true, err
	}
	if o.news(again) && !yield(again) {
		return false, nil
	}
	_, err = w.Next(o.ctx)
	return true, err
}

// same is of the same grant with the same value.
func same(a, b *Leader) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Token == b.Token && string(a.Value) == string(b.Value)
}

// news tells whether l differs from what was told before.
func (o *observer) news(l *Leader) bool {
	last := &o.last
	if o.last.Token == 0 {
		last = nil
	}
	if o.told && same(last, l) {
		return false
	}
	o.told, o.last = true, Leader{}
	if l != nil {
		o.last = *l
	}
	return true
}
