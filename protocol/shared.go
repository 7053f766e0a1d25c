package protocol

import (
	"slices"
	"sync/atomic"
)

// Encoding is one of the forms that a message has on a wire.
type Encoding uint8

// The protocols that a server speaks.
const (
	NativeEncoding Encoding = iota
	JuteEncoding
	encodings
)

// shared is what messages that have a More in common share: its size, and what all
// of them say as the first writer of each protocol encoded it: the names of an
// answer, the whole frame of an event.
type shared struct {
	size    int
	encoded [encodings]atomic.Pointer[[]byte]
}

// ShareNames returns a More with these names for any number of messages, whose
// writers encode them once for all. It holds on to both forms.
func ShareNames(names []string) *More {
	m := &More{Names: names}
	size := m.size()
	m.shared = &shared{size: size}
	return m
}

// ShareEvent returns a More for an event that many are told, whose writers encode it
// once for all.
func ShareEvent() *More {
	both := new(struct {
		more   More
		shared shared
	})
	both.more.shared = &both.shared
	return &both.more
}

// AppendNames appends the names of m as encode does, which is what e stands for.
func (m *More) AppendNames(b []byte, e Encoding, encode func(b []byte, names []string) []byte) []byte {
	return appendOnce(m, b, e, encode, m.Names)
}

// AppendEvent appends the event m as encode does, which is what e stands for.
func (m *Message) AppendEvent(b []byte, e Encoding, encode func(b []byte, m *Message) []byte) []byte {
	if m.More == nil {
		return encode(b, m)
	}
	return appendOnce(m.More, b, e, encode, m)
}

func appendOnce[T any](m *More, b []byte, e Encoding, encode func(b []byte, what T) []byte, what T) []byte {
	if m.shared == nil {
		return encode(b, what)
	}
	if kept := m.shared.encoded[e].Load(); kept != nil {
		return append(b, *kept...)
	}
	// Two writers may both come here: they make the same.
	start := len(b)
	b = encode(b, what)
	kept := slices.Clone(b[start:])
	m.shared.encoded[e].Store(&kept)
	return b
}
