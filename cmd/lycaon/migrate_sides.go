package main

import (
	"context"
	"errors"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/migrate"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/zkclient"
	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/znode"
)

// zooKeeperSide is a ZooKeeper as migrate sees it.
type zooKeeperSide struct{ zk *zkclient.Client }

// Look asks for the parts in one batch, which is answered in order, and takes the
// Stat of the first.
func (s *zooKeeperSide) Look(ctx context.Context, path string, want migrate.Parts) (n migrate.Node, err error) {
	var calls []jute.Call
	for _, part := range []struct {
		part migrate.Parts
		op   jute.OpCode
	}{{migrate.Data, jute.OpGetData}, {migrate.ACL, jute.OpGetACL}, {migrate.Children, jute.OpGetChildren2}} {
		if want&part.part != 0 {
			calls = append(calls, jute.Call{Op: part.op, Path: path})
		}
	}
	if len(calls) == 0 {
		calls = []jute.Call{{Op: jute.OpExists, Path: path}}
	}
	answers, err := s.zk.Ask(ctx, calls...)
	if err != nil {
		return n, err
	}
	for i := range answers {
		a := &answers[i]
		if err := zkclient.Failure(&calls[i], a); err != nil {
			return n, err
		}
		switch calls[i].Op {
		case jute.OpGetData:
			n.Data = a.Data
		case jute.OpGetACL:
			n.ACL = nativeACL(a.ACL)
		case jute.OpGetChildren2:
			n.Children = a.Names
		}
	}
	n.Stat = nativeStat(&answers[0].Stat)
	return n, nil
}

// Sync makes every connection's server catch up with its leader.
func (s *zooKeeperSide) Sync(ctx context.Context) error {
	return s.zk.AskAll(ctx, jute.Call{Op: jute.OpSync, Path: "/"})
}

// nativeStat undoes what ZooKeeper shows for a cversion: twice the children ever
// created, less those there are, in 32 bits.
func nativeStat(s *jute.Stat) migrate.Stat {
	return migrate.Stat{
		Czxid: uint64(s.Czxid), Mzxid: uint64(s.Mzxid), Pzxid: uint64(s.Pzxid), Aversion: int64(s.Aversion),
		Created:   int64(uint32(s.Cversion+s.NumChildren) / 2),
		Ephemeral: s.EphemeralOwner != 0,
	}
}

// nativeACL leaves out permission bits that mean nothing, which ZooKeeper keeps.
func nativeACL(acl []jute.ACL) znode.ACL {
	native := make(znode.ACL, len(acl))
	for i, e := range acl {
		native[i] = znode.Entry{Perms: znode.Perm(e.Perms) & znode.AllPerms, Scheme: e.Scheme, ID: e.ID}
	}
	return native
}

// lycaonSide is a Lycaon as migrate sees it.
type lycaonSide struct{ c *client.Client }

// Look reads all parts at one instant, unless they are too much for one answer.
func (s *lycaonSide) Look(ctx context.Context, path string, want migrate.Parts) (n migrate.Node, err error) {
	reads := []client.ReadOp{client.ReadExists(path)}
	for _, part := range []struct {
		part migrate.Parts
		read client.ReadOp
	}{{migrate.Data, client.ReadGet(path)}, {migrate.ACL, client.ReadACL(path)}, {migrate.Children, client.ReadChildren(path)}} {
		if want&part.part != 0 {
			reads = append(reads, part.read)
		}
	}
	results, err := s.c.MultiRead(ctx, reads)
	if err != nil {
		return n, err
	}
	truncated := false
	for i := range results {
		r := &results[i]
		if errors.Is(r.Err, client.ErrTooLarge) {
			truncated = true
			continue
		}
		if r.Err != nil {
			return n, r.Err
		}
		truncated = truncated || r.Truncated
		if r.Data != nil {
			n.Data = r.Data
		}
		if r.ACL != nil {
			n.ACL = r.ACL
		}
		if r.Names != nil {
			n.Children = r.Names
		}
	}
	n.Stat = targetStat(path, &results[0].Stat)
	if truncated {
		err = s.lookApart(ctx, path, want, &n)
	}
	return n, err
}

func (s *lycaonSide) lookApart(ctx context.Context, path string, want migrate.Parts, n *migrate.Node) (err error) {
	if want&migrate.Data != 0 {
		got, err := s.c.Get(ctx, path)
		if err != nil {
			return err
		}
		n.Data = got.Data
	}
	if want&migrate.ACL != 0 {
		if n.ACL, err = s.c.GetACL(ctx, path); err != nil {
			return err
		}
	}
	if want&migrate.Children != 0 {
		n.Children, err = s.c.Children(ctx, path)
	}
	return err
}

// rootChildren are there from the start and count as neither created nor
// deleted.
const rootChildren = 1

func targetStat(path string, s *client.Stat) migrate.Stat {
	created := s.Cversion + int64(s.NumChildren)
	if path == "/" {
		created -= rootChildren
	}
	return migrate.Stat{
		Czxid: s.Czxid, Mzxid: s.Mzxid, Pzxid: s.Pzxid, Aversion: s.Aversion,
		Created: created / 2, Ephemeral: s.Kind == znode.Ephemeral,
	}
}

// Apply makes the changes in one transaction.
func (s *lycaonSide) Apply(ctx context.Context, changes []migrate.Change) (culprit int, err error) {
	ops := make([]client.Op, len(changes))
	for i := range changes {
		ops[i] = operation(&changes[i])
	}
	_, err = s.c.Commit(ctx, ops...)
	if failed := (*client.MultiError)(nil); errors.As(err, &failed) {
		culprit = failed.Index
	}
	return culprit, err
}

func operation(c *migrate.Change) client.Op {
	switch c.Kind {
	case migrate.Create:
		return client.OpCreate(c.Path, c.Data, client.WithACL(c.ACL))
	case migrate.SetData:
		return client.OpSet(c.Path, c.Data)
	case migrate.SetACL:
		return client.OpSetACL(c.Path, c.ACL)
	}
	return client.OpDelete(c.Path)
}

// Raise lets sequential children go on where the source's are.
func (s *lycaonSide) Raise(ctx context.Context, path string, atLeast int64) error {
	return s.c.RaiseSequence(ctx, path, atLeast)
}
