package jute

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// Flags of a create: ZooKeeper's CreateMode.
const (
	flagPersistent          = 0
	flagEphemeral           = 1
	flagSequential          = 2
	flagEphemeralSequential = 3
	flagContainer           = 4
	flagTTL                 = 5
	flagTTLSequential       = 6
)

// single decodes a write that stands alone.
func (d *decoder) single(op OpCode, lim *protocol.Limits, req *protocol.Request, scratch []byte) ([]byte, error) {
	var w protocol.WriteOp
	_, broken := d.write(op, &w, nil)
	if d.err != nil {
		return scratch, d.err
	}
	if broken == nil {
		broken = validate(&w, lim)
	}
	if broken != nil {
		return scratch, broken
	}
	scratch = protocol.AppendWrite(scratch[:0], &w)
	req.Body, req.Unkept = scratch, true
	xid, _ := Untag(req.Xid)
	req.Xid = tagOf(xid, formOf(op, w.Path))
	return scratch, nil
}

// write decodes the record of one write into w, whose strings and data alias
// it and whose ACL is appended to entries. The error is of a rule that the
// record breaks, while it decodes to its end.
func (d *decoder) write(op OpCode, w *protocol.WriteOp, entries znode.ACL) (_ znode.ACL, broken error) {
	w.Op = nativeOp(op)
	switch op {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		return d.create(op, &w.Create, entries)
	case OpDelete:
		w.Path, w.Version = d.path(), int64(d.int())
	case OpSetData:
		w.Path, w.Data, w.Version, w.Narrow = d.path(), d.buffer(), int64(d.int()), true
	case OpSetACL:
		w.Path, w.Narrow = d.path(), true
		entries, w.ACL, broken = d.acl(entries)
		w.Version = int64(d.int())
	case OpCheck:
		w.Op, w.Path, w.Version = protocol.OpCheck, d.path(), int64(d.int())
	}
	return entries, broken
}

func (d *decoder) create(op OpCode, c *znode.CreateOp, entries znode.ACL) (_ znode.ACL, broken error) {
	c.Path, c.Data, c.Narrow = d.path(), d.buffer(), true
	entries, c.ACL, broken = d.acl(entries)
	flags := d.int()
	if op == OpCreateTTL {
		c.TTLMs = d.long()
	}
	if !createKind(op, flags, c) {
		broken = fmt.Errorf("%w: flags %d", znode.ErrBadArguments, flags)
	}
	return entries, broken
}

// createKind tells whether op takes flags. As in ZooKeeper, createContainer
// makes a container of whatever its flags are, but not a sequential one.
func createKind(op OpCode, flags int32, c *znode.CreateOp) bool {
	switch flags {
	case flagPersistent:
	case flagEphemeral:
		c.Kind = znode.Ephemeral
	case flagSequential:
		c.Sequential = true
	case flagEphemeralSequential:
		c.Kind, c.Sequential = znode.Ephemeral, true
	case flagContainer:
		c.Kind = znode.Container
	case flagTTL, flagTTLSequential:
		c.Kind, c.Sequential = znode.TTL, flags == flagTTLSequential
		return op == OpCreateTTL
	default:
		return false
	}
	if op == OpCreateContainer {
		c.Kind = znode.Container
		return !c.Sequential
	}
	return op != OpCreateTTL
}

// acl appends the entries of one ACL to entries and returns those as acl. An
// ACL that is not there has none, which no write may have.
func (d *decoder) acl(entries znode.ACL) (_, acl znode.ACL, broken error) {
	start := len(entries)
	n, _ := d.vector(minEntry)
	for ; n > 0 && d.err == nil; n-- {
		perms, scheme, id := d.int(), d.text(), d.text()
		switch {
		case perms&^int32(znode.AllPerms) != 0:
			broken = fmt.Errorf("%w: unknown permission bits %#x", znode.ErrInvalidACL, uint32(perms&^int32(znode.AllPerms)))
		case !utf8.ValidString(scheme) || !utf8.ValidString(id):
			broken = fmt.Errorf("%w: a scheme or id that is not UTF-8", znode.ErrInvalidACL)
		case len(entries)-start < maxEntries:
			entries = append(entries, znode.Entry{Perms: znode.Perm(perms), Scheme: scheme, ID: id})
		}
	}
	return entries, entries[start:len(entries):len(entries)], broken
}

// validate checks a decoded write as protocol.ValidateWrite would its body.
// ZooKeeper checks no path that is deleted, save that there is a parent in it.
func validate(w *protocol.WriteOp, lim *protocol.Limits) error {
	err := w.Validate(*lim)
	if err != nil && w.Op == protocol.OpDelete && strings.Contains(w.Path, "/") && strings.IndexByte(w.Path, 0) < 0 {
		return fmt.Errorf("%w: %w", znode.ErrNoNode, err)
	}
	return err
}
