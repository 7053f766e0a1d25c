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

// OpGuard lets a Multi fail with ErrFenced unless g holds. Those of WithGuard
// come before all operations; this one comes in its place, and is told by its index.
func OpGuard(g Guard) Op {
	return Op{func(c *Client) (protocol.WriteOp, error) {
		full, err := c.cfg.full(g.path)
		return protocol.WriteOp{Op: protocol.OpGuard, Path: full, Czxid: g.czxid}, err
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
//
// The session keeps the results until they are known to have arrived, which
// bounds them: there is room for about 1,000 operations. Commit has room for
// more.
func (c *Client) Multi(ctx context.Context, ops ...Op) (*MultiResult, error) {
	writes, guards, err := c.writes(ctx, ops)
	if err != nil {
		return nil, err
	}
	m, err := c.all(ctx, writes)
	if err != nil {
		return nil, unguarded(err, guards)
	}
	m.More.Results = m.More.Results[guards:]
	return c.multiResult(&m, writes[guards:]), nil
}

// Commit is Multi for many operations: it returns the zxid at which all of them
// happened and no result of each. One request bounds it: 20,000 operations and
// what a frame holds, 1 MiB.
func (c *Client) Commit(ctx context.Context, ops ...Op) (zxid uint64, err error) {
	writes, guards, err := c.writes(ctx, ops)
	if err != nil {
		return 0, err
	}
	cl, room := c.newWrite(protocol.OpMulti)
	cl.cost = protocol.AnswerBytes
	cl.setBody(protocol.AppendBriefMulti(room, writes))
	m, err := c.do(ctx, cl)
	if err != nil {
		return 0, unguarded(multiFailure(&m, err, len(writes)), guards)
	}
	return m.Zxid, nil
}

// writes makes the operations as the server knows them, behind so many guards.
func (c *Client) writes(ctx context.Context, ops []Op) (writes []protocol.WriteOp, guards int, err error) {
	writes, err = c.guardOps(ctx)
	if err != nil {
		return nil, 0, opError("multi", "", err)
	}
	guards = len(writes)
	for i, op := range ops {
		if op.make == nil {
			return nil, 0, &Error{Op: "multi", Err: &MultiError{i, fmt.Errorf("%w: an empty operation", ErrBadArguments)}}
		}
		w, err := op.make(c)
		if err != nil {
			return nil, 0, &Error{Op: "multi", Err: &MultiError{i, err}}
		}
		writes = append(writes, w)
	}
	return writes, guards, nil
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
	cl.cost = protocol.AnswerBytes
	for i := range writes {
		cl.cost += writes[i].ResultBytes()
	}
	cl.setBody(protocol.AppendMulti(room, writes))
	m, err := c.do(ctx, cl)
	switch {
	case err != nil:
		return m, multiFailure(&m, err, len(writes))
	case m.More == nil:
		m.More = &protocol.More{}
	}
	if err := matches(&m, writes); err != nil {
		return m, &Error{Op: "multi", Err: err, Zxid: m.Zxid, Maybe: true}
	}
	return m, nil
}

// matches tells whether what is said to be done is what was asked for.
func matches(m *protocol.Message, writes []protocol.WriteOp) error {
	if len(m.More.Results) != len(writes) {
		return fmt.Errorf("%w: %d results of %d operations", ErrProtocol, len(m.More.Results), len(writes))
	}
	for i := range writes {
		if r := &m.More.Results[i]; r.Op != writes[i].Op || r.Code != protocol.OK {
			return fmt.Errorf("%w: a multi that was done, and in it a result of %v: %v; operation %d was %v", ErrProtocol, r.Op, r.Code, i, writes[i].Op)
		}
	}
	return nil
}

// multiFailure names the culprit: the operation that has a code of its own. A
// brief answer has its result alone, and says which it is.
func multiFailure(m *protocol.Message, err error, writes int) error {
	e := opError("multi", "", err).(*Error)
	if m.More == nil || m.More.Count > int64(writes-len(m.More.Results)) {
		return e // none, or more than there are
	}
	for i := range m.More.Results {
		r := &m.More.Results[i]
		if r.Code == protocol.OK || r.Code == protocol.RuntimeInconsistency {
			continue
		}
		e.Err = &MultiError{int(m.More.Count) + i, r.Code.Err()}
		if r.More != nil && r.More.Detail != "" {
			e.Detail = harmless(r.More.Detail)
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
