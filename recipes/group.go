package recipes

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/lycaon-io/lycaon/client"
)

// Group is who is there, by name. Its nodes are those of Curator's GroupMember.
type Group struct {
	c    Client
	conf config
	path string
}

// NewGroup makes nothing in the tree before it is used.
func NewGroup(c Client, path string, opts ...Option) *Group {
	return &Group{c, newConfig(opts), path}
}

// Member is one of a group. Token rises from one to the next who has the name.
type Member struct {
	Name    string
	Data    []byte
	Session client.SessionID
	Token   uint64
}

// Join is in the group under a name until Release or the end of the session. A
// name that is taken, mostly by the former session of a program that was started
// again, is waited for, as long as ctx and the session last.
func (g *Group) Join(ctx context.Context, name string, data []byte) (*Held, error) {
	ctx = patient{ctx}
	a := &attempt{c: g.c, conf: g.conf, dir: g.path, shared: join(g.path, name), data: notNull(data)}
	h, err := g.join(ctx, a)
	if err != nil {
		a.discard()
		return nil, wrap("join as "+name, g.path, err)
	}
	return h, nil
}

func (g *Group) join(ctx context.Context, a *attempt) (*Held, error) {
	if err := a.sit(ctx); err != nil {
		return nil, err
	}
	for {
		n, err := a.claim(ctx, func() (*client.Node, error) {
			return g.c.Create(ctx, a.shared, a.data, g.conf.create(client.Ephemeral())...)
		})
		if err == nil {
			h, err := a.stay(ctx, n)
			if err == nil {
				context.AfterFunc(h.ctx, a.rise)
			}
			return h, err
		}
		if !errors.Is(err, client.ErrNodeExists) {
			return nil, err
		}
		if err := untilGone(ctx, g.c, a.shared); err != nil {
			return nil, err
		}
	}
}

// stay holds a node and sees, once its watch is set, that it is there still.
func (a *attempt) stay(ctx context.Context, n *client.Node) (*Held, error) {
	h, err := a.hold(ctx, *n)
	if err != nil {
		return nil, err
	}
	now, err := a.c.Get(ctx, n.Path)
	if err == nil && now.Stat.Czxid != n.Stat.Czxid || errors.Is(err, client.ErrNoNode) {
		err = fmt.Errorf("%w: %w", ErrLost, ErrDeleted)
	}
	if err != nil {
		h.stop(err)
		return nil, err
	}
	return h, nil
}

// Members are those who are there, sorted by name.
func (g *Group) Members(ctx context.Context) ([]Member, error) {
	members, err := g.list(ctx)
	return members, wrap("members", g.path, err)
}

func (g *Group) list(ctx context.Context) ([]Member, error) {
	names, err := g.c.Children(ctx, g.path, client.Linearizable())
	if err != nil {
		return nil, unlessGone(err)
	}
	var members []Member
	for _, name := range names {
		n, err := g.c.Get(ctx, join(g.path, name))
		if errors.Is(err, client.ErrNoNode) {
			continue
		}
		if err != nil {
			return nil, err
		}
		members = appendMember(members, n)
	}
	return members, nil
}

func appendMember(members []Member, n *client.Node) []Member {
	if n.Stat.Owner == 0 {
		return members // nobody's
	}
	return append(members, Member{base(n.Path), n.Data, client.SessionID(n.Stat.Owner), n.Stat.Czxid})
}

// Watch yields the members and then each change of them or of their data. Changes
// in quick succession may come as one. An error is the last thing it yields: of ctx,
// or of the session.
func (g *Group) Watch(ctx context.Context) iter.Seq2[[]Member, error] {
	return func(yield func([]Member, error) bool) {
		k, err := NewCache(patient{ctx}, g.c, g.path)
		if err != nil {
			yield(nil, wrap("watch", g.path, err))
			return
		}
		defer k.Close()
		var last []Member
		told := false
		err = k.follow(ctx, func() bool {
			now := g.cached(k)
			if told && slices.EqualFunc(last, now, sameMember) {
				return true
			}
			last, told = now, true
			return yield(now, nil)
		})
		if err != nil {
			yield(nil, wrap("watch", g.path, err))
		}
	}
}

func sameMember(a, b Member) bool {
	return a.Name == b.Name && a.Token == b.Token && string(a.Data) == string(b.Data)
}

func (g *Group) cached(k *Cache) (members []Member) {
	for _, n := range k.Children(g.path) {
		members = appendMember(members, n)
	}
	return members
}
