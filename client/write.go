package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// CreateOption shapes a Create.
type CreateOption interface{ applyCreate(*createConfig) }

// SetOption shapes a Set or a SetACL.
type SetOption interface{ applySet(*versionConfig) }

// DeleteOption shapes a Delete.
type DeleteOption interface{ applyDelete(*deleteConfig) }

type createConfig struct {
	op    znode.CreateOp
	kinds int // how many options wanted a kind
	err   error
}

type versionConfig struct{ version int64 }

type deleteConfig struct {
	versionConfig
	recursive bool
}

type createOption func(*createConfig)

func (f createOption) applyCreate(c *createConfig) { f(c) }

func kind(k znode.Kind) CreateOption {
	return createOption(func(c *createConfig) { c.op.Kind, c.kinds = k, c.kinds+1 })
}

// Ephemeral makes a node that ends with this session.
func Ephemeral() CreateOption { return kind(znode.Ephemeral) }

// Container makes a node that goes by itself some time after its last child.
func Container() CreateOption { return kind(znode.Container) }

// TTL makes a node that goes by itself when it has had no children and has
// not been set for this long.
func TTL(d time.Duration) CreateOption {
	return createOption(func(c *createConfig) {
		kind(znode.TTL).applyCreate(c)
		if c.op.TTLMs = d.Milliseconds(); c.op.TTLMs < 1 {
			c.err = fmt.Errorf("%w: a TTL of %v: want at least 1ms", ErrBadArguments, d)
		}
	})
}

// Sequential appends a number of at least ten digits, higher than any before
// under the same parent.
func Sequential() CreateOption {
	return createOption(func(c *createConfig) { c.op.Sequential = true })
}

// WithACL is in place of everything for everybody.
func WithACL(acl ACL) CreateOption {
	return createOption(func(c *createConfig) { c.op.ACL = acl })
}

// Parents makes the missing ancestors too, as persistent nodes without data
// and with the same ACL.
func Parents() CreateOption {
	return createOption(func(c *createConfig) { c.op.Parents = true })
}

// IfAbsent takes a node that is there already for a success and leaves it as
// it is; Node.Existed tells.
func IfAbsent() CreateOption {
	return createOption(func(c *createConfig) { c.op.IfAbsent = true })
}

type ifVersion int64

func (v ifVersion) applySet(c *versionConfig)   { c.version = int64(v) }
func (v ifVersion) applyDelete(c *deleteConfig) { c.version = int64(v) }

// IfVersion makes the change only if the node's version is v: of its data, or
// for SetACL of its ACL.
func IfVersion(v int64) interface {
	SetOption
	DeleteOption
} {
	return ifVersion(v)
}

type recursive struct{}

func (recursive) applyDelete(c *deleteConfig) { c.recursive = true }

// Recursive deletes everything below too, all or nothing.
func Recursive() DeleteOption { return recursive{} }

// createOp and those after it make single writes, with paths as the server
// knows them.
func (c *Client) createOp(path string, data []byte, opts []CreateOption) (protocol.WriteOp, error) {
	cc := createConfig{op: znode.CreateOp{Data: data, ACL: znode.OpenACL}}
	for _, o := range opts {
		o.applyCreate(&cc)
	}
	if cc.kinds > 1 {
		cc.err = fmt.Errorf("%w: a node is only one of ephemeral, container and TTL", ErrBadArguments)
	}
	full, err := c.cfg.full(path)
	cc.op.Path = full
	return protocol.WriteOp{Op: protocol.OpCreate, Create: cc.op}, errors.Join(err, cc.err)
}

func (c *Client) setOp(path string, data []byte, opts []SetOption) (protocol.WriteOp, error) {
	full, err := c.cfg.full(path)
	w := protocol.WriteOp{Op: protocol.OpSet, Path: full, Data: data, Version: znode.AnyVersion}
	if len(opts) == 0 {
		return w, err // without v, which options make escape
	}
	v := versionConfig{w.Version}
	for _, o := range opts {
		o.applySet(&v)
	}
	w.Version = v.version
	return w, err
}

func (c *Client) setACLOp(path string, acl ACL, opts []SetOption) (protocol.WriteOp, error) {
	w, err := c.setOp(path, nil, opts)
	w.Op, w.ACL = protocol.OpSetACL, acl
	return w, err
}

func (c *Client) deleteOp(path string, opts []DeleteOption) (protocol.WriteOp, error) {
	d := deleteConfig{versionConfig: versionConfig{znode.AnyVersion}}
	for _, o := range opts {
		o.applyDelete(&d)
	}
	full, err := c.cfg.full(path)
	return protocol.WriteOp{Op: protocol.OpDelete, Path: full, Version: d.version, Recursive: d.recursive}, err
}

// write sends a single write.
func (c *Client) write(ctx context.Context, path string, w protocol.WriteOp, err error) (protocol.Message, error) {
	name := w.Op.String()
	if err != nil {
		return protocol.Message{}, opError(name, path, err)
	}
	guards, err := c.guardOps(ctx)
	if err != nil {
		return protocol.Message{}, opError(name, path, err)
	}
	var m protocol.Message
	if len(guards) > 0 {
		m, err = c.guarded(ctx, guards, w)
	} else {
		cl, room := c.newWrite(w.Op)
		cl.cost = protocol.AnswerBytes + w.ResultBytes()
		cl.setBody(protocol.AppendWrite(room, &w))
		m, err = c.do(ctx, cl)
	}
	if err != nil {
		return m, opError(name, path, err)
	}
	return m, nil
}

// Create makes a node: persistent and open to everybody unless options say
// otherwise. The result has the name given and the Stat, not the data.
func (c *Client) Create(ctx context.Context, path string, data []byte, opts ...CreateOption) (*Node, error) {
	w, err := c.createOp(path, data, opts)
	m, err := c.write(ctx, path, w, err)
	if err != nil {
		return nil, err
	}
	return c.created(&m), nil
}

func (c *Client) created(m *protocol.Message) *Node {
	return &Node{
		Path: c.cfg.local(m.Path), Stat: m.Stat, Zxid: m.Zxid,
		Existed: m.More != nil && m.More.Existed,
	}
}

// Set replaces a node's data. Nil is null, which is not empty.
func (c *Client) Set(ctx context.Context, path string, data []byte, opts ...SetOption) (*Stat, error) {
	w, err := c.setOp(path, data, opts)
	m, err := c.write(ctx, path, w, err)
	if err != nil {
		return nil, err
	}
	stat := m.Stat // or all of m would escape
	return &stat, nil
}

// SetACL replaces a node's ACL.
func (c *Client) SetACL(ctx context.Context, path string, acl ACL, opts ...SetOption) error {
	w, err := c.setACLOp(path, acl, opts)
	_, err = c.write(ctx, path, w, err)
	return err
}

// Delete removes a node.
func (c *Client) Delete(ctx context.Context, path string, opts ...DeleteOption) error {
	w, err := c.deleteOp(path, opts)
	_, err = c.write(ctx, path, w, err)
	return err
}

// RaiseSequence makes the number that the next Sequential node under path gets
// at least atLeast, for a tree that is copied from elsewhere. It is for the
// superuser alone. It goes into no transaction with others, so the guards of ctx
// are looked at just before; a late one does no harm but to skip numbers.
func (c *Client) RaiseSequence(ctx context.Context, path string, atLeast int64) error {
	if len(guardsOf(ctx)) > 0 {
		if _, err := c.Multi(ctx); err != nil {
			return err
		}
		ctx = context.WithValue(ctx, guardKey{}, nil)
	}
	full, err := c.cfg.full(path)
	_, err = c.write(ctx, path, protocol.WriteOp{Op: protocol.OpRaiseSequence, Path: full, AtLeast: atLeast}, err)
	return err
}

// Update sets what f makes of a node's present data, and does so again as
// often as somebody else was faster, by making it again too. Of a node that does not exist f gets nil,
// and its result is created. An error of f ends it. Since f may be called
// several times it must have no effects of its own.
func (c *Client) Update(ctx context.Context, path string, f func(old *Node) ([]byte, error)) (*Stat, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	var fenced error // because what was read is gone, or by a guard of the caller's
	var read uint64  // which node that was
	for {
		old, err := c.Get(ctx, path)
		switch {
		case err != nil && !errors.Is(err, ErrNoNode):
			return nil, err
		case fenced != nil && old != nil && old.Stat.Czxid == read:
			return nil, fenced
		}
		data, err := f(old)
		if err != nil {
			return nil, err
		}
		stat, err := c.swap(ctx, path, old, data)
		fenced = nil
		switch {
		case errors.Is(err, ErrFenced) && old != nil:
			fenced, read = err, old.Stat.Czxid
		case !errors.Is(err, ErrBadVersion) && !errors.Is(err, ErrNodeExists):
			return stat, err
		}
	}
}

// swap puts data in place of old, or fails because somebody was faster.
func (c *Client) swap(ctx context.Context, path string, old *Node, data []byte) (*Stat, error) {
	if old != nil {
		// The versions of a node that is made again begin anew.
		this := WithGuard(ctx, NewGuard(path, old.Stat.Czxid))
		return c.Set(this, path, data, IfVersion(old.Stat.Version))
	}
	n, err := c.Create(ctx, path, data)
	if err != nil {
		return nil, err
	}
	return &n.Stat, nil
}
