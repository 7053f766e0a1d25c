package clients

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/compat/rig"
)

// typed runs a command line tool, types lines at it and returns what it wrote.
// Its input ends when it has written a line that begins with last.
func typed(t *testing.T, lines []string, last string, command ...string) string {
	t.Helper()
	talk := rig.Begin(t, deadline(t), command...)
	for _, line := range lines {
		talk.Say(line)
	}
	talk.Await(last)
	out, err := talk.Finish()
	require.NoError(t, err, out)
	return out
}

// zkCli types every command of ZooKeeper's shell and looks for its answer.
func zkCli(t *testing.T, connect string) {
	type step struct{ line, want string } // want is in what is written from here on, in order; an event may come late
	steps := []step{
		{"create /zkcli hello", "Created /zkcli\n"},
		{"create /zkcli again", "Node already exists: /zkcli\n"},
		{"create -e /zkcli/e data", "Created /zkcli/e\n"},
		{"create -s /zkcli/s- data", "Created /zkcli/s-0000000001\n"},
		{"create -c /zkcli/c data", "Created /zkcli/c\n"},
		{"create -t 60000 /zkcli/t data", "Created /zkcli/t\n"},
		{"create /zkcli/e/x data", "Ephemerals cannot have children: /zkcli/e/x\n"},
		{"create /zkcli/acl data world:anyone:r", "Created /zkcli/acl\n"},
		{"set /zkcli/acl data", "Insufficient permission : /zkcli/acl\n"},
		{"getAcl /zkcli/acl", "'world,'anyone\n: r\n"},
		{"get /zkcli", "hello\n"},
		{"get -s /zkcli", "dataLength = 5\nnumChildren = 5\n"},
		{"ls /zkcli", "[acl, c, e, s-0000000001, t]\n"},
		{"ls -s /zkcli", "cversion = 5\n"},
		{"ls -R /zkcli", "/zkcli\n/zkcli/acl\n/zkcli/c\n/zkcli/e\n/zkcli/s-0000000001\n/zkcli/t\n"},
		{"stat /zkcli", "dataVersion = 0\n"},
		{"stat /zkcli/none", "Node does not exist: /zkcli/none\n"},
		{"get -w /zkcli", "hello\n"},
		{"addWatch -m PERSISTENT /zkcli/t", ""},
		{"set -v 0 /zkcli world", "type:NodeDataChanged path:/zkcli\n"},
		{"set -v 0 /zkcli stale", "version No is not valid : /zkcli\n"},
		{"set /zkcli/t x", "type:NodeDataChanged path:/zkcli/t\n"},
		{"removewatches /zkcli/t -a", "type:PersistentWatchRemoved path:/zkcli/t\n"},
		{"removewatches /zkcli/t -a", "No such watcher for /zkcli/t\n"},
		{"sync /zkcli", "Sync is OK\n"},
		{"getEphemerals /zkcli", "[/zkcli/e]\n"},
		{"getAllChildrenNumber /zkcli", "5\n"},
		{"whoami", "ip: 127.0.0.1\n"},
		{"addauth digest me:secret", ""},
		{"whoami", "digest: me\n"},
		{"setAcl /zkcli/s-0000000001 auth::cdrwa", ""},
		{"getAcl /zkcli/s-0000000001", "'digest,'me:"},
		{"setquota -n 10 /zkcli", ""},
		{"listquota /zkcli", "Output quota for /zkcli count=10,bytes=-1"},
		{"listquota /zkcli", "Output stat for /zkcli count=6,bytes="},
		{"delquota /zkcli", ""},
		{"config", ""},
		{"delete /zkcli", "Node not empty: /zkcli\n"},
		{"delete -v 7 /zkcli/s-0000000001", "version No is not valid : /zkcli/s-0000000001\n"},
		{"deleteall /zkcli", ""},
		{"ls /zkcli", "Node does not exist: /zkcli\n"},
		{"ls /", "zookeeper"},
	}
	var lines []string
	for _, s := range steps {
		lines = append(lines, s.line)
	}
	classPath := rig.Java(t, "testdata/java")
	out := typed(t, append(lines, "quit"), "WATCHER::never", rig.JavaCommand(classPath, "org.apache.zookeeper.ZooKeeperMain", "-server", connect)...)
	rest := out
	for _, s := range steps {
		if strings.HasPrefix(s.want, "type:") {
			require.Contains(t, out, s.want, s.line)
			continue
		}
		_, after, found := strings.Cut(rest, s.want)
		if !found {
			t.Fatalf("after %q there is no %q in\n%s", s.line, s.want, rest)
		}
		rest = after
	}
}

// cliMT types commands at the C client's shell, which answers in its own time.
func cliMT(t *testing.T, connect string) {
	const tool = "/usr/lib/zookeeper/bin/cli_mt"
	rig.Needs(t, tool, "cli_mt", "zookeeper-bin")
	out := typed(t, []string{
		"create /cli-mt", "set /cli-mt hello", "create +e /cli-mt/e", "create +s /cli-mt/s-", "get /cli-mt", "ls /cli-mt", "ls2 /cli-mt",
		"exists /cli-mt/none", "delete /cli-mt/e", "get /cli-mt/e",
	}, "/cli-mt/e: rc = -101", tool, connect)
	for _, want := range []string{
		"name = /cli-mt\n", "name = /cli-mt/s-0000000001\n", "value_len = 5\nhello\n", "\ts-0000000001\n", "Error -101 for /cli-mt/none\n", "/cli-mt/e: rc = -101\n",
	} {
		require.Contains(t, out, want)
	}
}
