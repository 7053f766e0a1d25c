package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

// holder gets grants of one lock, one after the other.
type holder struct {
	recipe
	name   string
	lock   string // path
	to     teller
	bare   bool // writes without guards too, elsewhere: what that leads to is to be seen
	grants int
}

// tenure is the time of one grant.
type tenure struct {
	*holder
	way
	id    string
	lock  string // of a queue it is the claim
	grant grant
	under context.Context // guarded, and not ended by the loss
}

// Of each lock there is a number that those count up who have it alone, a node that all
// others write to, and one for what is not guarded.
func ledger(lock string) string { return "/ledger" + lock }
func shared(lock string) string { return "/shared" + lock }
func bare(lock string) string   { return "/bare" + lock }

// prepare makes the nodes that holders of a lock write to.
func prepare(ctx context.Context, c *client.Client, lock string) error {
	for _, path := range []string{ledger(lock), shared(lock), bare(lock)} {
		if _, err := c.Create(ctx, path, []byte("0"), client.Parents(), client.IfAbsent()); err != nil {
			return err
		}
	}
	return nil
}

// take waits for a grant as long as wait lasts.
func (h *holder) take(ctx, wait context.Context, c *client.Client, w way) (*tenure, error) {
	h.grants++
	t := &tenure{holder: h, way: w, id: fmt.Sprintf("%s#%d", h.name, h.grants), lock: h.lock}
	t.tell(event{What: asks})
	g, err := w.take(wait, c, h.lock)
	if err != nil {
		h.note(err, c)
		return nil, err
	}
	t.grant, t.under = g, context.WithoutCancel(g.Context())
	i, queued := g.(taken)
	if queued {
		t.lock = i.Guard().Path()
	}
	t.tell(event{What: granted, Token: g.Token(), Weight: w.weight, Capacity: h.capacity})
	if queued {
		t.tell(event{What: item, Token: g.Token(), Item: string(i.Data), Value: time.Now().UnixMilli()})
	}
	return t, nil
}

func (t *tenure) tell(e event) bool {
	e.Lock, e.Grant = t.lock, t.id
	return t.to.tell(e)
}

// note tells of an error that no fault is a reason for.
func (h *holder) note(err error, c *client.Client) { noteOdd(h.to, h.name, err, c) }

func noteOdd(to teller, who string, err error, c *client.Client) {
	if c.Session().Context().Err() != nil {
		return
	}
	for _, usual := range []error{recipes.ErrLocked, recipes.ErrLost, client.ErrFenced, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, usual) {
			return
		}
	}
	to.tell(event{What: odd, Grant: who, Item: err.Error()})
}

func (t *tenure) alone() bool { return t.weight == t.capacity && t.recipe.name != queueing.name }

// write writes under the grant, over any session.
func (t *tenure) write(c *client.Client) what {
	e := event{}
	t.tell(event{What: writes})
	e.What = t.outcome(c, func() (*client.Stat, error) {
		if !t.alone() {
			return c.Set(t.under, shared(t.holder.lock), nil)
		}
		n, err := c.Get(t.under, ledger(t.holder.lock), client.Linearizable())
		if err != nil {
			return nil, err
		}
		v, err := strconv.ParseInt(string(n.Data), 10, 64)
		if err != nil {
			return nil, err
		}
		e.Value = v + 1
		return c.Set(t.under, ledger(t.holder.lock), strconv.AppendInt(nil, e.Value, 10))
	}, &e.Zxid)
	t.tell(e)
	return e.What
}

// writeBare is a write that nobody checks.
func (t *tenure) writeBare(c *client.Client) {
	e := event{Bare: true}
	t.tell(event{What: writes, Bare: true})
	e.What = t.outcome(c, func() (*client.Stat, error) { return c.Set(context.Background(), bare(t.holder.lock), nil) }, &e.Zxid)
	t.tell(e)
}

func (t *tenure) outcome(c *client.Client, write func() (*client.Stat, error), zxid *uint64) what {
	stat, err := write()
	switch {
	case err == nil:
		*zxid = stat.Mzxid
		return wrote
	case errors.Is(err, client.ErrFenced):
		return fenced
	case mayBeDone(err):
		return unknown
	}
	t.note(err, c)
	return refused
}

// look is for those who have the lock with others: what they see stays.
func (t *tenure) look(ctx context.Context, c *client.Client) {
	n, err := c.Get(ctx, ledger(t.holder.lock))
	if err != nil {
		t.note(err, c)
		return
	}
	v, err := strconv.ParseInt(string(n.Data), 10, 64)
	if err != nil {
		t.note(err, c)
		return
	}
	t.tell(event{What: saw, Value: v})
}

// offer writes to the resource outside, if the grant has a token that says who came later.
func (t *tenure) offer() (accepted bool) {
	if t.grant.Token() == 0 || t.weight < t.capacity {
		return true
	}
	return t.tell(event{What: offers, Token: t.grant.Token()})
}

// use writes in all ways, some times.
func (t *tenure) use(ctx context.Context, c *client.Client, times int) {
	for range times {
		if !t.alone() {
			t.look(ctx, c)
		}
		t.offer()
		t.write(c)
		if t.bare {
			t.writeBare(c)
		}
	}
}

// giveBack tells whether the grant was there until then.
func (t *tenure) giveBack(ctx context.Context, c *client.Client) bool {
	t.tell(event{What: releases})
	err := t.grant.GiveBack(ctx)
	i, queued := t.grant.(taken)
	ack := queued && !i.putBack
	switch {
	case err == nil && ack:
		t.tell(event{What: acked})
		t.tell(event{What: released})
	case err == nil:
		t.tell(event{What: released})
	case mayBeDone(err) && ack:
		t.tell(event{What: ackUnknown})
	case errors.Is(err, recipes.ErrLost):
		t.tell(event{What: lost})
	default:
		t.note(err, c)
	}
	return err == nil
}

const (
	stubbornPause = 2 * time.Millisecond
	stubbornTries = 5 // too late, at each resource
)

// insist writes on and on, without a look at the context of the grant, until it has
// tried some times after somebody else has come. Beside the session of the grant it has
// one that outlives it, which aside opens anew when it must; nil ends it.
func (t *tenure) insist(c *client.Client, aside func() *client.Client) {
	for late := 0; late < stubbornTries; time.Sleep(stubbornPause) {
		side := aside()
		if side == nil {
			return
		}
		if !t.offer() {
			late++
		}
		t.write(c)
		t.write(side)
		t.writeBare(side)
	}
}
