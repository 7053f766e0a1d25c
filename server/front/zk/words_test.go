package zk_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/server/front/zk"
)

func TestEveryWordIsAnsweredInZooKeepersForm(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.connect()
	require.Zero(t, p.call(ephemeral("/e")).Err)
	require.Zero(t, p.call(get("/e", true)).Err)
	require.Zero(t, p.call(&jute.Call{Op: jute.OpAddWatch, Path: "/", Mode: 1}).Err)
	const client = `/127\.0\.0\.1:\d+`
	for word, form := range map[string]string{
		"ruok": `imok`,
		"isro": `rw`,
		"srvr": `Zookeeper version: 3\.8\.0-0, built on 02/25/2022 08:49 GMT\nLatency min/avg/max: \d+/[\d.]+/\d+\nReceived: \d+\nSent: \d+\nConnections: \d+\nOutstanding: 0\nZxid: 0x7\nMode: standalone\nNode count: 4\n`,
		"stat": `Zookeeper version: .*\nClients:\n( ` + client + `\[[01]\]\(queued=0,recved=\d+,sent=\d+\)\n)+\nLatency (.*\n)+Node count: 4\n`,
		"mntr": `zk_version\t3\.8\.0-0.*\nzk_server_state\tstandalone\nzk_ephemerals_count\t1\n(zk_[a-z_]+\t[\d.]+\n)+`,
		"conf": `clientPort=2181\n`,
		"envi": `Environment:\nzookeeper\.version=3\.8\.0-0.*\nlycaon\.version=.*\n([a-z.]+=.*\n)+`,
		"cons": `( ` + client + `\[\d\]\(.*\)\n)+\n`,
		"dump": `SessionTracker dump:\nGlobal Sessions\(1\):\n0x1\t10000ms\nephemeral nodes dump:\nSessions with Ephemerals \(1\):\n0x1:\n\t/e\nConnections dump:\nConnections \(\d+\):\n(\tip: ` + client + ` sessionId: 0x[01]\n)+`,
		"wchs": `1 connections watching 2 paths\nTotal watches:2\n`,
		"wchc": `0x1\n\t/\n\t/e\n\n`,
		"wchp": `/\n\t0x1\n/e\n\t0x1\n\n`,
		"dirs": `datadir_size: \d+\nlogdir_size: \d+\n`,
		"hash": `zxid: 0x2 digest: [0-9a-f]{16}\n`,
		"crst": `Connection stats reset\.\n`,
		"srst": `Server stats reset\.\n`,
	} {
		require.Regexp(t, `^`+form+`$`, s.ask(word), word)
	}
	all, err := zk.ParseWords(zk.AllWords)
	require.NoError(t, err)
	require.Len(t, all, 16, "each word is in the table above")
	cons := s.ask("cons")
	require.Regexp(t, regexp.MustCompile(`\[1\]\(queued=0,recved=\d+,sent=\d+,sid=0x1,lop=NA,to=10000,lcxid=0x3,lzxid=0x2,lresp=\d+,llat=\d+,minlat=\d+,avglat=\d+,maxlat=\d+,est=\d+\)`), cons)
}

func TestSrstBeginsToCountAnew(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.connect()
	for i := range 20 {
		require.Zero(t, p.call(create(fmt.Sprint("/", i))).Err)
	}
	require.Contains(t, s.ask("srvr"), "Received: 20\n")
	s.ask("srst")
	require.Contains(t, s.ask("srvr"), "Latency min/avg/max: 0/0/0\nReceived: 0\nSent: 0\n")
	require.Contains(t, s.ask("cons"), "recved=20")
	s.ask("crst")
	require.Contains(t, s.ask("cons"), "recved=0,sent=0,sid=0x1")
}

func TestAWordThatIsNotAllowedIsToldSo(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *config) {
		var err error
		c.zk.Words, err = zk.ParseWords(" ruok,stat,")
		require.NoError(t, err)
	})
	require.Equal(t, "imok", s.ask("ruok\n"))
	require.Equal(t, "dump is not executed because it is not in the whitelist.\n", s.ask("dump"))
	require.Contains(t, s.ask("abcd"), "this port speaks")
}

func TestAServerWithoutAQuorumSaysSo(t *testing.T) {
	t.Parallel()
	var g gate
	s := start(t, func(c *config) { c.front.Serving = g.serving })
	g.closed.Store(true)
	for _, word := range strings.Fields("srvr stat mntr cons dump wchs wchc wchp dirs hash crst srst") {
		require.Equal(t, "This ZooKeeper instance is not currently serving requests\n", s.ask(word), word)
	}
	require.Equal(t, "imok", s.ask("ruok"))
}

func TestOneOfSeveralIsLeaderOrFollower(t *testing.T) {
	t.Parallel()
	role := "leader"
	s := start(t, func(c *config) {
		c.zk.Status = func() protocol.Status { return protocol.Status{Role: role} }
		c.zk.Members = func() []protocol.Member {
			return []protocol.Member{{ID: 1, Role: "leader"}, {ID: 2, Role: "follower"}, {ID: 3, Role: "follower"}, {ID: 4, Role: "observer"}}
		}
	})
	require.Contains(t, s.ask("srvr"), "Mode: leader\n")
	require.Contains(t, s.ask("mntr"), "zk_learners\t3\nzk_synced_followers\t2\n")
	role = "follower"
	require.Contains(t, s.ask("srvr"), "Mode: follower\n")
}

func TestAListOfWordsIsChecked(t *testing.T) {
	t.Parallel()
	_, err := zk.ParseWords("ruok,rude")
	require.ErrorContains(t, err, `"rude" is no four-letter word: want all or some of conf,cons,crst,dirs`)
	none, err := zk.ParseWords("")
	require.NoError(t, err)
	require.Empty(t, none)
}
