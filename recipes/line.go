package recipes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lycaon-io/lycaon/client"
)

// spot is a node in a line: its name is anything, a kind, and the number that
// the server gave.
type spot struct {
	name, kind string
	number     uint64
}

// minDigits is what servers pad sequence numbers to.
const minDigits = 10

// parseSpot reads names as Curator does, from what stands behind the last
// mention of the kind. Whatever is no such name is nobody's spot.
func parseSpot(name string, kinds []string) (spot, bool) {
	for _, kind := range kinds {
		i := strings.LastIndex(name, kind)
		if i < 0 {
			continue
		}
		if n, ok := parseNumber(name[i+len(kind):]); ok {
			return spot{name, kind, n}, true
		}
	}
	return spot{}, false
}

// parseNumber reads what a server appends to the name of a sequential node.
func parseNumber(digits string) (uint64, bool) {
	n, err := strconv.ParseUint(digits, 10, 64) // takes no sign
	return n, err == nil && len(digits) >= minDigits
}

// line is a directory in which sessions wait for their turn, each by an
// ephemeral sequential node.
type line struct {
	c     Client
	conf  config
	dir   string
	kinds []string
}

// rule picks out of those who came before a spot, in order, the one whose end it
// has to wait for, or -1 if it is its turn. It must be one whose end is next to
// change the answer, so that an end wakes nobody else.
type rule func(before []spot) int

// behindAll is the rule of one at a time.
func behindAll(before []spot) int { return len(before) - 1 }

// turn is an attempt that has its spot.
type turn struct {
	*line
	held    *Held
	name    string
	rule    rule
	ignored map[string]bool // spots that no session holds
}

// acquire takes a spot of the kind and returns when it is its turn.
func (l *line) acquire(ctx context.Context, kind string, data []byte, r rule) (*Held, error) {
	t, err := l.enter(ctx, kind, data, r)
	if err != nil {
		return nil, err
	}
	if err := t.wait(ctx); err != nil {
		t.leave(ctx, err)
		return nil, err
	}
	return t.held, nil
}

// tryAcquire returns ErrLocked instead of waiting. It looks before it writes, at
// what the leader has: nobody is locked out by a lock that was released.
func (l *line) tryAcquire(ctx context.Context, kind string, r rule) (*Held, error) {
	seen := &turn{line: l, rule: r, ignored: map[string]bool{}}
	if err := seen.look(ctx, client.Linearizable()); err != nil {
		return nil, err
	}
	t, err := l.enter(ctx, kind, nil, r)
	if err != nil {
		return nil, err
	}
	t.ignored = seen.ignored
	if err := t.look(ctx); err != nil {
		t.leave(ctx, err)
		return nil, err
	}
	return t.held, nil
}

func (l *line) enter(ctx context.Context, kind string, data []byte, r rule) (*turn, error) {
	a := newAttempt(l.c, l.conf, l.dir)
	n, err := a.create(ctx, kind, data)
	if err != nil {
		a.discard()
		return nil, err
	}
	h, err := a.hold(ctx, *n)
	if err != nil {
		a.discard()
		return nil, err
	}
	return &turn{line: l, held: h, name: base(n.Path), rule: r, ignored: map[string]bool{}}, nil
}

func (t *turn) leave(ctx context.Context, cause error) {
	t.held.stop(cause)
	t.held.a.giveUp(ctx, cause)
}

// wait returns when nobody is in the way.
func (t *turn) wait(ctx context.Context) error {
	ctx, cancel := either(ctx, t.held.ctx)
	defer cancel()
	for {
		before, err := t.before(ctx)
		if err != nil {
			return err
		}
		i := t.rule(before)
		if i < 0 {
			return nil
		}
		if err := t.outlast(ctx, before[i]); err != nil {
			return err
		}
	}
}

// look is wait without waiting.
func (t *turn) look(ctx context.Context, opts ...client.ListOption) error {
	for {
		before, err := t.before(ctx, opts...)
		if err != nil {
			return err
		}
		i := t.rule(before)
		if i < 0 {
			return nil
		}
		n, err := t.c.Get(ctx, join(t.dir, before[i].name))
		switch {
		case errors.Is(err, client.ErrNoNode):
		case err != nil:
			return err
		case n.Stat.Owner != 0:
			return ErrLocked
		default:
			t.ignored[before[i].name] = true
		}
	}
}

// before lists who is in front of this turn, or everybody if it has no spot. The
// list may be old, but not older than the own spot: who was before it and is not
// in the list is gone for good.
func (t *turn) before(ctx context.Context, opts ...client.ListOption) ([]spot, error) {
	names, err := t.c.Children(ctx, t.dir, opts...)
	if unlessGone(err) != nil {
		return nil, err
	}
	spots := t.sorted(names)
	if t.name == "" {
		return spots, nil
	}
	own := slices.IndexFunc(spots, func(s spot) bool { return s.name == t.name })
	if own < 0 {
		return nil, fmt.Errorf("%w: %w", ErrLost, ErrDeleted)
	}
	return spots[:own], nil
}

func (t *turn) sorted(names []string) []spot {
	var spots []spot
	for _, name := range names {
		if s, ok := parseSpot(name, t.kinds); ok && !t.ignored[name] {
			spots = append(spots, s)
		}
	}
	slices.SortFunc(spots, func(a, b spot) int { return cmp.Or(cmp.Compare(a.number, b.number), strings.Compare(a.name, b.name)) })
	return spots
}

// outlast returns when s is gone. What no session holds would never go, and is
// nobody's lock.
func (t *turn) outlast(ctx context.Context, s spot) error {
	path := join(t.dir, s.name)
	w, err := t.c.Watch(ctx, path, client.Types(client.EventDeleted))
	if err != nil {
		return err
	}
	defer w.Close()
	n, err := t.c.Get(ctx, path)
	switch {
	case errors.Is(err, client.ErrNoNode):
		return nil
	case err != nil:
		return err
	case n.Stat.Owner == 0:
		t.ignored[s.name] = true
		return nil
	}
	return gone(ctx, w, n.Stat.Czxid)
}
