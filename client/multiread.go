package client

import (
	"context"
	"fmt"

	"github.com/lycaon-io/lycaon/protocol"
)

// ReadOp is one read of a MultiRead.
type ReadOp struct {
	op   protocol.Op
	path string
}

// ReadGet is Get in a MultiRead.
func ReadGet(path string) ReadOp { return ReadOp{protocol.OpGet, path} }

// ReadExists is Exists in a MultiRead.
func ReadExists(path string) ReadOp { return ReadOp{protocol.OpExists, path} }

// ReadChildren is Children in a MultiRead: as many names as one reply takes.
func ReadChildren(path string) ReadOp { return ReadOp{protocol.OpChildren, path} }

// ReadACL is GetACL in a MultiRead.
func ReadACL(path string) ReadOp { return ReadOp{protocol.OpGetACL, path} }

// ReadCount is Count in a MultiRead.
func ReadCount(path string) ReadOp { return ReadOp{protocol.OpCount, path} }

// ReadResult is the answer of one read: Err, or the Node and what the read
// was for.
type ReadResult struct {
	Node
	Names     []string // ReadChildren
	Truncated bool     // there are more Names than one reply takes
	ACL       ACL      // ReadACL
	Count     int64    // ReadCount
	Err       error
}

// MultiRead reads several things at one instant. Reads that fail say so in
// their own result.
func (c *Client) MultiRead(ctx context.Context, reads []ReadOp, opts ...GetOption) ([]ReadResult, error) {
	cl := c.newRead(protocol.OpMultiRead, c.readConfig(opts))
	for _, r := range reads {
		full, err := c.cfg.full(r.path)
		if err != nil {
			return nil, opError("multiRead", r.path, err)
		}
		cl.req.Read.Reads = append(cl.req.Read.Reads, protocol.Read{Op: r.op, Path: full})
	}
	m, err := c.do(ctx, cl)
	if err != nil {
		return nil, opError("multiRead", "", err)
	}
	if m.More == nil || len(m.More.Results) != len(reads) {
		return nil, &Error{Op: "multiRead", Err: fmt.Errorf("%w: not a result of each read", ErrProtocol)}
	}
	results := make([]ReadResult, len(reads))
	for i, r := range reads {
		answer := &m.More.Results[i]
		if answer.Op != r.op {
			return nil, &Error{Op: "multiRead", Err: fmt.Errorf("%w: read %d was %v, its result is of %v", ErrProtocol, i, r.op, answer.Op)}
		}
		results[i] = readResult(r, answer, m.Zxid)
	}
	return results, nil
}

func readResult(r ReadOp, m *protocol.Message, zxid uint64) ReadResult {
	res := ReadResult{Node: Node{Path: r.path, Data: m.Data, Stat: m.Stat, Zxid: zxid}}
	if m.Code != protocol.OK {
		m.Zxid = zxid
		res.Err = opError(r.op.String(), r.path, replyError(m))
		return res
	}
	if m.More != nil {
		res.Names, res.Truncated = m.More.Names, m.More.Truncated
		res.ACL, res.Count = m.More.ACL, m.More.Count
	}
	return res
}
