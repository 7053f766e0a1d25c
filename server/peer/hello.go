package peer

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// The handshake, before which nothing is decoded:
//
//	dialer:   kind, magic, version, length u16, hello as JSON
//	acceptor:       magic, version, length u16, answer as JSON
//
// The version is that of the frame around the JSON; fields join the JSON
// without a new one.
const handshakeVersion = 1

var magic = [4]byte{'L', 'Y', 'C', 'P'}

const headBytes = len(magic) + 1 + 2

// tlsRecord and tlsAlert are first bytes of TLS, recognized to tell an
// operator which side lacks it.
const (
	tlsRecord = 0x16
	tlsAlert  = 0x15
)

type hello struct {
	Identity
	ToID   uint64 `json:"toId,omitempty"`
	ToData string `json:"toData,omitempty"`
}

// answer has an identity only if the stream was accepted: a stranger learns
// why it was refused, and no more.
type answer struct {
	Error
	Identity
}

func appendHello(k Kind, h hello) ([]byte, error) {
	return appendMessage([]byte{byte(k)}, h, maxHelloBytes)
}

func appendAnswer(a answer) ([]byte, error) {
	a.Detail = shorten(a.Detail, maxDetailBytes)
	return appendMessage(nil, a, maxAnswerBytes)
}

func appendMessage(b []byte, v any, limit int) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(body) > limit {
		return nil, fmt.Errorf("%w: a handshake of %d bytes, the bound is %d", ErrTooLong, len(body), limit)
	}
	b = append(b, magic[:]...)
	b = append(b, handshakeVersion)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...), nil
}

// readKind takes the first byte alone, so that a stranger is known by it
// however little it sends.
func readKind(r io.Reader) (Kind, error) {
	var first [1]byte
	if _, err := io.ReadFull(r, first[:]); err != nil {
		return 0, err
	}
	k := Kind(first[0])
	switch {
	case k == tlsRecord:
		return 0, errPlainHere
	case !k.known():
		return 0, fmt.Errorf("%w: %v", errNoHello, k)
	}
	return k, nil
}

func readHello(r io.Reader) (hello, error) {
	var h hello
	return h, readMessage(r, &h, maxHelloBytes)
}

func readAnswer(r io.Reader) (answer, error) {
	var a answer
	return a, readMessage(r, &a, maxAnswerBytes)
}

func readMessage(r io.Reader, v any, limit int) error {
	var head [headBytes]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	if head[0] == tlsAlert || head[0] == tlsRecord {
		return errTLSThere
	}
	if [4]byte(head[:4]) != magic {
		return fmt.Errorf("%w: it begins with %q", errNoHello, head[:4])
	}
	if head[4] != handshakeVersion {
		return fmt.Errorf("%w: %d, here it is %d", errVersion, head[4], handshakeVersion)
	}
	length := int(binary.BigEndian.Uint16(head[5:]))
	if length > limit {
		return fmt.Errorf("%w: a handshake of %d bytes, the bound is %d", ErrTooLong, length, limit)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: %w", errNoHello, err)
	}
	return nil
}

func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-3], "") + "..."
}
