package protocol

import (
	"fmt"
	"io"
)

// Secret is a password or a token. However it is printed, logged or marshalled
// as text, its bytes do not show.
type Secret []byte

const redacted = "[redacted]"

// Format makes every verb of fmt print the same word.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

func (Secret) String() string { return redacted }

// MarshalText covers encoding/json and log/slog.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
