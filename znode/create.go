package znode

import (
	"strconv"
	"strings"
)

const (
	MaxTTLMs  = 1<<40 - 1 // as ZooKeeper encodes it
	MaxNarrow = 1<<31 - 1 // the greatest number that a client of 32 bits can be told

	// MaxCreated bounds the children ever created under one parent, so that
	// creates plus deletes stay an int64.
	MaxCreated = 1 << 61

	smallestFull = 1_000_000_000 // the least sequence number that needs no zeros before it
)

// CreateOp asks for a new node.
type CreateOp struct {
	Path          string // with Sequential the prefix of it, which may end with '/'
	Data          []byte // nil is null, and differs from empty
	ACL           ACL
	Kind          Kind
	Sequential    bool  // append the number of children ever created under the parent
	Parents       bool  // create missing ancestors, Persistent, without data, with the same ACL
	IfAbsent      bool  // a node that exists is a success; not with Sequential
	TTLMs         int64 // of a TTL node: 1 to MaxTTLMs
	MaxEphemerals int   // of one session; 0 = no bound
	Narrow        bool  // its client counts in 32 bits: fail rather than give a number beyond
}

// Created is the outcome of a CreateOp. Existed says that nothing was changed.
type Created struct {
	Path    string
	Stat    Stat
	Existed bool
}

// Create adds a node, checked in ZooKeeper's order: the arguments, the ACL,
// that the parent exists, its CREATE permission, that the name is free, that
// the parent is no ephemeral; then the bounds, at last the quota. The root is its own parent here,
// as it is there. With Parents the deepest existing ancestor takes the place of
// the parent. With IfAbsent a node that exists needs only READ on itself.
func (t *Tree) Create(a *Actor, op *CreateOp) (Created, error) {
	t.txn.mustBeOpen()
	if err := op.validate(a); err != nil {
		return Created{}, err
	}
	acl, err := NormalizeACL(op.ACL, a)
	if err != nil {
		return Created{}, failed("create", op.Path, err)
	}
	if op.IfAbsent {
		if n := t.index.get(op.Path); n != nil {
			return op.existing(a, n)
		}
	}
	parent, missing := t.deepest(op)
	path, err := t.mayCreate(a, op, parent, missing)
	if err != nil {
		return Created{}, err
	}
	shared := t.acls.share(acl)
	for ; missing > 0; missing-- {
		parent = t.createParent(path, missing, shared, parent)
	}
	return t.create(a, op, path, shared, parent)
}

func (op *CreateOp) validate(a *Actor) error {
	path := op.Path
	if op.Sequential {
		path += "0" // as ZooKeeper: the rules hold for the name as it will be
	}
	if rule, at := brokenRule(path); rule != "" {
		return newPathError(op.Path, rule, at)
	}
	var broken badArguments
	switch {
	case op.Kind > TTL:
		broken = "unknown kind of node"
	case op.Kind == Ephemeral && a.Session == 0:
		broken = "an ephemeral node needs a session"
	case op.Kind == TTL && (op.TTLMs < 1 || op.TTLMs > MaxTTLMs):
		broken = "the TTL is not 1 to 2^40-1 ms"
	case op.Kind != TTL && op.TTLMs != 0:
		broken = "only a TTL node has a TTL"
	case op.Sequential && op.IfAbsent:
		broken = "a sequential node is never there before"
	default:
		return nil
	}
	return failed("create", op.Path, broken)
}

func (op *CreateOp) existing(a *Actor, n *node) (Created, error) {
	if !n.acl.allows(Read, a) {
		return Created{}, failedAt("create", n, ErrNoAuth)
	}
	return Created{Path: n.path, Stat: n.stat(), Existed: true}, nil
}

// deepest returns the parent of op's path, or with Parents its deepest
// ancestor that exists, and how many are missing between them. It returns no
// node when the parent has to exist and does not.
func (t *Tree) deepest(op *CreateOp) (base *node, missing int) {
	path := Parent(op.Path)
	base = t.index.get(path)
	for base == nil && op.Parents {
		missing++
		path = Parent(path)
		base = t.index.get(path)
	}
	return base, missing
}

// mayCreate returns the path that the node will have, when it may be made.
func (t *Tree) mayCreate(a *Actor, op *CreateOp, base *node, missing int) (path string, err error) {
	switch {
	case base == nil:
		return "", failed("create", op.Path, ErrNoNode)
	case !base.acl.allows(Create, a):
		return "", failed("create", op.Path, ErrNoAuth)
	}
	path = op.Path
	if op.Sequential {
		if path, err = t.numbered(op, base, missing); err != nil {
			return "", err
		}
	}
	switch {
	case len(path) > MaxPathBytes:
		return "", newPathError(op.Path, "is too long for a sequence number", len(op.Path))
	case t.index.get(path) != nil:
		return "", failed("create", path, ErrNodeExists)
	case base.kind == Ephemeral:
		return "", failed("create", path, ErrNoChildrenForEphemerals)
	case base.sequence() >= MaxCreated:
		return "", failed("create", path, errSequenceUsedUp)
	case op.Kind == Ephemeral && op.MaxEphemerals > 0 && t.NumEphemerals(a.Session) >= op.MaxEphemerals:
		return "", failed("create", path, ErrTooManyEphemerals)
	}
	if err := t.mayAdd(path, op.Data, missing); err != nil {
		return "", failed("create", path, err)
	}
	if !op.Sequential {
		path = strings.Clone(path)
	}
	return path, nil
}

// numbered returns the path of a sequential node, whose parent is base or one
// that is still missing.
func (t *Tree) numbered(op *CreateOp, base *node, missing int) (string, error) {
	var number uint64
	if missing == 0 {
		number = base.sequence()
	}
	if op.Narrow && number > MaxNarrow {
		return "", failed("create", op.Path, TooWide("sequence number", number))
	}
	return t.sequencePath(op.Path, number), nil
}

// sequencePath appends the number with at least ten digits.
func (t *Tree) sequencePath(prefix string, number uint64) string {
	t.scratch = append(t.scratch[:0], prefix...)
	for limit := uint64(smallestFull); limit > max(number, 1); limit /= 10 {
		t.scratch = append(t.scratch, '0')
	}
	t.scratch = strconv.AppendUint(t.scratch, number, 10)
	return string(t.scratch)
}

// createParent adds the ancestor of path that lies up levels above it, under
// parent.
func (t *Tree) createParent(path string, up int, acl *sharedACL, parent *node) *node {
	for range up {
		path = Parent(path)
	}
	n := t.newNode(path, nil, acl)
	t.plant(parent, n)
	return n
}

func (t *Tree) create(a *Actor, op *CreateOp, path string, acl *sharedACL, parent *node) (Created, error) {
	n := t.newNode(path, cloneData(op.Data), acl)
	n.kind = op.Kind
	switch op.Kind {
	case Ephemeral:
		n.grant = a.Session
	case TTL:
		n.grant = uint64(op.TTLMs)
	}
	t.plant(parent, n)
	return Created{Path: n.path, Stat: n.stat()}, nil
}

// newNode keeps path, data and acl.
func (t *Tree) newNode(path string, data []byte, acl *sharedACL) *node {
	zxid, nowMs := t.txn.zxid, t.txn.nowMs
	return &node{
		path: path, data: data, acl: acl, body: bodyHash(path, data),
		czxid: zxid, mzxid: zxid, ctimeMs: nowMs, mtimeMs: nowMs, gen: t.gen,
	}
}
