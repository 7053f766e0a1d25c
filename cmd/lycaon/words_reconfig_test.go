package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

func TestAServerIsNamedByItsNumberHoweverItIsWritten(t *testing.T) {
	members := []client.Member{{ID: 1}, {ID: 2}, {ID: 10}}
	require.Equal(t, []string{"2"}, others(members, "server.01=a:1:1, 0010=b:1:1"))
}

func TestReconfigAddsAServerWaitsForItsVoteAndRemovesIt(t *testing.T) {
	t.Parallel()
	peers := []string{freeAddr(t), freeAddr(t)}
	first := startServer(t, t.TempDir(), "--peer-addr", peers[0])
	token := filepath.Join(first.dir, "admin.token")

	type result struct {
		out, errw string
		code      int
	}
	added := make(chan result, 1)
	go func() {
		var r result
		r.out, r.errw, r.code = inProcess(nil, "-s", first.addr, "--admin-token", token, "reconfig", "-add", "2="+peers[1]+":1")
		added <- r
	}()
	require.Eventually(t, func() bool {
		out, _, _ := inProcess(nil, "-s", first.addr, "member", "list")
		return strings.Contains(out, peers[1])
	}, 20*time.Second, 10*time.Millisecond, "it is a member before it is started")
	second := startServer(t, t.TempDir(), "--id", "2", "--peer-addr", peers[1], "--join", peers[0])
	r := <-added
	require.Zero(t, r.code, r.errw)
	require.Contains(t, r.out, "Committed new configuration:\nserver.1="+peers[0])
	require.Contains(t, r.out, fmt.Sprintf("server.2=%s", peers[1]))
	require.Equal(t, 2, strings.Count(r.out, ":participant;"), "both vote: %s", r.out)
	clients := mustShot(t, first.addr, "config", "-c")
	require.Contains(t, clients, first.addr+","+second.addr)

	file := filepath.Join(t.TempDir(), "zoo.cfg.dynamic")
	require.NoError(t, os.WriteFile(file, []byte("# the servers\nserver.1="+peers[0]+":1:participant;2181\n"), 0o600))
	out, errw, code := oneShot(t, first.addr, "--admin-token", token, "reconfig", "-file", file)
	require.Zero(t, code, errw)
	require.NotContains(t, out, "server.2", "who is not in the file leaves")
}
