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
