package jute

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// operationError is the first operation of a multi that breaks a rule.
type operationError struct {
	culprit, total int
	err            error
}

func (e *operationError) Error() string {
	return fmt.Sprintf("operation %d of %d: %v", e.culprit+1, e.total, e.err)
}
func (e *operationError) Unwrap() error { return e.err }

func culpritOf(err error) *operationError {
	var e *operationError
	errors.As(err, &e)
	return e
}

// results are those of a multi that failed: nothing before the culprit
// happened, nothing after it was tried.
func (e *operationError) results(code protocol.Code) []protocol.Message {
	all := make([]protocol.Message, e.total)
	for i := e.culprit; i < e.total; i++ {
		all[i].Code = protocol.RuntimeInconsistency
	}
	all[e.culprit].Code = code
	return all
}

// next reads the head of an operation; false means that the multi has ended.
func (d *decoder) next() (op OpCode, more bool) {
	op = OpCode(d.int())
	done := d.bool()
	d.int() // the error of a result
	return op, d.err == nil && !(done && op == opError)
}

// multi decodes a multi of writes whole before it says what is wrong with one
// of its operations, as ZooKeeper does.
func (d *decoder) multi(lim *protocol.Limits, req *protocol.Request, scratch []byte) (_ []byte, forms []Form, err error) {
	var ops []protocol.WriteOp
	var entries znode.ACL
	var broken *operationError
	for op, more := d.next(); more; op, more = d.next() {
		if !mayBeInMulti(op) {
			d.fail(fmt.Sprintf("%v in a multi", op))
			break
		}
		if len(ops) == int(lim.MaxMultiOps) {
			return scratch, nil, tooManyOps(lim)
		}
		var w protocol.WriteOp
		var err error
		if entries, err = d.write(op, &w, entries); err == nil && d.err == nil {
			err = validate(&w, lim)
		}
		if err != nil && broken == nil {
			broken = &operationError{culprit: len(ops), err: err}
		}
		ops, forms = append(ops, w), append(forms, formOf(resultOp(op, &w), w.Path))
	}
	switch {
	case d.err != nil:
		return scratch, nil, d.err
	case broken != nil:
		broken.total = len(ops)
		return scratch, nil, broken
	}
	scratch = protocol.AppendMulti(scratch[:0], ops)
	req.Body, req.Unkept = scratch, true
	return scratch, forms, nil
}

// resultOp is the type of an operation's result. ZooKeeper takes a create2 in a
// multi for a create, and for create2 what makes a container or TTL node.
func resultOp(op OpCode, w *protocol.WriteOp) OpCode {
	switch {
	case w.Op != protocol.OpCreate:
		return op
	case w.Create.Kind == znode.Container || w.Create.Kind == znode.TTL:
		return OpCreate2
	}
	return OpCreate
}

func mayBeInMulti(op OpCode) bool {
	switch op {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL, OpDelete, OpSetData, OpCheck:
		return true
	}
	return false
}

func tooManyOps(lim *protocol.Limits) error {
	return fmt.Errorf("%w: more than %d operations", znode.ErrTooLarge, lim.MaxMultiOps)
}

// multiRead decodes a multi of reads. The wish for a watch, which no client
// has there, is not heard.
func (d *decoder) multiRead(lim *protocol.Limits, req *protocol.Request) (forms []Form, err error) {
	d.record = bytes.Clone(d.record)
	req.Read = protocol.Read{Op: req.Op}
	for op, more := d.next(); more; op, more = d.next() {
		if op != OpGetData && op != OpGetChildren {
			d.fail(fmt.Sprintf("%v in a multiRead", op))
			break
		}
		if len(forms) == int(lim.MaxMultiOps) {
			return nil, tooManyOps(lim)
		}
		r := protocol.Read{Op: nativeOp(op), Path: rooted(d.path()), Whole: op == OpGetChildren}
		d.bool()
		req.Read.Reads, forms = append(req.Read.Reads, r), append(forms, formOf(op, r.Path))
	}
	if d.err != nil {
		return nil, d.err
	}
	return forms, nil
}
