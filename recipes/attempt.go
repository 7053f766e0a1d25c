package recipes

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lycaon-io/lycaon/client"
)

const (
	removeTry    = 5 * time.Second
	removePause  = 50 * time.Millisecond
	removePauses = 5 * time.Second // at most
)

// attempt is what one call has made, or may have made, under dir: ephemeral
// nodes with an id of its own in their names, by which they are found again when
// the answer of a create was not waited for, or one of a name that others use too.
type attempt struct {
	c       Client
	conf    config
	dir     string
	id      string
	made    []client.Guard // of a token 0 if nobody else ever has the path
	unknown bool           // a create may have been done whose node is not in made

	shared string // the path that others use too, else empty
	data   []byte // by which the node at shared is ours and no other call's
	rise   func() // ends what sit began
}

func newAttempt(c Client, conf config, dir string) *attempt {
	return &attempt{c: c, conf: conf, dir: dir, id: protectedPrefix + newUUID() + "-"}
}

// protectedPrefix and the UUID behind it are Curator's.
const protectedPrefix = "_c_"

func newUUID() string {
	var b [16]byte
	rand.Read(b[:])                             // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // version 4
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// create makes a node of the kind, and dir if it is not there.
func (a *attempt) create(ctx context.Context, kind string, data []byte) (*client.Node, error) {
	var n *client.Node
	err := a.inDir(ctx, func() (err error) {
		n, err = a.c.Create(ctx, join(a.dir, a.id+kind), notNull(data), a.conf.create(client.Ephemeral(), client.Sequential())...)
		return err
	})
	if err == nil {
		a.made = append(a.made, client.NewGuard(n.Path, 0))
	}
	return n, err
}

// createMany makes n nodes in one write under a grant.
func (a *attempt) createMany(ctx context.Context, under *Held, kind string, n int) ([]client.Node, error) {
	ops := make([]client.Op, n)
	for i := range ops {
		ops[i] = client.OpCreate(join(a.dir, a.id+kind), notNull(nil), a.conf.create(client.Ephemeral(), client.Sequential())...)
	}
	var nodes []client.Node
	err := a.inDir(ctx, func() (err error) {
		nodes, err = under.multi(ctx, ops...)
		return err
	})
	for _, n := range nodes {
		a.made = append(a.made, client.NewGuard(n.Path, 0))
	}
	return nodes, err
}

// inDir makes dir if the write wants it.
func (a *attempt) inDir(ctx context.Context, write func() error) error {
	err := a.conf.inDir(ctx, a.c, a.dir, write)
	a.unknown = a.unknown || mayBeDone(err)
	return err
}

func mayBeDone(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && e.Maybe
}

// claim makes the node at the shared path by a write of the caller's.
func (a *attempt) claim(ctx context.Context, write func() (*client.Node, error)) (n *client.Node, err error) {
	err = a.inDir(ctx, func() (err error) {
		n, err = write()
		return err
	})
	if err == nil {
		a.made = append(a.made, client.NewGuard(a.shared, n.Stat.Czxid))
	}
	return n, err
}

// remove deletes what the attempt has made, and nobody else's. gone tells that
// somebody has deleted some of it before.
func (a *attempt) remove(ctx context.Context) (gone bool, err error) {
	made := a.made
	if a.unknown {
		if made, err = a.find(ctx); err != nil {
			return false, err
		}
		gone = len(made) < len(a.made)
	}
	if len(made) > 1 {
		err := a.removeAtOnce(ctx, made)
		if !errors.Is(err, client.ErrNoNode) && !errors.Is(err, client.ErrTooLarge) {
			return gone, err
		} // else somebody has deleted some, or this server takes shorter requests
	}
	for _, g := range made {
		under := ctx
		if g.Token() != 0 {
			under = client.WithGuard(ctx, g)
		}
		switch err := a.c.Delete(under, g.Path()); {
		case errors.Is(err, client.ErrNoNode), errors.Is(err, client.ErrFenced):
			gone = true
		case err != nil:
			return gone, err
		}
	}
	return gone, nil
}

// removeAtOnce is for nodes whose paths nobody else ever has: leases.
func (a *attempt) removeAtOnce(ctx context.Context, made []client.Guard) error {
	ops := make([]client.Op, len(made))
	for i, g := range made {
		ops[i] = client.OpDelete(g.Path())
	}
	_, err := a.c.Multi(ctx, ops...)
	return err
}

// find lists this attempt's nodes. A read of a session comes after the writes
// sent before it, so that it sees a create whose answer nobody waited for.
func (a *attempt) find(ctx context.Context) ([]client.Guard, error) {
	if a.shared != "" {
		return a.findShared(ctx)
	}
	names, err := a.c.Children(ctx, a.dir)
	if errors.Is(err, client.ErrNoNode) {
		return nil, nil
	}
	var made []client.Guard
	for _, name := range names {
		if strings.HasPrefix(name, a.id) {
			made = append(made, client.NewGuard(join(a.dir, name), 0))
		}
	}
	return made, err
}

func (a *attempt) findShared(ctx context.Context) ([]client.Guard, error) {
	n, err := a.c.Get(ctx, a.shared)
	if err != nil {
		return nil, unlessGone(err)
	}
	if client.SessionID(n.Stat.Owner) != a.c.Session().ID() || !bytes.Equal(n.Data, a.data) {
		return nil, nil
	}
	return []client.Guard{client.NewGuard(a.shared, n.Stat.Czxid)}, nil
}

// giveUp is discard, but that who was told ErrLocked leaves before it is told: or
// others, and its own next try, would take what is left for somebody who waits.
func (a *attempt) giveUp(ctx context.Context, cause error) {
	if errors.Is(cause, ErrLocked) {
		if _, err := a.remove(bare{ctx}); err == nil {
			return
		}
	}
	a.discard()
}

// discard removes in the background, and goes on trying until it is done or the
// session has ended, which removes the nodes too.
func (a *attempt) discard() {
	if len(a.made) > 0 || a.unknown {
		go a.removeAtLast()
	} else if a.rise != nil {
		a.rise()
	}
}

func (a *attempt) removeAtLast() {
	if a.rise != nil {
		defer a.rise()
	}
	session := a.c.Session().Context()
	for pause := removePause; ; pause = min(2*pause, removePauses) {
		ctx, cancel := context.WithTimeout(session, removeTry)
		_, err := a.remove(ctx)
		cancel()
		if err == nil || hopeless(err) {
			return
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-session.Done():
			again.Stop()
			return
		}
	}
}

// hopeless tells whether another try can end no better.
func hopeless(err error) bool {
	return errors.Is(err, client.ErrNoAuth) || errors.Is(err, client.ErrReadOnly) || errors.Is(err, client.ErrBadArguments)
}

func join(dir, name string) string { return strings.TrimSuffix(dir, "/") + "/" + name }

func parent(path string) string { return path[:max(strings.LastIndexByte(path, '/'), 0)] }

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
