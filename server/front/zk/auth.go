package zk

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/server/front/zk/digestmd5"
	"github.com/lycaon-io/lycaon/znode"
)

// auth takes an auth packet. Who proves nothing by it is told so and cut off,
// as in ZooKeeper.
func (c *conn) auth(xid int32, record []byte) error {
	m := &protocol.Message{Op: protocol.OpAuth, Xid: jute.Tag(xid, jute.OpAuth)}
	a, err := jute.DecodeAuth(record)
	var ids []znode.Identity
	if err == nil {
		ids, err = c.prove(&a)
	}
	if err != nil {
		return c.denied(m, err)
	}
	return c.Authorize(m, ids)
}

func (c *conn) denied(m *protocol.Message, why error) error {
	c.Counts().AuthFailures.Add(1)
	c.Config().Logger.Debug("authentication failed", "peer", c.RemoteAddr(), "err", why)
	m.Code = protocol.AuthFailed
	return c.answerLast(m)
}

func (c *conn) prove(a *jute.Auth) ([]znode.Identity, error) {
	switch {
	case a.Scheme == znode.SchemeIP:
		return nil, nil // every connection has proved its address
	case a.Scheme == znode.SchemeDigest && a.Data == nil:
		return nil, fmt.Errorf("%w: a digest of nothing", protocol.ErrAuthFailed)
	case a.Scheme == znode.SchemeDigest && !strings.Contains(string(a.Data), ":"):
		return proveBareUser(string(a.Data))
	}
	return c.Config().Prove(protocol.Credential{Scheme: a.Scheme, Data: a.Data})
}

// proveBareUser takes a digest without a password, which ZooKeeper hashes as it
// is.
func proveBareUser(user string) ([]znode.Identity, error) {
	if !utf8.ValidString(user) || len(user) > znode.MaxACLIDBytes/2 {
		return nil, fmt.Errorf("%w: a user must be in UTF-8 and of at most %d bytes", protocol.ErrAuthFailed, znode.MaxACLIDBytes/2)
	}
	sum := sha1.Sum([]byte(user))
	return []znode.Identity{{Scheme: znode.SchemeDigest, ID: user + ":" + base64.StdEncoding.EncodeToString(sum[:])}}, nil
}

// authSASL takes one step of SASL DIGEST-MD5.
func (c *conn) authSASL(xid int32, record []byte) error {
	m := &protocol.Message{Op: protocol.OpAuth, Xid: jute.Tag(xid, jute.OpSASL)}
	token, err := jute.DecodeSASL(record)
	if err != nil {
		return c.denied(m, err)
	}
	if c.zk.cfg.Users == nil {
		return c.denied(m, fmt.Errorf("%w: this server has no users for SASL", protocol.ErrAuthFailed))
	}
	if c.sasl == nil {
		c.sasl = digestmd5.New(c.zk.cfg.Users.Users(), rand.Reader)
	}
	answer, user, done, err := c.sasl.Next(token)
	if err != nil {
		return c.denied(m, err)
	}
	m.Data = answer
	if !done {
		return c.Answer(m)
	}
	c.sasl = nil // who comes again begins anew
	return c.Authorize(m, []znode.Identity{{Scheme: znode.SchemeSASL, ID: user}})
}
