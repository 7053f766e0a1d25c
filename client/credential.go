package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/lycaon-io/lycaon/protocol"
)

// Credential proves an identity to a server. It prints redacted.
type Credential struct {
	scheme string
	data   []byte
	server uint64 // whose alone it is, once that is known
}

// Digest is ZooKeeper's scheme of that name: it proves the identity
// digest:user:base64(sha1(user:password)). A server that knows the digest as
// its super digest takes the connection for the superuser's.
func Digest(user, password string) Credential {
	return Credential{scheme: "digest", data: []byte(user + ":" + password)}
}

const schemeAdminToken = "admin-token"

// AdminToken is the secret in a server's data directory. It makes the
// connection the superuser's, at that server alone: a session that goes on at
// another is nobody's superuser there.
func AdminToken(secret string) Credential {
	return Credential{scheme: schemeAdminToken, data: []byte(secret)}
}

func (c Credential) String() string { return c.scheme + ":redacted" }

// Format keeps every verb of fmt from printing the secret.
func (c Credential) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

func (c Credential) wire() protocol.Credential {
	return protocol.Credential{Scheme: c.scheme, Data: c.data}
}

func wires(creds []Credential) (all []protocol.Credential) {
	for _, cred := range creds {
		all = append(all, cred.wire())
	}
	return all
}

// ownedBy is the credential as the one that a server has taken.
func (c Credential) ownedBy(server uint64) Credential {
	if c.scheme == schemeAdminToken {
		c.server = server
	}
	return c
}

func (c Credential) is(other Credential) bool {
	return c.scheme == other.scheme && bytes.Equal(c.data, other.data)
}

// with adds what is not there yet.
func with(creds []Credential, more ...Credential) []Credential {
	for _, cred := range more {
		if !slices.ContainsFunc(creds, cred.is) {
			creds = append(slices.Clip(creds), cred)
		}
	}
	return creds
}

// offerable refuses what no hello has room for, whatever else is in it: a server
// would refuse that, and every later one with it.
func offerable(creds []Credential) error {
	const most = math.MaxUint64
	h := protocol.Hello{
		MinVersion: protocol.Version, MaxVersion: protocol.Version, Mode: protocol.HelloAttach, Client: clientName,
		TimeoutMs: math.MaxInt64, Session: most, Password: make([]byte, passwordSize), Attempt: most, LastZxid: most, Ack: most,
		Credentials: wires(creds),
	}
	if !h.Fits() {
		return fmt.Errorf("%w: %d credentials are more than a connection can begin with", ErrTooLarge, len(creds))
	}
	return nil
}

// AddAuth proves one more identity, now and on every later connection. It is
// ErrTooLarge, and nothing is sent, if those together do not fit into what begins
// a connection: 16 of them, and 4 KiB.
func (c *Client) AddAuth(ctx context.Context, cred Credential) error {
	cl, room := c.newWrite(protocol.OpAuth)
	cl.setBody(protocol.AppendAuth(room, cred.wire()))
	cl.cred = cred
	if err := c.startAuth(cl); err != nil {
		return opError("auth", "", err)
	}
	if _, err := c.wait(ctx, cl); err != nil {
		return opError("auth", "", err)
	}
	return nil
}

// startAuth counts the credentials whose answers are yet to come too.
func (c *Client) startAuth(cl *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := with(c.cfg.credentials, cl.cred)
	for _, q := range []*queue[*call]{&c.sent, &c.pending} {
		for i := range q.len() {
			if other := q.at(i); other.req.Op == protocol.OpAuth {
				all = with(all, other.cred)
			}
		}
	}
	if err := offerable(all); err != nil {
		return err
	}
	return c.startLocked(cl)
}

// proved has later connections begin with what the server has taken, whether the
// caller has waited for that or not: what is sent again may rest on it. The caller
// holds mu.
func (c *Client) proved(cl *call, m *protocol.Message, by uint64) {
	if m.Code == protocol.OK {
		c.cfg.credentials = with(c.cfg.credentials, cl.cred.ownedBy(by))
	}
}
