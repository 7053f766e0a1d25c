package client

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

func membersAt(addrs ...string) (members []protocol.Member) {
	for i, a := range addrs {
		members = append(members, protocol.Member{ID: uint64(i + 1), ClientAddr: a})
	}
	return members
}

func TestWhatIsLearnedOfMembers(t *testing.T) {
	for _, c := range []struct {
		name, from string
		told       []string
		want       []string
	}{
		{"addresses and names", "10.0.0.1:2181", []string{"10.0.0.1:2181", "b.example:2181", "[fd00::3]:2181"}, []string{"10.0.0.1:2181", "b.example:2181", "[fd00::3]:2181"}},
		{"not told yet", "10.0.0.1:2181", []string{"", "10.0.0.2:2181"}, []string{"10.0.0.2:2181"}},
		{"nowhere", "10.0.0.1:2181", []string{"0.0.0.0:2181", "[::]:2181", ":2181", "10.0.0.2", "10.0.0.2:0"}, nil},
		{"loopback from afar", "10.0.0.1:2181", []string{"127.0.0.1:2181", "localhost:2182", "[::1]:2183", "[::ffff:127.0.0.1]:9"}, nil},
		{"loopback from there", "127.0.0.1:2181", []string{"127.0.0.1:2182", "localhost:2183"}, []string{"127.0.0.1:2182", "localhost:2183"}},
	} {
		p := newPool([]string{"given:1"})
		p.learn(membersAt("former.example:1"), "x:1")
		p.learn(membersAt(c.told...), c.from)
		require.Equal(t, append([]string{"given:1"}, c.want...), p.all(), c.name)
	}
}

func TestTheFirstChoiceIsByChanceAndWhoFailedComesLast(t *testing.T) {
	p := newPool([]string{"a:1", "b:1", "a:1", "c:1", "d:1"})
	first := map[string]int{}
	for range 1000 {
		order := p.untried(0)
		require.Len(t, order, 4)
		first[order[0]]++
	}
	for _, n := range first {
		require.InDelta(t, 250, n, 120)
	}

	p.fail("b:1", time.Second)
	p.fail("c:1", 2*time.Second)
	require.ElementsMatch(t, []string{"a:1", "d:1"}, p.untried(3*time.Second))
	p.again()
	for range 50 {
		order := p.untried(3 * time.Second)
		require.Equal(t, []string{"b:1", "c:1"}, order[2:])
	}
	late := 2*time.Second + grudge + 1
	first = map[string]int{}
	for range 200 {
		first[p.untried(late)[0]]++
	}
	require.Len(t, first, 4, "in time it is forgotten")
	require.Empty(t, p.failed)
}

func TestWhetherThereIsAnother(t *testing.T) {
	p := newPool([]string{"a:1", "a:1"})
	require.False(t, p.hasOther("a:1"))
	p.learn(membersAt("b:1"), "x:1")
	require.True(t, p.hasOther("a:1"))
}

// A server is given by name and learned by number.
func TestOneServerUnderTwoAddressesIsOne(t *testing.T) {
	p := newPool([]string{"localhost:1"})
	p.met("localhost:1", 1)
	p.learn(membersAt("127.0.0.1:1"), "localhost:1")
	require.False(t, p.hasOther("localhost:1"))
	p.learn(membersAt("127.0.0.1:1", "127.0.0.1:2"), "localhost:1")
	require.True(t, p.hasOther("localhost:1"))
	p.fail("localhost:1", time.Second)
	require.Equal(t, []string{"127.0.0.1:2"}, p.untried(time.Second))
	p.again()
	require.Equal(t, "127.0.0.1:2", p.untried(time.Second)[0])

	p.learn(membersAt("127.0.0.1:3"), "localhost:1")
	require.False(t, p.same("127.0.0.1:1", "localhost:1"), "a member that went is forgotten")
}
