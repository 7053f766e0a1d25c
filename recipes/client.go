package recipes

import (
	"context"
	"errors"
	"time"

	"github.com/lycaon-io/lycaon/client"
)

// Client is what the recipes need of a *client.Client.
type Client interface {
	Create(ctx context.Context, path string, data []byte, opts ...client.CreateOption) (*client.Node, error)
	Get(ctx context.Context, path string, opts ...client.GetOption) (*client.Node, error)
	Set(ctx context.Context, path string, data []byte, opts ...client.SetOption) (*client.Stat, error)
	Delete(ctx context.Context, path string, opts ...client.DeleteOption) error
	Children(ctx context.Context, path string, opts ...client.ListOption) ([]string, error)
	Multi(ctx context.Context, ops ...client.Op) (*client.MultiResult, error)
	Watch(ctx context.Context, path string, opts ...client.WatchOption) (*client.Watch, error)
	Session() *client.Session
}

var _ Client = (*client.Client)(nil)

// Option is good for every recipe.
type Option func(*config)

type config struct {
	acl client.ACL
}

// WithACL is put on every node that the recipe makes, in place of everything
// for everybody. Whoever takes part must have all permissions by it.
func WithACL(acl client.ACL) Option { return func(c *config) { c.acl = acl } }

func newConfig(opts []Option) (c config) {
	for _, o := range opts {
		o(&c)
	}
	return c
}

func (c config) create(opts ...client.CreateOption) []client.CreateOption {
	if c.acl != nil {
		opts = append(opts, client.WithACL(c.acl))
	}
	return opts
}

// makeParent makes dir and what is above it. A container goes by itself when
// the last of its children has.
func (c config) makeParent(ctx context.Context, cl Client, dir string) error {
	if dir == "" || dir == "/" {
		return nil
	}
	_, err := cl.Create(ctx, dir, nil, c.create(client.Container(), client.Parents(), client.IfAbsent())...)
	return err
}

// parentTries: a container may go between its making and that of its child.
const parentTries = 10

// inDir does a write, after making dir if it is missing.
func (c config) inDir(ctx context.Context, cl Client, dir string, write func() error) error {
	for try := 1; ; try++ {
		err := write()
		if !errors.Is(err, client.ErrNoNode) || try == parentTries {
			return err
		}
		if err := c.makeParent(ctx, cl, dir); err != nil {
			return err
		}
	}
}

// notNull is for data that programs of others read, many of which know no null.
func notNull(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// patient lets a call without a deadline wait as long as the session lives:
// the client would give up after its request timeout, which is for one answer
// and not for a turn.
type patient struct{ context.Context }

func (p patient) Deadline() (time.Time, bool) {
	if d, has := p.Context.Deadline(); has {
		return d, true
	}
	return time.Unix(1<<40, 0), true
}

// bare hides the values of a context, its guards among them: what gives
// something back must not be refused because it is lost already.
type bare struct{ context.Context }

func (bare) Value(any) any { return nil }

// either is ctx, ended by the other one too, with its cause.
func either(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(other, func() { end(context.Cause(other)) })
	return ctx, func() { unhook(); end(context.Canceled) }
}
