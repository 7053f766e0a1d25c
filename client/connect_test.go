package client

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// A welcome may be taken at the very moment at which its time runs out: what
// it began has to be ended as any connection is.
func TestAWelcomeAtTheLastMomentLeavesNothingBehind(t *testing.T) {
	f := newFake(t)
	c := f.open(WithSessionTimeout(time.Second))
	welcome := protocol.AppendWelcome(nil, &protocol.Welcome{
		Version: 1, Session: fakeSession, Password: make([]byte, passwordSize), Generation: 1,
		TimeoutMs: fakeTimeout.Milliseconds(), Zxid: 1, Limits: protocol.DefaultLimits(),
	})
	heard := func() *peer { // on a machine that stands still its patience may end before
		for {
			if p, err := f.take(); err == nil {
				return p
			}
		}
	}
	p := heard()
	c.mu.Lock() // holds the client back while it takes the welcome
	for _, err := p.nc.Write(welcome); err != nil; _, err = p.nc.Write(welcome) {
		c.mu.Unlock()
		p = heard()
		c.mu.Lock()
	}
	_, err := p.r.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	c.mu.Unlock()

	p = heard()
	require.Equal(t, protocol.HelloAttach, p.hello.Mode)
	c.mu.Lock()
	link := c.link
	c.mu.Unlock()
	require.Nil(t, link)
	require.Equal(t, Disconnected, c.Session().State())
}

func TestARefusalSaysItsKindOnce(t *testing.T) {
	t.Parallel()
	for want, refused := range map[string]farewellError{
		"authentication failed: the admin token is another one": {code: protocol.AuthFailed, detail: "authentication failed: the admin token is another one"},
		"authentication failed: no user":                        {code: protocol.AuthFailed, detail: "no user"},
		"authentication failed":                                 {code: protocol.AuthFailed, detail: "authentication failed"},
	} {
		require.EqualError(t, &refused, want)
	}
}
