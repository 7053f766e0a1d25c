package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/lycaon-io/lycaon/protocol"
)

// Op is one operation of a Multi.
type Op struct {
	make func(*Client) (protocol.WriteOp, error)
}

// OpCreate is Create in a Multi.
func OpCreate(path string, data []byte, opts ...CreateOption) Op {
	return Op{func(c *Client) (protocol.WriteOp, error) { return c.createOp(path, data, opts) }}
}

// OpSet is Set in a Multi.
func OpSet(path string, data []byte, opts ...SetOption) Op {
	return Op{func(c *Client) (protocol.WriteOp, error) { return c.setOp(path, data, opts) }}
}

// OpSetACL is SetACL in a Multi.
func OpSetACL(path string, acl ACL, opts ...SetOption) Op {
	return Op{func(c *Client) (protocol.WriteOp, error) { return c.setACLOp(path, acl, opts) }}
}

// OpDelete is Delete in a Multi.
func OpDelete(path string, opts ...DeleteOption) Op {
	return Op{func(c *Client) (protocol.WriteOp, error) { return c.deleteOp(path, opts) }}
}

// OpCheck lets a Multi fail unless a node's version is this one.
func OpCheck(path string, version int64) Op {
	return Op{func(c *Client) (protocol.WriteOp, error) {
		full, err := c.cfg.full(path)
		return protocol.WriteOp{Op: protocol.OpCheck, Path: full, Version: version}, err
	}}
}

// MultiResult has one Node an operation: its path, and its Stat if the
// operation answers one. Zxid is that of all of them.
type MultiResult struct {
	Zxid  uint64
	Nodes []Node
}

// Multi does all operations or none, each seeing what those before it did. If
// it fails, errors.As finds the MultiError that tells which operation was to
// blame.
func (c *Client) Multi(ctx context.Context, ops ...Op) (*MultiResult, error) {
	guards, err := c.guardOps(ctx)
	if err != nil {
		return nil, opError("multi", "", err)
	}
	writes := guards
	for i, op := range ops {
		if op.make == nil {
			return nil, &Error{Op: "multi", Err: &MultiError{i, fmt.Errorf("%w: an empty operation", ErrBadArguments)}}
		}
		w, err := op.make(c)
		if err != nil {
			return nil, &Error{Op: "multi", Err: &MultiError{i, err}}
		}
		writes = append(writes, w)
	}
	m, err := c.all(ctx, writes)
	if err != nil {
		return nil, unguarded(err, len(guards))
	}
	m.More.Results = m.More.Results[len(guards):]
	return c.multiResult(&m, writes[len(guards):]), nil
}

// unguarded counts the operations of a failed multi without its guards. One of
// those was to blame for an error that names none.
func unguarded(err error, guards int) error {
	e, _ := errors.AsType[*Error](err)
	culprit, ok := errors.AsType[*MultiError](err)
	switch {
	case !ok:
	case culprit.Index < guards:
		e.Err = culprit.Err
	default:
		culprit.Index -= guards
	}
	return err
}

// all sends operations to be done together, and returns an answer that has a
// result for each.
func (c *Client) all(ctx context.Context, writes []protocol.WriteOp) (protocol.Message, error) {
	cl, room := c.newWrite(protocol.OpMulti)
	cl.cost = answerCost
	for i := range writes {
		cl.cost += costOf(&writes[i])
	}
	cl.setBody(protocol.AppendMulti(room, writes))
	m, err := c.do(ctx, cl)
	switch {
	case err != nil:
		return m, multiFailure(&m, err)
	case m.More == nil:
		m.More = &protocol.More{}
	}
	if len(m.More.Results) != len(writes) {
		return m, &Error{Op: "multi", Err: ErrProtocol, Zxid: m.Zxid, Maybe: true}
	}
	return m, nil
}

// multiFailure names the culprit: the operation that has a code of its own.
func multiFailure(m *protocol.Message, err error) error {
	e := opError("multi", "", err).(*Error)
	if m.More == nil {
		return e
	}
	for i := range m.More.Results {
		r := &m.More.Results[i]
		if r.Code == protocol.OK || r.Code == protocol.RuntimeInconsistency {
			continue
		}
		e.Err = &MultiError{i, r.Code.Err()}
		if r.More != nil && r.More.Detail != "" {
			e.Detail = r.More.Detail
		}
		break
	}
	return e
}

func (c *Client) multiResult(m *protocol.Message, writes []protocol.WriteOp) *MultiResult {
	res := &MultiResult{Zxid: m.Zxid, Nodes: make([]Node, len(writes))}
	for i := range writes {
		r := &m.More.Results[i]
		n := c.created(r)
		n.Zxid = m.Zxid
		if writes[i].Op != protocol.OpCreate {
			n.Path = c.cfg.local(writes[i].Path)
		}
		res.Nodes[i] = *n
	}
	return res
}
