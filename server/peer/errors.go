package peer

import (
	"errors"
	"fmt"
)

// Errors of the own side.
var (
	ErrExposed = errors.New("peer: without TLS the peer address must be a loopback address")
	ErrTLS     = errors.New("peer: TLS")
	ErrNotPeer = errors.New("peer: what answers there is not the peer port of a server")
	ErrTooLong = errors.New("peer: a message is longer than its bound")
)

// What a handshake may stumble over before anybody is known.
var (
	errPlainHere = errors.New("it speaks TLS to a port without")
	errTLSThere  = errors.New("it answers in TLS")
	errNoHello   = errors.New("not a handshake of a server")
	errVersion   = errors.New("unknown version of the handshake")
)

// Error is a refusal that crosses the wire: a word that programs understand
// and a text for people.
type Error struct {
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// The codes of an Error, to be matched with errors.Is.
var (
	ErrForeignCluster = &Error{Code: "foreign-cluster"} // of another cluster
	ErrOtherData      = &Error{Code: "other-data"}      // known with another data directory
	ErrWrongID        = &Error{Code: "wrong-id"}        // another server than the one that was dialed
	ErrNotMember      = &Error{Code: "not-member"}      // refused by the rule of membership
	ErrNoRole         = &Error{Code: "no-role"}         // a certificate without the role of a server
	ErrNotLeader      = &Error{Code: "not-leader"}
	ErrNotReady       = &Error{Code: "not-ready"} // nobody listens to this kind or method yet
	ErrBusy           = &Error{Code: "busy"}      // a bound on streams is reached
	ErrBadRequest     = &Error{Code: "bad-request"}
	ErrFailed         = &Error{Code: "failed"}
)

func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Code
	}
	return e.Code + ": " + e.Detail
}

// Is matches by the code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Refuse makes an error of the kind of a sentinel above with a text.
func Refuse(kind *Error, format string, args ...any) *Error {
	return &Error{Code: kind.Code, Detail: fmt.Sprintf(format, args...)}
}

// crossing is err as it goes over the wire.
func crossing(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok && e.Code != "" {
		return e
	}
	return Refuse(ErrFailed, "%v", err)
}
