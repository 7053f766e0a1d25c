package client

import (
	"fmt"
	"io"

	"github.com/lycaon-io/lycaon/protocol"
)

// Credential proves an identity to a server. It prints redacted.
type Credential struct {
	scheme string
	data   []byte
}

// Digest is ZooKeeper's scheme of that name: it proves the identity
// digest:user:base64(sha1(user:password)). A server that knows the digest as
// its super digest takes the connection for the superuser's.
func Digest(user, password string) Credential {
	return Credential{scheme: "digest", data: []byte(user + ":" + password)}
}

// AdminToken is the secret in a server's data directory. It makes the
// connection the superuser's.
func AdminToken(secret string) Credential {
	return Credential{scheme: "admin-token", data: []byte(secret)}
}

func (c Credential) String() string { return c.scheme + ":redacted" }

// Format keeps every verb of fmt from printing the secret.
func (c Credential) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

func (c Credential) wire() protocol.Credential {
	return protocol.Credential{Scheme: c.scheme, Data: c.data}
}
