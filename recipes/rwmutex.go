package recipes

import (
	"context"
	"slices"
)

// RWMutex is a lock that either one writes under or several read under, in the
// order in which they asked: a reader behind a waiting writer waits too. It is
// not reentrant. Its nodes are those of Curator's InterProcessReadWriteLock.
type RWMutex struct{ line line }

// readKind and writeKind are Curator's.
const (
	readKind  = "__READ__"
	writeKind = "__WRIT__"
)

// NewRWMutex makes nothing in the tree before it is used.
func NewRWMutex(c Client, path string, opts ...Option) *RWMutex {
	return &RWMutex{line{c, newConfig(opts), path, []string{readKind, writeKind}}}
}

// behindWriters is the rule of readers: the nearest writer in front.
func behindWriters(before []spot) int {
	for i, s := range slices.Backward(before) {
		if s.kind == writeKind {
			return i
		}
	}
	return -1
}

// Lock waits until nobody else has the lock in either way, like Mutex.Lock.
func (m *RWMutex) Lock(ctx context.Context) (*Held, error) {
	h, err := m.line.acquire(patient{ctx}, writeKind, nil, behindAll)
	return h, wrap("lock", m.line.dir, err)
}

// RLock waits until no writer has the lock or waits in front. The tokens of
// readers do not tell who came after whom; a writer's is higher than that of
// every reader and writer before it.
func (m *RWMutex) RLock(ctx context.Context) (*Held, error) {
	h, err := m.line.acquire(patient{ctx}, readKind, nil, behindWriters)
	return h, wrap("read lock", m.line.dir, err)
}

// TryLock returns ErrLocked instead of waiting.
func (m *RWMutex) TryLock(ctx context.Context) (*Held, error) {
	h, err := m.line.tryAcquire(ctx, writeKind, behindAll)
	return h, wrap("try lock", m.line.dir, err)
}

// TryRLock returns ErrLocked instead of waiting.
func (m *RWMutex) TryRLock(ctx context.Context) (*Held, error) {
	h, err := m.line.tryAcquire(ctx, readKind, behindWriters)
	return h, wrap("try read lock", m.line.dir, err)
}

// Do runs f with the lock to write, like Mutex.Do.
func (m *RWMutex) Do(ctx context.Context, f func(ctx context.Context) error) error {
	return do(ctx, m.Lock, f)
}

// RDo runs f with the lock to read, like Mutex.Do.
func (m *RWMutex) RDo(ctx context.Context, f func(ctx context.Context) error) error {
	return do(ctx, m.RLock, f)
}
