package replicate

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

func TestMembersAreDescribedInTheFormOfZooKeeper(t *testing.T) {
	voter := func(id uint64, peer, client string) Member {
		return Member{ID: id, PeerAddr: peer, ClientAddr: client, Suffrage: Voter}
	}
	observer := Member{ID: 12, PeerAddr: "b:2888", ClientAddr: "b:2181", Suffrage: Observer}
	alone := []Member{voter(1, "a:2888", "a:2181")}
	for _, c := range []struct {
		name    string
		members []Member
		said    string
		want    string
	}{
		{"a server that is alone and always was", alone, "", ""},
		{"one that was not", alone, "server.1=a:2888:2889:participant\nserver.2=b:1:2:participant\nversion=5", "server.1=a:2888:2889:participant;a:2181\n"},
		{"a voter and an observer", []Member{voter(1, "a:2888", "a:2181"), observer}, "",
			"server.1=a:2888:2889:participant;a:2181\nserver.12=b:2888:2889:observer;b:2181\n"},
		{"addresses of IPv6", []Member{voter(1, "[::1]:2888", "[2001:db8::1]:2181"), observer}, "",
			"server.1=[::1]:2888:2889:participant;[2001:db8::1]:2181\nserver.12=b:2888:2889:observer;b:2181\n"},
		{"the highest port", []Member{voter(1, "a:65535", "a:2181"), observer}, "",
			"server.1=a:65535:65534:participant;a:2181\nserver.12=b:2888:2889:observer;b:2181\n"},
		{"no word of where clients go", []Member{voter(1, "a:2888", ""), observer}, "",
			"server.1=a:2888:2889:participant\nserver.12=b:2888:2889:observer;b:2181\n"},
		{"a word before", []Member{voter(1, "a:2888", ""), observer}, "server.1=a:2888:2889:participant;[::1]:9\nversion=1",
			"server.1=a:2888:2889:participant;[::1]:9\nserver.12=b:2888:2889:observer;b:2181\n"},
		{"in another role", []Member{voter(1, "a:2888", ""), observer}, "server.1=a:2888:2889:observer;c:9\nversion=1",
			"server.1=a:2888:2889:participant;c:9\nserver.12=b:2888:2889:observer;b:2181\n"},
		{"at another place", []Member{voter(1, "a:2888", ""), observer}, "server.1=z:2888:2889:participant;c:9\nversion=1",
			"server.1=a:2888:2889:participant\nserver.12=b:2888:2889:observer;b:2181\n"},
		{"that makes no sense", []Member{voter(1, "a:2888", ""), observer}, "server.1=a:2888:2889:participant;nonsense\nserver.1=",
			"server.1=a:2888:2889:participant\nserver.12=b:2888:2889:observer;b:2181\n"},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, describe(c.members, c.said)) })
	}
}

func TestNothingIsPublishedThatAMembersProgramWouldStopAt(t *testing.T) {
	members := []Member{{ID: 1}, {ID: 2}, {ID: 3}}
	for _, c := range []struct {
		name  string
		told  []announcement
		reign time.Duration
		want  bool
	}{
		{"all know it", []announcement{{ID: 2, Knows: state.Knows}, {ID: 3, Knows: state.Knows + 1}}, 0, true},
		{"an older program", []announcement{{ID: 2, Knows: state.Knows}, {ID: 3}}, time.Hour, false},
		{"one has not told yet", []announcement{{ID: 2, Knows: state.Knows}}, introductionTime - 1, false},
		{"nor later", []announcement{{ID: 2, Knows: state.Knows}}, introductionTime, true},
		{"an older one that is no member", []announcement{{ID: 2, Knows: state.Knows}, {ID: 3, Knows: state.Knows}, {ID: 4}}, 0, true},
	} {
		n := &Node{cfg: Config{ID: 1}, book: newBook(), adoptees: make(chan struct{}, 1)}
		for _, a := range c.told {
			n.announced(a)
		}
		all, _ := n.allKnow(state.KnowsConfig, members, c.reign)
		require.Equal(t, c.want, all, c.name)
	}
}

func TestAServerThatHasStartedWaitsForWhatTheOthersKnow(t *testing.T) {
	yet, ended := time.Now().Add(time.Hour), func() context.Context {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx
	}()
	for _, c := range []struct {
		name    string
		started time.Time
		told    []announcement
		ctx     context.Context
		want    bool
	}{
		{"nobody has told", yet, nil, ended, false},
		{"one has not told", yet, []announcement{{ID: 2, Knows: state.Knows}}, ended, false},
		{"one is of an older program, whatever another is", yet, []announcement{{ID: 2}}, t.Context(), false},
		{"all have told", yet, []announcement{{ID: 2, Knows: state.Knows}, {ID: 3, Knows: state.Knows}}, t.Context(), true},
		{"nobody has told for long", yet.Add(-2 * time.Hour), nil, t.Context(), true},
	} {
		n := &Node{cfg: Config{ID: 1, Initial: []Member{{ID: 1}, {ID: 2}, {ID: 3}}}, book: newBook(), adoptees: make(chan struct{}, 1), started: c.started}
		for _, a := range c.told {
			n.announced(a)
		}
		require.Equal(t, c.want, n.AllKnow(c.ctx, state.KnowsBrief), c.name)
	}
	n := &Node{cfg: Config{ID: 1, Initial: []Member{{ID: 1}, {ID: 2}}}, book: newBook(), adoptees: make(chan struct{}, 1), started: yet}
	all := make(chan bool, 1)
	go func() { all <- n.AllKnow(t.Context(), state.KnowsBrief) }()
	n.announced(announcement{ID: 2, Knows: state.Knows})
	require.True(t, <-all)
}

// config is what the tree of a server says of the members.
func (s *server) config() (text string, version string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	data, _, err := s.replica.machine.Tree().Get(&znode.Actor{}, configPath)
	if err != nil {
		return err.Error(), ""
	}
	text, version, _ = strings.Cut(string(data), "version=")
	return text, version
}

func TestTheTreeNamesTheMembersAsTheyComeAndGo(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		line := func(id int, role string) string {
			return fmt.Sprintf("server.%d=s%d:1:2:%s;c%d:1\n", id, id, role, id)
		}
		three := line(1, "participant") + line(2, "participant") + line(3, "participant")
		versions := map[string]bool{}
		everywhere := func(want string) {
			t.Helper()
			e.until("everywhere "+want, 10*time.Second, func() bool {
				for _, s := range e.servers {
					if s.Node != nil {
						if text, _ := s.config(); text != want {
							return false
						}
					}
				}
				return true
			})
			_, version := e.leader().config()
			require.Regexp(t, regexp.MustCompile("^[0-9a-f]+$"), version)
			require.False(t, versions[version], "a version of its own")
			versions[version] = true
		}
		everywhere(three)

		s := e.joiner(4)
		require.NoError(t, e.change(e.leader(), protocol.AddMember, 4, "s4:1"))
		everywhere(three + "server.4=s4:1:2:observer\n")
		e.start(s)
		everywhere(three + line(4, "observer"))
		e.until("promoted", 10*time.Second, func() bool { return e.change(s, protocol.PromoteMember, 4, "") == nil })
		everywhere(three + line(4, "participant"))

		e.crash(e.leader())
		e.until("another leads", 10*time.Second, func() bool { return e.leader() != nil && e.leader().Serving() == nil })
		_, version := e.leader().config()
		time.Sleep(10 * time.Second)
		text, still := e.leader().config()
		require.Equal(t, three+line(4, "participant"), text, "that one is down changes nothing")
		require.Equal(t, version, still)

		require.NoError(t, e.change(e.leader(), protocol.RemoveMember, 4, ""))
		delete(e.servers, 4)
		everywhere(three)
		e.stop(s)
	})
}

func TestWhatASuperuserWritesIntoTheConfigDoesNotStay(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		published := func() bool {
			text, _ := e.leader().config()
			return strings.Count(text, "participant;") == 3
		}
		e.until("published", 10*time.Second, published)
		id := e.leader().session(t, time.Hour)
		w := write(id, 1, 1, protocol.OpSet, protocol.AppendSet(nil, configPath, []byte("nobody"), -1))
		w.IDs = protocol.AppendIdentities(nil, []znode.Identity{{Scheme: znode.SchemeSuper}})
		e.leader().send(w)
		e.until("overwritten", time.Second, func() bool { text, _ := e.leader().config(); return text == "nobody" })
		e.until("published again", 10*time.Second, published)
	})
}

func TestTheConfigOfAServerThatIsAloneIsEmpty(t *testing.T) {
	running(t, 1, func(e *ensemble) {
		time.Sleep(time.Minute)
		text, version := e.servers[1].config()
		require.Empty(t, text+version)
	})
}
