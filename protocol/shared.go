package protocol

import "sync/atomic"

// Encoding is one of the forms that names have on a wire.
type Encoding uint8

// The protocols that a server speaks.
const (
	NativeEncoding Encoding = iota
	JuteEncoding
	encodings
)

// shared is what the answers that have a More in common share: its size, and its
// names as they were encoded by the first writer of each protocol.
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

// AppendNames appends the names of m as encode does, which is what e stands for.
func (m *More) AppendNames(b []byte, e Encoding, encode func(b []byte, names []string) []byte) []byte {
	if m.shared == nil {
		return encode(b, m.Names)
	}
	kept := m.shared.encoded[e].Load()
	if kept == nil {
		// Two writers may both come here: they make the same.
		encoded := encode(make([]byte, 0, m.shared.size), m.Names)
		kept = &encoded
		m.shared.encoded[e].Store(kept)
	}
	return append(b, *kept...)
}
