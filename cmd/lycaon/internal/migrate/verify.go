package migrate

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/lycaon-io/lycaon/znode"
)

// Difference is what is not the same on both sides.
type Difference struct {
	Path string `json:"path"`
	What string `json:"what"`
}

// Verdict is the outcome of a comparison.
type Verdict struct {
	Compared    int   // nodes
	Bytes       int64 // of data
	Ephemerals  int   // of the source, which are not copied
	Different   int
	Differences []Difference // the first of them
}

func (v *Verdict) add(path, what string) {
	v.Different++
	if len(v.Differences) < maxListed {
		v.Differences = append(v.Differences, Difference{path, what})
	}
}

// Verify compares every node of the tree on both sides: its data, its ACL, its
// children, and that sequence numbers go on no lower. It trusts nothing that was
// copied before.
func (c *Copier) Verify(ctx context.Context) (Verdict, error) {
	var v Verdict
	if err := c.src.Sync(ctx); err != nil {
		return v, err
	}
	for level := []string{c.root}; len(level) > 0; {
		var next []string
		for len(level) > 0 {
			n := min(c.chunk, len(level))
			children, err := c.compareChunk(ctx, level[:n], &v)
			if err != nil {
				return v, err
			}
			level, next = level[n:], append(next, children...)
		}
		level = next
	}
	return v, nil
}

// pair is one node on both sides.
type pair struct {
	seen           item // on the source; its node is what is known, for nextChunk
	there          Node
	absent, hidden bool // at the source
	lacking        bool // at the target
}

func (c *Copier) compareChunk(ctx context.Context, paths []string, v *Verdict) (next []string, err error) {
	pairs := make([]pair, len(paths))
	err = parallel(ctx, len(paths), lookers, func(ctx context.Context, i int) error {
		return c.lookAtBoth(ctx, paths[i], &pairs[i])
	})
	if err != nil {
		return nil, err
	}
	c.looked(len(paths))
	items := make([]*item, len(pairs))
	for i := range pairs {
		items[i] = &pairs[i].seen
		if pairs[i].compare(paths[i], v) {
			next = append(next, below(paths[i], union(pairs[i].seen.seen.Children, pairs[i].there.Children))...)
		}
	}
	c.chunk = nextChunk(c.chunk, items)
	return next, nil
}

func (c *Copier) lookAtBoth(ctx context.Context, path string, p *pair) (err error) {
	p.seen.seen, err = c.src.Look(ctx, path, All)
	switch {
	case errors.Is(err, znode.ErrNoNode):
		p.absent = true
	case errors.Is(err, znode.ErrNoAuth):
		p.hidden = true
	case err != nil:
		return err
	}
	if znode.ValidatePath(path) != nil {
		p.lacking = true
		return nil
	}
	p.there, err = c.dst.Look(ctx, path, All)
	if errors.Is(err, znode.ErrNoNode) {
		p.lacking = true
		return nil
	}
	return err
}

// compare enters what differs into v, and tells whether to go on below.
func (p *pair) compare(path string, v *Verdict) bool {
	here := &p.seen.seen
	switch {
	case here.Ephemeral:
		v.Ephemerals++
		if !p.lacking && !p.there.Ephemeral {
			v.add(path, "is ephemeral at the source and not at the target")
		}
		return false
	case p.hidden:
		v.add(path, "may not be read at the source")
		return false
	case p.absent && p.lacking, p.absent && p.there.Ephemeral:
		return false
	case p.absent:
		v.add(path, "is at the target alone")
		return false
	case p.lacking:
		v.add(path, "is at the source alone")
		return false
	}
	v.Compared++
	v.Bytes += int64(len(here.Data))
	if !bytes.Equal(here.Data, p.there.Data) || (here.Data == nil) != (p.there.Data == nil) {
		v.add(path, "has other data")
	}
	if !slices.Equal(here.ACL, p.there.ACL) {
		v.add(path, "has another ACL")
	}
	if p.there.Created < here.Created {
		v.add(path, "has a lower sequence counter at the target")
	}
	return true
}

// union returns the names in a or b, each once.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
