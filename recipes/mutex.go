package recipes

import (
	"context"
	"fmt"
)

// Mutex is a lock that one holds at a time, in the order in which they asked.
// It is not reentrant. Its nodes are those of Curator's InterProcessMutex.
type Mutex struct{ line line }

// lockKind is in the names of Curator's locks.
const lockKind = "lock-"

// NewMutex makes nothing in the tree before it is used.
func NewMutex(c Client, path string, opts ...Option) *Mutex {
	return &Mutex{line{c, newConfig(opts), path, []string{lockKind}}}
}

// Lock waits for the lock. It waits as long as ctx and the session last, through
// lost connections, and leaves nothing behind in the end if it fails.
func (m *Mutex) Lock(ctx context.Context) (*Held, error) {
	h, err := m.line.acquire(patient{ctx}, lockKind, nil, behindAll)
	return h, wrap("lock", m.line.dir, err)
}

// TryLock returns ErrLocked if somebody has the lock or waits for it.
func (m *Mutex) TryLock(ctx context.Context) (*Held, error) {
	h, err := m.line.tryAcquire(ctx, lockKind, behindAll)
	return h, wrap("try lock", m.line.dir, err)
}

// Do runs f with the lock. The context of f is ctx, guarded, and cancelled when
// the lock is lost. An error is f's, or says that the lock was not got, or lost
// while f ran (ErrLost).
func (m *Mutex) Do(ctx context.Context, f func(ctx context.Context) error) error {
	return do(ctx, m.Lock, f)
}

func wrap(op, path string, err error) error {
	if err != nil {
		return fmt.Errorf("%s %s: %w", op, path, err)
	}
	return nil
}
