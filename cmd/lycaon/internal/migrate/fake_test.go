package migrate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/lycaon-io/lycaon/znode"
)

// service is a tree in memory, source or target.
type service struct {
	mu     sync.Mutex
	zxid   uint64
	nodes  map[string]fakeNode
	before func() // runs before each Look, without the lock
	refuse func(c *Change) error
	hide   map[string]bool // paths that may not be read
	looks  int
	syncs  int
	most   int // changes in one transaction
}

type fakeNode struct {
	Stat
	data []byte
	acl  znode.ACL
}

func newService(paths ...string) *service {
	s := &service{nodes: map[string]fakeNode{"/": {acl: znode.OpenACL}, "/zookeeper": {acl: znode.OpenACL}, "/zookeeper/quota": {acl: znode.OpenACL}}}
	for _, path := range paths {
		s.must(Change{Kind: Create, Path: path, Data: []byte("of " + path), ACL: znode.OpenACL})
	}
	return s
}

func (s *service) must(changes ...Change) {
	if _, err := s.Apply(context.Background(), changes); err != nil {
		panic(err)
	}
}

func (s *service) children(path string) (names []string) {
	for child := range s.nodes {
		if child != "/" && znode.Parent(child) == path {
			names = append(names, znode.Base(child))
		}
	}
	slices.Sort(names)
	return names
}

func (s *service) Look(_ context.Context, path string, want Parts) (n Node, err error) {
	if s.before != nil {
		s.before()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	f, ok := s.nodes[path]
	if !ok {
		return n, znode.ErrNoNode
	}
	if s.hide[path] {
		return n, znode.ErrNoAuth
	}
	n.Stat = f.Stat
	if want&Data != 0 {
		n.Data = f.data
	}
	if want&ACL != 0 {
		n.ACL = f.acl
	}
	if want&Children != 0 {
		n.Children = s.children(path)
	}
	return n, nil
}

func (s *service) Sync(context.Context) error {
	s.syncs++
	return nil
}

func (s *service) Raise(_ context.Context, path string, atLeast int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[path]
	n.Created = max(n.Created, atLeast)
	s.nodes[path] = n
	return nil
}

func (s *service) Apply(_ context.Context, changes []Change) (culprit int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = max(s.most, len(changes))
	before := maps.Clone(s.nodes)
	s.zxid++
	for i := range changes {
		if err := s.change(&changes[i]); err != nil {
			s.nodes = before
			return i, fmt.Errorf("%s: %w", changes[i].Path, err)
		}
	}
	return 0, nil
}

func (s *service) change(c *Change) error {
	if s.refuse != nil {
		if err := s.refuse(c); err != nil {
			return err
		}
	}
	n, there := s.nodes[c.Path]
	parent, hasParent := s.nodes[znode.Parent(c.Path)]
	switch {
	case c.Kind == Create && !hasParent, c.Kind != Create && !there:
		return znode.ErrNoNode
	case c.Kind == Create && there:
		return znode.ErrNodeExists
	case c.Kind == Delete && len(s.children(c.Path)) > 0:
		return znode.ErrNotEmpty
	}
	switch c.Kind {
	case Create:
		n = fakeNode{Stat: Stat{Czxid: s.zxid, Mzxid: s.zxid, Pzxid: s.zxid}, data: c.Data, acl: c.ACL}
		parent.Pzxid, parent.Created = s.zxid, parent.Created+1
		s.nodes[znode.Parent(c.Path)] = parent
	case SetData:
		n.data, n.Mzxid = c.Data, s.zxid
	case SetACL:
		n.acl, n.Aversion = c.ACL, n.Aversion+1
	case Delete:
		delete(s.nodes, c.Path)
		parent.Pzxid = s.zxid
		s.nodes[znode.Parent(c.Path)] = parent
		return nil
	}
	s.nodes[c.Path] = n
	return nil
}

// ephemeral makes a node that belongs to a session.
func (s *service) ephemeral(path string) {
	s.must(Change{Kind: Create, Path: path, ACL: znode.OpenACL})
	n := s.nodes[path]
	n.Ephemeral = true
	s.nodes[path] = n
}

// shown is what a copy must have in common with its source.
func (s *service) shown(root string) map[string]string {
	all := map[string]string{}
	for path, n := range s.nodes {
		if n.Ephemeral || isSystem(path) || root != "/" && path != root && !hasPrefix(path, root) {
			continue
		}
		data := "null"
		if n.data != nil {
			data = fmt.Sprintf("%q", n.data)
		}
		all[path] = fmt.Sprintf("%s %s %d", data, znode.FormatACL(n.acl), n.Created)
	}
	return all
}

func hasPrefix(path, root string) bool {
	return len(path) > len(root) && path[:len(root)+1] == root+"/"
}
