package native_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

func authRequest(xid uint64, user string) protocol.Request {
	cred := protocol.Credential{Scheme: "digest", Data: []byte(user + ":password")}
	return protocol.Request{Op: protocol.OpAuth, Xid: xid, Body: protocol.AppendAuth(nil, cred)}
}

// Identities ride in every write: a connection that proved a few megabytes of
// them would make each of its writes as large.
func TestIdentitiesAreBoundedInBytes(t *testing.T) {
	s := start(t)
	r := s.dial()
	w := r.hello(protocol.Hello{Mode: protocol.HelloOpen, TimeoutMs: 10_000})
	require.Equal(t, protocol.OK, w.Code)

	r.send(authRequest(1, strings.Repeat("a", 1<<19)))
	require.Equal(t, protocol.AuthFailed, r.mustReceive().Code)
	var codes []protocol.Code
	for i := range 40 {
		r.send(authRequest(uint64(2+i), fmt.Sprintf("%d%s", i, strings.Repeat("a", 900))))
		codes = append(codes, r.mustReceive().Code)
	}
	require.Equal(t, protocol.OK, codes[0])
	require.Equal(t, protocol.TooLarge, codes[39])
	r.send(createRequest(50, "/a", ""))
	require.Equal(t, protocol.OK, r.mustReceive().Code)
}

// What is refused proves nothing: else a full connection could try super passwords
// one after the other, and none would count as a failure.
func TestACredentialThatIsOneTooManyMakesNoSuperuser(t *testing.T) {
	s := start(t)
	r := s.dial()
	require.Equal(t, protocol.OK, r.hello(guestWith()).Code)
	ask := func(req protocol.Request) protocol.Code {
		r.send(req)
		return r.mustReceive().Code
	}
	for user := 0; ask(authRequest(1, fmt.Sprint(user))) != protocol.TooLarge; user++ {
	}
	super := protocol.Credential{Scheme: "digest", Data: []byte("super:test")}
	require.Equal(t, protocol.TooLarge, ask(protocol.Request{Op: protocol.OpAuth, Xid: 1, Body: protocol.AppendAuth(nil, super)}))
	require.Equal(t, protocol.NoAuth, ask(protocol.Request{Op: protocol.OpSnapshot, Xid: 1}))
}
