package front

import (
	"crypto/subtle"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// SchemeX509 is the identity of a client certificate: its subject.
const schemeX509 = "x509"

// Identify returns what a connection has proved: its address, its certificate
// and these credentials.
func (c *Conn) Identify(creds ...protocol.Credential) ([]znode.Identity, error) {
	var ids []znode.Identity
	if c.ip.IsValid() {
		ids = append(ids, znode.Identity{Scheme: znode.SchemeIP, ID: c.ip.String()})
	}
	if secure, ok := c.secure(); ok {
		// Only a chain that was verified counts: a certificate alone anybody can make.
		if chains := secure.ConnectionState().VerifiedChains; len(chains) > 0 {
			ids = append(ids, znode.Identity{Scheme: schemeX509, ID: strings.ToValidUTF8(chains[0][0].Subject.String(), "\uFFFD")})
		}
	}
	for _, cred := range creds {
		proved, err := c.front.cfg.Prove(cred)
		if err != nil {
			return nil, err
		}
		ids = append(ids, proved...)
	}
	return ids, nil
}

// Prove returns the identities that a credential proves.
func (cfg *Config) Prove(cred protocol.Credential) ([]znode.Identity, error) {
	switch cred.Scheme {
	case znode.SchemeDigest:
		return cfg.proveDigest(string(cred.Data))
	case "admin-token":
		if len(cfg.AdminToken) > 0 && subtle.ConstantTimeCompare(cred.Data, cfg.AdminToken) == 1 {
			return []znode.Identity{{Scheme: znode.SchemeSuper, ID: "admin-token"}}, nil
		}
		return nil, fmt.Errorf("%w: the admin token is another one", protocol.ErrAuthFailed)
	}
	return nil, fmt.Errorf("%w: scheme %q is not known here", protocol.ErrAuthFailed, cred.Scheme[:min(len(cred.Scheme), 64)])
}

func (cfg *Config) proveDigest(userPassword string) ([]znode.Identity, error) {
	user, password, ok := strings.Cut(userPassword, ":")
	if !ok || !utf8.ValidString(user) {
		return nil, fmt.Errorf("%w: a digest credential is user:password, the user in UTF-8", protocol.ErrAuthFailed)
	}
	id := znode.DigestID(user, password)
	if len(id) > znode.MaxACLIDBytes { // no ACL could name it, and it would ride in every write
		return nil, fmt.Errorf("%w: a user name of %d bytes is too long", protocol.ErrAuthFailed, len(user))
	}
	ids := []znode.Identity{{Scheme: znode.SchemeDigest, ID: id}}
	if cfg.SuperDigest != "" && subtle.ConstantTimeCompare([]byte(id), []byte(cfg.SuperDigest)) == 1 {
		ids = append(ids, znode.Identity{Scheme: znode.SchemeSuper, ID: user})
	}
	return ids, nil
}

// IsSuper tells whether ids allow what only the superuser may do.
func IsSuper(ids []znode.Identity) bool {
	for _, id := range ids {
		if id.Scheme == znode.SchemeSuper {
			return true
		}
	}
	return false
}
