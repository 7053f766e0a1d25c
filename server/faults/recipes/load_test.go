package recipes_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

// hold has holders who do right by their grants, some of which vanish, and of whom
// each tries now and then what must not be: to write after the release.
func (w *world) hold(r recipe, lock string, holders int, contested bool) {
	w.finally(func() []string { return w.ledgerEnds(lock) })
	for i := range holders {
		h := &holder{recipe: r, name: fmt.Sprintf("%s at %s %d", r.name, lock, i), lock: lock, to: w, bare: contested}
		turn := i
		w.act(h.name, func(_ *someone, c *client.Client) error {
			turn++
			t, err := h.take(w.ctx, w.load, c, r.ways[turn%len(r.ways)])
			if err != nil {
				return nil // which take has told
			}
			t.use(w.ctx, c, 2)
			if rand.IntN(100) == 0 {
				c.Abandon() // the cluster is not told, nor is a release
			}
			if t.giveBack(w.ctx, c) && turn%4 == 0 {
				t.write(c)
				t.offer()
			}
			return nil
		})
	}
}

func (w *world) ledgerEnds(lock string) []string {
	n, err := w.reader.Get(w.ctx, ledger(lock), client.Linearizable())
	if err != nil {
		return []string{err.Error()}
	}
	var v int64
	if _, err := fmt.Sscan(string(n.Data), &v); err != nil {
		return []string{err.Error()}
	}
	return ledgerEnds(w.all(), lock, v)
}

// cutOff has a stubborn holder whose network is cut for longer than its session lasts,
// beside others who want the same.
func (w *world) cutOff(r recipe, lock string) {
	h := &holder{recipe: r, name: fmt.Sprintf("cut off %s at %s", r.name, lock), lock: lock, to: w, bare: true}
	side := w.someone(h.name + ", aside")
	w.act(h.name, func(s *someone, c *client.Client) error {
		t, err := h.take(w.ctx, w.load, c, r.ways[0])
		if err != nil {
			return nil
		}
		s.wire.cut()
		defer s.wire.mend()
		t.insist(c, side.client)
		t.giveBack(w.load, c)
		if w.load.Err() == nil {
			w.cuts.Add(1)
		}
		return nil
	})
}

// sabotage has somebody who deletes nodes of those who hold and of those who wait, whose
// sessions live on. Of a semaphore it would have to know which leases are one grant's.
func (w *world) sabotage(dirs ...string) {
	w.act("saboteur", func(_ *someone, c *client.Client) error {
		dir := dirs[rand.IntN(len(dirs))]
		names, err := c.Children(w.load, dir)
		if len(names) > 0 {
			err = c.Delete(w.load, dir+"/"+names[rand.IntN(len(names))])
		}
		if err == nil && len(names) > 0 {
			w.deleted.Add(1)
		}
		w.pause()
		if errors.Is(err, client.ErrNoNode) {
			return nil
		}
		return err
	})
}

// look asks who holds.
func (w *world) look(name, lock string, ask func(c *client.Client) ([]uint64, error)) {
	w.act(name, func(_ *someone, c *client.Client) error {
		w.tell(event{What: looks, Lock: lock, Grant: name})
		tokens, err := ask(c)
		if err == nil {
			w.tell(event{What: sees, Lock: lock, Grant: name, Tokens: tokens})
		}
		w.pause()
		return err
	})
}

// pause keeps actors that wait for nothing from taking the machine.
func (w *world) pause() {
	select {
	case <-time.After(20 * time.Millisecond):
	case <-w.load.Done():
	}
}

func (w *world) lookAtElection(lock string) {
	w.look("leader of "+lock, lock, func(c *client.Client) ([]uint64, error) {
		l, err := recipes.NewElection(c, lock).Leader(w.load)
		if l == nil {
			return nil, err
		}
		return []uint64{l.Token}, err
	})
	name := "observer of " + lock
	w.act(name, func(_ *someone, c *client.Client) error {
		var last uint64
		for l, err := range recipes.NewElection(c, lock).Observe(w.load) {
			switch {
			case err != nil:
				return err
			case l == nil:
			case l.Token < last:
				w.tell(event{What: odd, Grant: name, Item: fmt.Sprintf("told of %d after %d", l.Token, last)})
			default:
				last = l.Token
			}
		}
		return nil
	})
}

func (w *world) lookAtGroup(lock string) {
	w.look("members of "+lock, lock, func(c *client.Client) ([]uint64, error) {
		members, err := recipes.NewGroup(c, lock).Members(w.load)
		return tokens(members), err
	})
}

func tokens(members []recipes.Member) (all []uint64) {
	for _, m := range members {
		all = append(all, m.Token)
	}
	return all
}

const (
	backlog  = 30 // items that wait at most
	maxDelay = 200 * time.Millisecond
)

// queue has some who put and some who take, not all of whom acknowledge.
func (w *world) queue(path string, putters, takers int) {
	for i := range putters {
		w.putter(path, fmt.Sprintf("putter %d of %s", i, path))
	}
	for i := range takers {
		name := fmt.Sprintf("taker %d of %s", i, path)
		h := &holder{recipe: queueing, name: name, lock: path, to: w, bare: true}
		w.act(name, func(_ *someone, c *client.Client) error { return w.takeOne(h, c) })
	}
}

func (w *world) takeOne(h *holder, c *client.Client) error {
	t, err := h.take(w.ctx, w.load, c, h.ways[0])
	if err != nil {
		return nil
	}
	t.use(w.ctx, c, 1)
	switch i := t.grant.(taken); rand.IntN(20) {
	case 0:
		c.Abandon()
	case 1, 2:
		i.putBack = true
		t.grant = i
	}
	t.giveBack(w.ctx, c)
	return nil
}

func (w *world) putter(path, name string) {
	number := 0
	w.act(name, func(_ *someone, c *client.Client) error {
		if w.counted(put)-w.counted(acked) > backlog {
			w.pause()
			return nil
		}
		number++
		id := fmt.Sprintf("%s#%d", name, number)
		opts := []recipes.PutOption{recipes.Priority(rand.IntN(4))}
		ready := time.Now()
		if number%8 == 0 {
			d := time.Duration(rand.Int64N(int64(maxDelay)))
			ready = ready.Add(d)
			opts = append(opts, recipes.Delay(d))
		}
		w.tell(event{What: puts, Lock: path, Item: id, Value: ready.UnixMilli()})
		err := recipes.NewQueue(c, path).Put(w.load, []byte(id), opts...)
		e := event{What: put, Lock: path, Item: id, Value: ready.UnixMilli()}
		switch {
		case err != nil && mayBeDone(err):
			e.What = putUnknown
		case err != nil:
			e.What = putNot
		}
		w.tell(e)
		return err
	})
}

// drain takes what is left in a queue, delayed or of takers that are gone.
func (w *world) drain(path string) []string {
	h := &holder{recipe: queueing, name: "the last taker of " + path, lock: path, to: w}
	for {
		names, err := w.reader.Children(w.ctx, path+"/entries", client.Linearizable())
		if err != nil {
			return []string{err.Error()}
		}
		if len(names) == 0 {
			return nil
		}
		brief, cancel := context.WithTimeout(w.ctx, time.Second)
		t, err := h.take(w.ctx, brief, w.reader, h.ways[0])
		cancel()
		if err == nil {
			t.giveBack(w.ctx, w.reader)
		} else if w.ctx.Err() != nil {
			return []string{"the queue does not end: " + err.Error()}
		}
	}
}
