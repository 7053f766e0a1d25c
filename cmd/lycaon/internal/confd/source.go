package confd

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/lycaon-io/lycaon/client"
)

// Node is a node as templates see it.
type Node struct {
	Path  string
	Name  string // the last part of Path
	Rel   string // of tree: the part of Path below the tree's root
	Value string // the data; null is ""
}

// concern is what of a path a template has looked at.
type concern uint8

const (
	value    concern = iota // whether the node is there, and its data
	children                // the names of its children
	subtree                 // everything at and below it
)

func (c concern) options() []client.WatchOption {
	switch c {
	case children:
		return []client.WatchOption{client.Types(client.EventCreated, client.EventDeleted, client.EventChildrenChanged)}
	case subtree:
		return []client.WatchOption{client.Subtree()}
	}
	return []client.WatchOption{client.Types(client.EventCreated, client.EventDeleted, client.EventChanged)}
}

// dependency is what one watch is for.
type dependency struct {
	path string
	of   concern
}

// source reads for templates and watches what they have read. Each watch is in
// force before its first read, so that no change falls between the two.
type source struct {
	c       *client.Client
	watches map[dependency]*watch
	used    map[dependency]bool // since begin
	dirty   chan struct{}       // of one place: something changed, or a watch ended
	wg      sync.WaitGroup
}

type watch struct {
	stop  context.CancelFunc
	ended atomic.Bool
}

func newSource() *source {
	return &source{watches: map[dependency]*watch{}, dirty: make(chan struct{}, 1)}
}

// begin starts a round of reads by c. The watches of another client are gone
// with its session.
func (s *source) begin(c *client.Client) {
	if s.c != c {
		s.drop(func(dependency) bool { return true })
		s.c = c
	}
	s.used = map[dependency]bool{}
}

// end drops the watches that this round had no use for.
func (s *source) end() { s.drop(func(d dependency) bool { return !s.used[d] }) }

func (s *source) drop(which func(dependency) bool) {
	for d, w := range s.watches {
		if which(d) {
			w.stop()
			delete(s.watches, d)
		}
	}
}

func (s *source) close() {
	s.drop(func(dependency) bool { return true })
	s.wg.Wait()
}

// use has d watched.
func (s *source) use(ctx context.Context, d dependency) error {
	s.used[d] = true
	if w := s.watches[d]; w != nil && !w.ended.Load() {
		return nil
	}
	cursor, err := s.c.Watch(ctx, d.path, d.of.options()...)
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(context.Background())
	w := &watch{stop: stop}
	s.watches[d] = w
	s.wg.Go(func() {
		defer cursor.Close()
		for {
			_, err := cursor.Next(background)
			if background.Err() != nil {
				return
			}
			w.ended.Store(err != nil)
			s.mark()
			if err != nil {
				return
			}
		}
	})
	return nil
}

func (s *source) mark() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// get returns a node, nil if there is none.
func (s *source) get(ctx context.Context, path string) (*Node, error) {
	if err := s.use(ctx, dependency{path, value}); err != nil {
		return nil, err
	}
	return s.read(ctx, path)
}

func (s *source) read(ctx context.Context, path string) (*Node, error) {
	n, err := s.c.Get(ctx, path)
	if errors.Is(err, client.ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return nodeOf(path, n.Data), nil
}

func nodeOf(where string, data []byte) *Node {
	return &Node{Path: where, Name: path.Base(where), Value: string(data)}
}

// list returns the names of a node's children, none of a node that is not there.
func (s *source) list(ctx context.Context, path string) ([]string, error) {
	if err := s.use(ctx, dependency{path, children}); err != nil {
		return nil, err
	}
	return s.names(ctx, path)
}

func (s *source) names(ctx context.Context, path string) ([]string, error) {
	names, err := s.c.Children(ctx, path)
	if errors.Is(err, client.ErrNoNode) {
		return nil, nil
	}
	return names, err
}

// tree returns everything below a node, parents first.
func (s *source) tree(ctx context.Context, root string) (nodes []Node, err error) {
	if err := s.use(ctx, dependency{root, subtree}); err != nil {
		return nil, err
	}
	for n, err := range s.c.Walk(ctx, root) {
		if errors.Is(err, client.ErrNoNode) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if n.Path == root {
			continue
		}
		node := nodeOf(n.Path, n.Data)
		node.Rel = strings.TrimPrefix(strings.TrimPrefix(n.Path, root), "/")
		nodes = append(nodes, *node)
	}
	return nodes, nil
}

// match returns the nodes whose paths match a pattern, in which *, ? and [a-z]
// stand for parts of one name.
func (s *source) match(ctx context.Context, pattern string) (nodes []Node, err error) {
	if _, err := path.Match(pattern, ""); err != nil || !strings.HasPrefix(pattern, "/") {
		return nil, fmt.Errorf("pattern %q: want a path with *, ? or [a-z] in names", pattern)
	}
	parts := strings.Split(strings.TrimPrefix(pattern, "/"), "/")
	fixed, root := 0, "/"
	for fixed < len(parts) && !strings.ContainsAny(parts[fixed], `*?[\`) {
		root = path.Join(root, parts[fixed])
		fixed++
	}
	if err := s.use(ctx, dependency{root, subtree}); err != nil {
		return nil, err
	}
	found := []string{root}
	for _, part := range parts[fixed:] {
		if found, err = s.step(ctx, found, part); err != nil {
			return nil, err
		}
	}
	for _, where := range found {
		n, err := s.read(ctx, where)
		if err != nil {
			return nil, err
		}
		if n != nil {
			nodes = append(nodes, *n)
		}
	}
	return nodes, nil
}

// step goes from nodes to those of their children that match.
func (s *source) step(ctx context.Context, from []string, part string) (to []string, err error) {
	for _, parent := range from {
		names, err := s.names(ctx, parent)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if ok, _ := path.Match(part, name); ok { // its form was checked
				to = append(to, path.Join(parent, name))
			}
		}
	}
	return to, nil
}
