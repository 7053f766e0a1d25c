package recipes_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

// sum has some who add 1 to a number that they have of a recipe. Each sum is told once.
func (w *world) sum(name string, adders int, add func(c *client.Client) (int64, error), get func(c *client.Client) (int64, error)) {
	var known, open atomic.Int64
	var told sync.Map
	for i := range adders {
		actor := fmt.Sprintf("%s %d", name, i)
		w.act(actor, func(_ *someone, c *client.Client) error {
			v, err := add(c)
			switch {
			case err == nil:
				known.Add(1)
				if _, twice := told.LoadOrStore(v, true); twice {
					w.tell(event{What: odd, Grant: actor, Item: fmt.Sprintf("the sum %d was told twice", v)})
				}
			case mayBeDone(err):
				open.Add(1)
			}
			w.pause()
			return err
		})
	}
	w.finally(func() []string {
		v, err := get(w.reader)
		if err != nil {
			return []string{err.Error()}
		}
		w.t.Logf("%s: %d, and of %d nobody knows", name, known.Load(), open.Load())
		return outside(name, v, known.Load(), open.Load())
	})
}

func (w *world) counter(path string, adders int) {
	w.sum("counter", adders, func(c *client.Client) (int64, error) {
		return recipes.NewCounter(c, path).Add(w.ctx, 1)
	}, func(c *client.Client) (int64, error) { return recipes.NewCounter(c, path).Get(w.ctx) })
}

// setting is what the typed value holds.
type setting struct {
	Sum int64
	Pad string // so that it is no number
}

func (w *world) value(path string, updaters int) {
	w.sum("typed value", updaters, func(c *client.Client) (int64, error) {
		now, err := recipes.Typed(c, path, recipes.JSON[setting]()).Update(w.ctx, func(old *setting) (setting, error) {
			if old == nil {
				return setting{Sum: 1}, nil
			}
			return setting{old.Sum + 1, strings.Repeat("x", rand.IntN(100))}, nil
		})
		return now.Sum, err
	}, func(c *client.Client) (int64, error) {
		now, err := recipes.Typed(c, path, recipes.JSON[setting]()).Get(w.ctx, client.Linearizable())
		return now.Sum, err
	})
	name := "watcher of the value"
	w.act(name, func(_ *someone, c *client.Client) error {
		var last int64
		for now, err := range recipes.Typed(c, path, recipes.JSON[setting]()).Watch(w.load) {
			switch {
			case errors.Is(err, client.ErrNoNode):
			case err != nil:
				return err
			case now.Sum < last:
				w.tell(event{What: odd, Grant: name, Item: fmt.Sprintf("was told %d after %d", now.Sum, last)})
			default:
				last = now.Sum
			}
		}
		return nil
	})
}

const mirrored = 10 // paths that change in a cached tree

// cache has writers, each below a directory of its own, who read their writes in a cache
// of all of it. In the end caches are what the tree is, one of them since the beginning.
func (w *world) cache(root string, writers int) {
	_, err := w.newCache(w.reader, root)
	require.NoError(w.t, err)
	for i := range writers {
		name := fmt.Sprintf("mirror %d of %s", i, root)
		life := 0
		w.act(name, func(_ *someone, c *client.Client) error {
			life++ // each its own directory: writes of a lost session may still be done
			return w.mirror(name, c, root, fmt.Sprintf("%s/%d/%d", root, i, life))
		})
	}
	w.finally(func() []string { return w.mirrorEnds(root) })
}

// mirror lives as long as the session.
func (w *world) mirror(name string, c *client.Client, root, dir string) error {
	k, err := w.newCache(c, root)
	if err != nil {
		return err
	}
	for n := 0; w.load.Err() == nil && c.Session().Context().Err() == nil; n++ {
		at, data := fmt.Sprintf("%s/%d", dir, rand.IntN(mirrored)), fmt.Appendf(nil, "%s %d", name, n)
		zxid, err := w.change(c, at, &data)
		if err != nil {
			return err
		}
		if err := k.WaitZxid(w.ctx, zxid); err != nil {
			return err
		}
		if !sameData(k.Get(at), data) {
			w.tell(event{What: odd, Grant: name, Item: fmt.Sprintf("the cache has no %q of zxid %d at %s", data, zxid, at)})
		}
		w.mirrored.Add(1)
		w.pause()
	}
	return nil
}

// newCache is one that is compared in the end.
func (w *world) newCache(c *client.Client, root string) (*recipes.Cache, error) {
	k, err := recipes.NewCache(w.ctx, c, root)
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.caches = append(w.caches, k)
	}
	return k, err
}

// change sets the data of a node, or deletes it, which makes data nil.
func (w *world) change(c *client.Client, at string, data *[]byte) (zxid uint64, err error) {
	if rand.IntN(4) == 0 {
		*data = nil
		res, err := c.Multi(w.ctx, client.OpDelete(at))
		if errors.Is(err, client.ErrNoNode) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		return res.Zxid, nil
	}
	stat, err := c.Set(w.ctx, at, *data)
	if errors.Is(err, client.ErrNoNode) {
		n, err := c.Create(w.ctx, at, *data, client.Parents())
		if err != nil {
			return 0, err
		}
		return n.Stat.Czxid, nil
	}
	if err != nil {
		return 0, err
	}
	return stat.Mzxid, nil
}

func sameData(n *client.Node, data []byte) bool {
	if n == nil || data == nil {
		return n == nil && data == nil
	}
	return bytes.Equal(n.Data, data)
}

func (w *world) mirrorEnds(root string) (found []string) {
	zxid, err := w.reader.Barrier(w.ctx)
	if err != nil {
		return []string{err.Error()}
	}
	tree, err := w.walk(root)
	if err != nil {
		return []string{err.Error()}
	}
	equal := 0
	for _, k := range w.caches {
		if err := k.WaitZxid(w.ctx, zxid); err != nil {
			continue // its session was lost
		}
		equal++
		if cached := k.List(root); !slices.EqualFunc(cached, tree, sameNode) {
			found = append(found, fmt.Sprintf("%s has %d nodes, a cache of it %d others", root, len(tree), len(cached)))
		}
		k.Close()
	}
	w.t.Logf("cache: %d writes read in it, %d caches compared", w.mirrored.Load(), equal)
	if equal == 0 {
		found = append(found, "no cache was there in the end")
	}
	return found
}

func sameNode(a, b *client.Node) bool {
	return a.Path == b.Path && a.Stat.Mzxid == b.Stat.Mzxid && bytes.Equal(a.Data, b.Data)
}

// walk lists a node and all below it, sorted by path.
func (w *world) walk(root string) ([]*client.Node, error) {
	n, err := w.reader.Get(w.ctx, root)
	if err != nil {
		return nil, err
	}
	all := []*client.Node{n}
	names, err := w.reader.Children(w.ctx, root)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		below, err := w.walk(root + "/" + name)
		if err != nil {
			return nil, err
		}
		all = append(all, below...)
	}
	slices.SortFunc(all, func(a, b *client.Node) int { return cmp.Compare(a.Path, b.Path) })
	return all, nil
}

// anchor is an instance of a service that is nobody's, so that it is always there.
const anchor = "anchor"

// directory has one who looks a service up and is cut off until its session is lost, and
// goes on looking. It is told what was known all the time.
func (w *world) directory(root string) {
	name := "directory of " + root
	w.act(name, func(s *someone, c *client.Client) error {
		r, err := recipes.NewRegistry(w.ctx, c, root)
		if err != nil {
			return err
		}
		defer r.Close()
		for !w.knowsAnchor(r) {
			if w.load.Err() != nil || c.Session().Context().Err() != nil {
				return nil
			}
			w.pause()
		}
		s.wire.cut()
		defer s.wire.mend()
		for r.Err() == nil && w.load.Err() == nil {
			if !w.knowsAnchor(r) {
				w.tell(event{What: odd, Grant: name, Item: "what was known is forgotten while there is no server"})
			}
			w.pause()
		}
		if !w.knowsAnchor(r) {
			w.tell(event{What: odd, Grant: name, Item: fmt.Sprintf("what was known is forgotten after the end: %v", r.Err())})
		}
		w.lookups.Add(1)
		return nil
	})
}

func (w *world) knowsAnchor(r *recipes.Registry) bool {
	found, err := r.Lookup(w.ctx, "service")
	return err == nil && slices.ContainsFunc(found, func(i recipes.Instance) bool { return i.ID == anchor })
}

func (w *world) prepareAnchor(root string) error {
	data, err := json.Marshal(recipes.Instance{Service: "service", ID: anchor, Address: "127.0.0.1", Type: "STATIC"})
	if err != nil {
		return err
	}
	_, err = w.reader.Create(w.ctx, root+"/service/"+anchor, data, client.Parents())
	return err
}

// batches has one who puts items of several priorities and takes them again: in order,
// unless its session is lost.
func (w *world) batches(at string) {
	const size = 5
	round := 0
	name := "order of " + at
	w.act(name, func(_ *someone, c *client.Client) error {
		round++
		q := recipes.NewQueue(c, fmt.Sprintf("%s/%d", at, round)) // each round its own: of a lost one nothing is left over
		var want []string
		for i := range size {
			p := rand.IntN(3)
			id := fmt.Sprintf("%d-%d", p, i)
			if err := q.Put(w.ctx, []byte(id), recipes.Priority(p)); err != nil {
				return err
			}
			want = append(want, id)
		}
		slices.Sort(want)
		for _, id := range want {
			i, err := q.Take(w.ctx)
			if err != nil {
				return err
			}
			if string(i.Data) != id {
				w.tell(event{What: odd, Grant: name, Item: fmt.Sprintf("took %s in place of %s", i.Data, id)})
			}
			if err := i.Ack(w.ctx); err != nil {
				return err
			}
		}
		w.batched.Add(1)
		return nil
	})
}
