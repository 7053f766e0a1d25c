package client

import (
	"context"
	"errors"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// Types of a znode, as the tree has them.
type (
	Stat     = znode.Stat
	ACL      = znode.ACL
	Identity = znode.Identity
)

// Node is a znode as one reply told it. Zxid is the state the reply is of.
type Node struct {
	Path    string
	Data    []byte // nil is null, which is not empty
	Stat    Stat
	Zxid    uint64
	Existed bool // Create with IfAbsent found it there, and this is its Stat
}

// GetOption shapes a read of one node.
type GetOption interface{ applyGet(*readConfig) }

// ListOption shapes a listing.
type ListOption interface{ applyList(*listConfig) }

// ReadOption is good for every read.
type ReadOption interface {
	GetOption
	ListOption
	WalkOption
}

type readConfig struct {
	consistency protocol.Consistency
	atLeast     uint64
}

type listConfig struct {
	read  readConfig
	limit int
	after string
}

type readOption func(*readConfig)

func (f readOption) applyGet(c *readConfig)  { f(c) }
func (f readOption) applyList(c *listConfig) { f(&c.read) }
func (f readOption) applyWalk(c *walkConfig) { f(&c.read) }

// Linearizable reads a state no older than any that anybody has been shown
// when the read begins.
func Linearizable() ReadOption {
	return readOption(func(c *readConfig) { c.consistency = protocol.Linearizable })
}

// AtLeast waits until the server has come to this zxid.
func AtLeast(zxid uint64) ReadOption {
	return readOption(func(c *readConfig) { c.consistency, c.atLeast = protocol.AtLeast, zxid })
}

type listOption func(*listConfig)

func (f listOption) applyList(c *listConfig) { f(c) }

// Limit ends a listing after this many names.
func Limit(n int) ListOption { return listOption(func(c *listConfig) { c.limit = n }) }

// After begins a listing behind this name: the last one of the page before.
func After(cursor string) ListOption { return listOption(func(c *listConfig) { c.after = cursor }) }

func (c *Client) readConfig(opts []GetOption) readConfig {
	if len(opts) == 0 {
		return c.defaultRead() // without r, which options make escape
	}
	r := c.defaultRead()
	for _, o := range opts {
		o.applyGet(&r)
	}
	return r
}

func (c *Client) defaultRead() (r readConfig) {
	if c.cfg.linearizable {
		r.consistency = protocol.Linearizable
	}
	return r
}

func (c *Client) newRead(op protocol.Op, r readConfig) *call {
	cl := c.newCall(op)
	cl.req.Consistency, cl.req.Arg = r.consistency, r.atLeast
	return cl
}

// readOne asks op of one node.
func (c *Client) readOne(ctx context.Context, op protocol.Op, path string, r readConfig) (protocol.Message, error) {
	full, err := c.cfg.full(path)
	if err != nil {
		return protocol.Message{}, opError(op.String(), path, err)
	}
	cl := c.newRead(op, r)
	cl.req.Read.Path = full
	m, err := c.do(ctx, cl)
	if err != nil {
		return m, opError(op.String(), path, err)
	}
	return m, nil
}

// Get returns a node with its data.
func (c *Client) Get(ctx context.Context, path string, opts ...GetOption) (*Node, error) {
	m, err := c.readOne(ctx, protocol.OpGet, path, c.readConfig(opts))
	if err != nil {
		return nil, err
	}
	return &Node{Path: path, Data: m.Data, Stat: m.Stat, Zxid: m.Zxid}, nil
}

// Exists returns a node's Stat, nil if there is none.
func (c *Client) Exists(ctx context.Context, path string, opts ...GetOption) (*Stat, error) {
	m, err := c.readOne(ctx, protocol.OpExists, path, c.readConfig(opts))
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &m.Stat, nil
}

// GetACL returns who may do what with a node.
func (c *Client) GetACL(ctx context.Context, path string, opts ...GetOption) (ACL, error) {
	m, err := c.readOne(ctx, protocol.OpGetACL, path, c.readConfig(opts))
	if err != nil || m.More == nil {
		return nil, err
	}
	return m.More.ACL, nil
}

// Count returns how many nodes are below one.
func (c *Client) Count(ctx context.Context, path string, opts ...GetOption) (int64, error) {
	m, err := c.readOne(ctx, protocol.OpCount, path, c.readConfig(opts))
	if err != nil || m.More == nil {
		return 0, err
	}
	return m.More.Count, nil
}

// Children returns the names of a node's children, sorted. Many names come in
// several replies; together they are not of one instant.
func (c *Client) Children(ctx context.Context, path string, opts ...ListOption) ([]string, error) {
	lc := listConfig{read: c.defaultRead()}
	for _, o := range opts {
		o.applyList(&lc)
	}
	full, err := c.cfg.full(path)
	if err != nil {
		return nil, opError("children", path, err)
	}
	_, names, err := c.listAll(ctx, full, lc.read, lc.limit, lc.after)
	if err != nil {
		return nil, opError("children", path, err)
	}
	return names, nil
}

// listAll gathers the pages of a listing; the message is the first page's.
func (c *Client) listAll(ctx context.Context, full string, r readConfig, limit int, after string) (first protocol.Message, names []string, err error) {
	return c.pages(ctx, protocol.OpChildren, full, r, limit, after)
}

func (c *Client) pages(ctx context.Context, op protocol.Op, full string, r readConfig, limit int, after string) (first protocol.Message, all []string, err error) {
	for page := 0; ; page++ {
		cl := c.newRead(op, r)
		cl.req.Read.Path, cl.req.Read.After = full, after
		if limit > 0 {
			cl.req.Read.Limit = limit - len(all)
		}
		m, err := c.do(ctx, cl)
		if err != nil {
			return m, nil, err
		}
		names, truncated := pageOf(&m)
		if truncated && (len(names) == 0 || names[len(names)-1] <= after) || limit > 0 && len(names) > limit-len(all) {
			return m, nil, ErrProtocol // it would never end, or is more than was asked for
		}
		if page == 0 {
			first, all = m, names // most often that is all
		} else {
			all = append(all, names...)
		}
		if !truncated || limit > 0 && len(all) >= limit {
			return first, all, nil
		}
		after = names[len(names)-1]
	}
}

func pageOf(m *protocol.Message) (names []string, truncated bool) {
	if m.More == nil {
		return nil, false
	}
	return m.More.Names, m.More.Truncated
}

// Ephemerals lists the ephemeral nodes of this session whose paths begin with
// prefix, "/" for all.
func (c *Client) Ephemerals(ctx context.Context, prefix string, opts ...ListOption) ([]string, error) {
	lc := listConfig{read: c.defaultRead()}
	for _, o := range opts {
		o.applyList(&lc)
	}
	full, err := c.cfg.full(prefix)
	if err != nil {
		return nil, opError("ephemerals", prefix, err)
	}
	if lc.after != "" {
		lc.after, err = c.cfg.full(lc.after)
	}
	if err != nil {
		return nil, opError("ephemerals", prefix, err)
	}
	_, paths, err := c.pages(ctx, protocol.OpEphemerals, full, lc.read, lc.limit, lc.after)
	if err != nil {
		return nil, opError("ephemerals", prefix, err)
	}
	for i := range paths {
		paths[i] = c.cfg.local(paths[i])
	}
	return paths, nil
}

// Barrier returns when this client's server has applied everything that
// anybody was told before Barrier was called, with the zxid reached.
func (c *Client) Barrier(ctx context.Context) (zxid uint64, err error) {
	m, err := c.do(ctx, c.newCall(protocol.OpSync))
	if err != nil {
		return 0, opError("barrier", "", err)
	}
	return m.Zxid, nil
}

// WhoAmI lists what the server takes this connection for.
func (c *Client) WhoAmI(ctx context.Context) ([]Identity, error) {
	m, err := c.do(ctx, c.newCall(protocol.OpWhoAmI))
	if err != nil {
		return nil, opError("whoAmI", "", err)
	}
	if m.More == nil {
		return nil, nil
	}
	return m.More.Identities, nil
}

// SessionInfo is what the cluster knows of a session: alive, or for a while
// after its end, how it ended.
type SessionInfo = protocol.SessionInfo

// SessionInfo looks up any session.
func (c *Client) SessionInfo(ctx context.Context, id SessionID) (*SessionInfo, error) {
	cl := c.newCall(protocol.OpSessionInfo)
	cl.req.Read.Session = uint64(id)
	m, err := c.do(ctx, cl)
	if err != nil {
		return nil, opError("sessionInfo", "", err)
	}
	if m.More == nil || m.More.Session == nil {
		return nil, &Error{Op: "sessionInfo", Err: ErrProtocol}
	}
	return m.More.Session, nil
}
