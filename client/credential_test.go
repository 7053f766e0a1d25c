package client

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// proves lets c add a credential that the server takes.
func (p *peer) proves(c *Client, cred Credential) {
	p.t.Helper()
	taken := make(chan error, 1)
	go func() { taken <- c.AddAuth(context.Background(), cred) }()
	p.answer(p.next())
	require.NoError(p.t, <-taken)
}

// A program may prove the same before each of its calls, as those of ZooKeeper's
// library do. A hello that grew with it would soon be refused, and the session lost.
func TestACredentialThatIsAddedAgainIsOfferedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open(WithCredentials(Digest("a", "b"), Digest("a", "b")))
		p := f.serve()
		for range 20 {
			p.proves(c, Digest("me", "secret"))
			p.proves(c, Digest("a", "b"))
		}
		p.nc.Close()
		p = f.serve()
		require.Equal(t, []protocol.Credential{Digest("a", "b").wire(), Digest("me", "secret").wire()}, p.hello.Credentials)
		go p.attend()
	})
}

func TestACredentialBeyondWhatAHelloHoldsIsNotSent(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		require.ErrorIs(t, c.AddAuth(t.Context(), Digest("me", strings.Repeat("x", protocol.PreHelloMaxFrame))), ErrTooLarge)
		user := func(i int) Credential { return Digest(fmt.Sprint("user", i), "secret") }
		const most = 16
		for i := range most - 1 {
			p.proves(c, user(i))
		}
		results := make(chan error)
		go func() { results <- c.AddAuth(context.Background(), user(most)) }()
		last := p.next()
		require.ErrorIs(t, c.AddAuth(t.Context(), user(most+1)), ErrTooLarge, "the last place may be taken")
		p.answer(last, func(m *protocol.Message) { m.Code = protocol.AuthFailed })
		require.ErrorIs(t, <-results, ErrAuthFailed)
		p.proves(c, user(most+1))
		require.ErrorIs(t, c.AddAuth(t.Context(), user(most)), ErrTooLarge)
		p.nc.Close()
		p = f.serve()
		require.Len(t, p.hello.Credentials, most)
		go p.attend()
	})
}

func TestMoreCredentialsThanAHelloHoldsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), []string{"a:1"}, WithCredentials(Digest("me", strings.Repeat("x", protocol.PreHelloMaxFrame))))
	require.ErrorIs(t, err, ErrTooLarge)
}

// The connection may break before the caller has heard that a server took it, or
// the caller not wait for that: what is sent again may rest on it.
func TestACredentialIsOfferedFromWhenAServerTookIt(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		c := f.open()
		p := f.serve()
		ctx, giveUp := context.WithCancel(t.Context())
		gaveUp := make(chan error)
		go func() { gaveUp <- c.AddAuth(ctx, Digest("me", "secret")) }()
		asked := p.next()
		giveUp()
		require.ErrorIs(t, <-gaveUp, context.Canceled)
		p.answer(asked)
		synctest.Wait()
		p.nc.Close()
		p = f.serve()
		require.Equal(t, []protocol.Credential{Digest("me", "secret").wire()}, p.hello.Credentials)
		go p.attend()
	})
}
