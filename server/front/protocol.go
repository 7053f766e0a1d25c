package front

import "github.com/lycaon-io/lycaon/protocol"

// Protocol is one language of the client port.
type Protocol interface {
	// Name is what a client of none of them is told that this port speaks.
	Name() string
	// Begins tells whether a connection with this first byte is its.
	Begins(first byte) bool
	// Speak returns what serves a connection of it.
	Speak(c *Conn) Speaker
}

// Speaker is a protocol on one connection. Append is called by whoever writes,
// one at a time; all else by the connection's reader.
type Speaker interface {
	// Handshake brings the connection from its first byte to a lane (SetLane).
	// False ends it: nothing is to be served, or everything was said.
	Handshake() bool
	// MaxFrame is the greatest length that a frame of the client may announce.
	MaxFrame() uint32
	// PingBytes is the length of a ping with all that belongs to its frame, and whether
	// nothing else that a client sends is as short. With 0 no ping has to wait.
	PingBytes() (bytes int, alone bool)
	// Request takes what follows the length of a frame; it is good until the
	// next. An error ends the connection, with a farewell if it wraps
	// protocol.ErrMarshalling or znode.ErrTooLarge.
	Request(frame []byte) error
	// TooLarge takes a frame of which only the length was read.
	TooLarge(e *protocol.FrameTooLargeError) error
	// Append appends the bytes of m, none if the protocol has no word for it.
	Append(b []byte, m *protocol.Message) []byte
}
