package faults

import (
	"context"
	"errors"
	"fmt"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
)

// word makes data that nothing else in the run has: the id of the command that writes it.
func (l *load) word(prefix string) string { return fmt.Sprintf("%s#%d", prefix, l.ids.Add(1)) }

// write does one write, or several at once.
func (a *actor) write(steps ...step) (*op, error) {
	o := &op{Process: a.id, Session: a.session, Call: "write", Steps: steps, Invoke: a.load.rec.now()}
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	var err error
	// A lone delete says its zxid only as a multi.
	if len(steps) == 1 && steps[0].Kind != "delete" {
		err = a.single(ctx, o)
	} else {
		o.Call = "multi"
		err = a.multi(ctx, o)
	}
	return a.settle(o, err)
}

func (a *actor) single(ctx context.Context, o *op) error {
	s := &o.Steps[0]
	switch s.Kind {
	case "create":
		n, err := a.client.Create(ctx, s.Path, []byte(s.Data), s.createOptions()...)
		if err != nil {
			return err
		}
		o.Zxid, o.Answers = n.Zxid, []answer{nodeAnswer(n)}
	case "set":
		stat, err := a.client.Set(ctx, s.Path, []byte(s.Data), s.setOptions()...)
		if err != nil {
			return err
		}
		o.Zxid, o.Answers = stat.Mzxid, []answer{statAnswer(stat)}
	default:
		panic("no write " + s.Kind)
	}
	return nil
}

func (s *step) createOptions() (opts []client.CreateOption) {
	if s.Ephemeral {
		opts = append(opts, client.Ephemeral())
	}
	if s.Sequential {
		opts = append(opts, client.Sequential())
	}
	return opts
}

func (s *step) setOptions() []client.SetOption {
	if s.Version < 0 {
		return nil
	}
	return []client.SetOption{client.IfVersion(s.Version)}
}

func (s *step) operation() client.Op {
	switch s.Kind {
	case "create":
		return client.OpCreate(s.Path, []byte(s.Data), s.createOptions()...)
	case "set":
		return client.OpSet(s.Path, []byte(s.Data), s.setOptions()...)
	case "check":
		return client.OpCheck(s.Path, s.Version)
	}
	if s.Version < 0 {
		return client.OpDelete(s.Path)
	}
	return client.OpDelete(s.Path, client.IfVersion(s.Version))
}

func (a *actor) multi(ctx context.Context, o *op) error {
	ops := make([]client.Op, len(o.Steps))
	for i := range o.Steps {
		ops[i] = o.Steps[i].operation()
	}
	res, err := a.client.Multi(ctx, ops...)
	if m, found := errors.AsType[*client.MultiError](err); found {
		o.Culprit = m.Index
	}
	if err != nil {
		return err
	}
	o.Zxid = res.Zxid
	for i := range res.Nodes {
		o.Answers = append(o.Answers, nodeAnswer(&res.Nodes[i]))
	}
	return nil
}

// read asks for one thing or for several at one instant.
func (a *actor) read(linearizable bool, steps ...step) (*op, error) {
	o := &op{Process: a.id, Session: a.session, Call: "read", Steps: steps, Linearizable: linearizable, Invoke: a.load.rec.now()}
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	return a.settle(o, readInto(ctx, a.client, o))
}

func readInto(ctx context.Context, c *client.Client, o *op) error {
	var opts []client.GetOption
	if o.Linearizable {
		opts = append(opts, client.Linearizable())
	}
	if s := &o.Steps[0]; len(o.Steps) == 1 && s.Kind == "get" {
		n, err := c.Get(ctx, s.Path, opts...)
		if err == nil {
			o.Zxid, o.Answers = n.Zxid, []answer{nodeAnswer(n)}
		}
		return err
	}
	reads := make([]client.ReadOp, len(o.Steps))
	for i, s := range o.Steps {
		switch s.Kind {
		case "get":
			reads[i] = client.ReadGet(s.Path)
		case "exists":
			reads[i] = client.ReadExists(s.Path)
		case "children":
			reads[i] = client.ReadChildren(s.Path)
		}
	}
	results, err := c.MultiRead(ctx, reads, opts...)
	for i := range results {
		r := &results[i]
		o.Zxid = r.Zxid
		ans := nodeAnswer(&r.Node)
		ans.Names = r.Names
		if r.Err != nil {
			ans = answer{Error: protocol.CodeOf(r.Err).String()}
		}
		if r.Truncated {
			return errors.New("the listing is too long to be checked")
		}
		o.Answers = append(o.Answers, ans)
	}
	return err
}

// sync waits until this session's server has caught up.
func (a *actor) sync() (*op, error) {
	o := &op{Process: a.id, Session: a.session, Call: "sync", Linearizable: true, Invoke: a.load.rec.now()}
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	zxid, err := a.client.Barrier(ctx)
	o.Zxid = zxid
	return a.settle(o, err)
}

// settle says how an operation ended and writes it down.
func (a *actor) settle(o *op, err error) (*op, error) {
	o.Return = a.load.rec.now()
	judge(o, err)
	a.load.rec.op(*o)
	return o, err
}

func judge(o *op, err error) {
	if err == nil {
		o.Outcome = ok
		return
	}
	o.Outcome, o.Error = fail, errorName(err)
	e, found := errors.AsType[*client.Error](err)
	if !found {
		return
	}
	o.Zxid = e.Zxid
	if e.Maybe {
		o.Outcome, o.Return = unknown, never
	}
}

// errorName is the protocol's name of an error, or what the client found by itself.
func errorName(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "Timeout"
	case errors.Is(err, client.ErrClosed):
		return "Closed"
	}
	if code := protocol.CodeOf(err); code != protocol.SystemError {
		return code.String()
	}
	return err.Error()
}

func statAnswer(s *client.Stat) answer {
	return answer{
		Version: s.Version, Cversion: s.Cversion, Czxid: s.Czxid, Mzxid: s.Mzxid, Pzxid: s.Pzxid, Owner: s.Owner, Children: s.NumChildren,
	}
}

func nodeAnswer(n *client.Node) answer {
	a := statAnswer(&n.Stat)
	a.Path, a.Data = n.Path, string(n.Data)
	return a
}
