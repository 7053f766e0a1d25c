package znode

import "errors"

// What can be wrong with an operation on the tree. Errors that name a path or
// a rule wrap one of these.
var (
	ErrNoNode                  = errors.New("node does not exist")
	ErrNodeExists              = errors.New("node already exists")
	ErrBadVersion              = errors.New("version does not match")
	ErrNotEmpty                = errors.New("node has children")
	ErrNoAuth                  = errors.New("not permitted")
	ErrInvalidACL              = errors.New("invalid ACL")
	ErrBadArguments            = errors.New("bad arguments")
	ErrNoChildrenForEphemerals = errors.New("ephemeral nodes cannot have children")
	ErrTooManyEphemerals       = errors.New("too many ephemeral nodes for one session")
	ErrTooLarge                = errors.New("too large")
	ErrFenced                  = errors.New("the guard of the write is no more")
	ErrQuotaExceeded           = errors.New("quota exceeded")
	ErrTooManyQuotas           = errors.New("too many quotas") // says who bounds them: a tree does not
)
