package znode

import (
	"strconv"
	"strings"
)

// opError says which operation on which path failed. Failures are as frequent
// as clients like, so its text is made only when asked for.
type opError struct {
	op, path string
	err      error
}

// failed returns err with its operation and a path that may alias a request.
func failed(op, path string, err error) error {
	return &opError{op: op, path: strings.Clone(path[:min(len(path), MaxPathBytes)]), err: err}
}

// failedAt is failed for a node of the tree, whose path needs no copy.
func failedAt(op string, n *node, err error) error {
	return &opError{op: op, path: n.path, err: err}
}

func (e *opError) Error() string { return e.op + " " + e.path + ": " + e.err.Error() }
func (e *opError) Unwrap() error { return e.err }

// badArguments is an ErrBadArguments that says why.
type badArguments string

func (e badArguments) Error() string { return ErrBadArguments.Error() + ": " + string(e) }
func (e badArguments) Unwrap() error { return ErrBadArguments }

// usedUp is an ErrTooLarge that says of what there is no more.
type usedUp string

func (e usedUp) Error() string { return ErrTooLarge.Error() + ": " + string(e) }
func (e usedUp) Unwrap() error { return ErrTooLarge }

// TooWide is the ErrTooLarge of a number that a client of 32 bits cannot be
// told.
func TooWide(what string, number uint64) error {
	return usedUp(what + " " + strconv.FormatUint(number, 10) + ", and the client counts to " + strconv.Itoa(MaxNarrow))
}

const errSequenceUsedUp = usedUp("the parent's sequence is used up")
