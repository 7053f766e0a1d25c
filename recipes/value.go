package recipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/lycaon-io/lycaon/client"
)

// ErrInvalid: data that does not decode, or a value that is refused.
var ErrInvalid = errors.New("invalid value")

// Codec turns values into data and back.
type Codec[T any] interface {
	Encode(T) ([]byte, error)
	Decode([]byte) (T, error)
}

// JSON is the codec of encoding/json.
func JSON[T any]() Codec[T] { return jsonCodec[T]{} }

type jsonCodec[T any] struct{}

func (jsonCodec[T]) Encode(v T) ([]byte, error) { return json.Marshal(v) }

func (jsonCodec[T]) Decode(data []byte) (v T, err error) {
	err = json.Unmarshal(data, &v)
	return v, err
}

// Checked refuses values on both ways for which check returns an error.
func Checked[T any](codec Codec[T], check func(T) error) Codec[T] {
	return checked[T]{codec, check}
}

type checked[T any] struct {
	Codec[T]
	check func(T) error
}

func (c checked[T]) Encode(v T) ([]byte, error) {
	if err := c.check(v); err != nil {
		return nil, err
	}
	return c.Codec.Encode(v)
}

func (c checked[T]) Decode(data []byte) (T, error) {
	v, err := c.Codec.Decode(data)
	if err == nil {
		err = c.check(v)
	}
	return v, err
}

// Value is a persistent node whose data is a T.
type Value[T any] struct {
	c     Client
	conf  config
	path  string
	codec Codec[T]
}

// Typed makes nothing in the tree before it is used.
func Typed[T any](c Client, path string, codec Codec[T], opts ...Option) *Value[T] {
	return &Value[T]{c, newConfig(opts), path, codec}
}

func (v *Value[T]) decode(n *client.Node) (T, error) {
	t, err := v.codec.Decode(n.Data)
	if err != nil {
		return t, fmt.Errorf("%w: version %d: %w", ErrInvalid, n.Stat.Version, err)
	}
	return t, nil
}

func (v *Value[T]) encode(t T) ([]byte, error) {
	data, err := v.codec.Encode(t)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return data, nil
}

// Get returns the value: client.ErrNoNode if there is none, ErrInvalid if the data
// is not one.
func (v *Value[T]) Get(ctx context.Context, opts ...client.GetOption) (t T, err error) {
	n, err := v.c.Get(ctx, v.path, opts...)
	if err != nil {
		return t, err
	}
	t, err = v.decode(n)
	return t, wrap("get", v.path, err)
}

// Set puts t in place of whatever is there.
func (v *Value[T]) Set(ctx context.Context, t T) error {
	data, err := v.encode(t)
	if err == nil {
		err = update(ctx, v.c, v.conf, v.path, func(*client.Node) ([]byte, error) { return data, nil })
	}
	return wrap("set", v.path, err)
}

// Update puts in place what f makes of the present value, nil if there is none, and
// calls f again as often as somebody else was faster. It returns what it put. It
// refuses to touch data that is not a T, and a node that was made again is another one
// than the former. An error of f ends it.
func (v *Value[T]) Update(ctx context.Context, f func(old *T) (T, error)) (T, error) {
	var put T
	err := update(ctx, v.c, v.conf, v.path, func(n *client.Node) ([]byte, error) {
		var old *T
		if n != nil {
			t, err := v.decode(n)
			if err != nil {
				return nil, err
			}
			old = &t
		}
		var err error
		if put, err = f(old); err != nil {
			return nil, err
		}
		return v.encode(put)
	})
	return put, wrap("update", v.path, err)
}

// Watch yields the value and then each change; values that are replaced quickly may
// be missing, never the latest. A value that is not there (client.ErrNoNode) or is
// invalid (ErrInvalid) is yielded as that error, and the watch goes on, so that who
// keeps the last good one is told of the bad one. Any other error is the last thing
// it yields: of ctx, or of the session.
func (v *Value[T]) Watch(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := v.follow(patient{ctx}, yield); err != nil {
			var none T
			yield(none, wrap("watch", v.path, err))
		}
	}
}

// follow returns nil when yield has had enough.
func (v *Value[T]) follow(ctx context.Context, yield func(T, error) bool) error {
	w, err := v.c.Watch(ctx, v.path, client.Types(client.EventCreated, client.EventChanged, client.EventDeleted))
	if err != nil {
		return err
	}
	defer w.Close()
	var last uint64 // zxid of what was told, 0 of nothing
	for told := false; ; told = true {
		n, err := v.c.Get(ctx, v.path)
		var now uint64
		if err == nil {
			now = n.Stat.Mzxid
		} else if !errors.Is(err, client.ErrNoNode) {
			return err
		}
		if !told || now != last {
			var t T
			if err == nil {
				t, err = v.decode(n)
			}
			last = now
			if !yield(t, wrap("watch", v.path, err)) {
				return nil
			}
		}
		if _, err := w.Next(ctx); err != nil {
			return err
		}
	}
}
