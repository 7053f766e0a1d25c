package server

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol/jute"
)

// asked sends bytes and returns all that comes back until the server closes.
func asked(t *testing.T, s *Server, said []byte) string {
	t.Helper()
	c, err := net.Dial("tcp", s.ClientAddr().String())
	require.NoError(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = c.Write(said)
	require.NoError(t, err)
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	return string(answer)
}

func TestBothProtocolsSeeOneTree(t *testing.T) {
	s := start(t, local(t))
	c := dial(t, s)
	_, err := c.Create(t.Context(), "/a", []byte("native"))
	require.NoError(t, err)

	foreign, err := net.Dial("tcp", s.ClientAddr().String())
	require.NoError(t, err)
	defer foreign.Close()
	foreign.SetDeadline(time.Now().Add(10 * time.Second))
	said := jute.AppendConnectRequest(nil, &jute.ConnectRequest{TimeoutMs: 5000, Password: make([]byte, 16)})
	said = jute.AppendCall(said, 1, &jute.Call{Op: jute.OpGetData, Path: "/a"})
	said = jute.AppendCall(said, 2, &jute.Call{Op: jute.OpSetData, Path: "/a", Data: []byte("foreign"), Version: 0})
	said = jute.AppendCall(said, 3, &jute.Call{Op: jute.OpCloseSession})
	_, err = foreign.Write(said)
	require.NoError(t, err)
	all, err := io.ReadAll(foreign)
	require.NoError(t, err)
	require.Contains(t, string(all), "native")

	node, err := c.Get(t.Context(), "/a")
	require.NoError(t, err)
	require.Equal(t, "foreign", string(node.Data))
}

func TestTheDoorOfZooKeepersClientsCanBeClosed(t *testing.T) {
	cfg := local(t)
	cfg.ZooKeeper = "off"
	s := start(t, cfg)
	const refused = "lycaon: this port speaks the Lycaon native protocol only\n"
	require.Equal(t, refused, asked(t, s, jute.AppendConnectRequest(nil, &jute.ConnectRequest{TimeoutMs: 5000, Password: make([]byte, 16)})))
	require.Equal(t, refused, asked(t, s, []byte("ruok")))
	dial(t, s)
}

func TestFourLetterWordsAreAnsweredAsConfigured(t *testing.T) {
	cfg := local(t)
	s := start(t, cfg)
	require.Equal(t, "imok", asked(t, s, []byte("ruok")))
	require.Contains(t, asked(t, s, []byte("srvr")), "Mode: standalone\n")
	require.Contains(t, asked(t, s, []byte("conf")), "not in the whitelist")
	stop(t, s)

	cfg.FourLetterWords = "all"
	cfg.hooks.files = 100
	s = start(t, cfg)
	conf := asked(t, s, []byte("conf"))
	require.Contains(t, conf, "maxClientCnxns=50\n", "what is granted")
	require.Contains(t, conf, "dataDir="+cfg.DataDir+"\n")
	stop(t, s)
	cfg.MaxConnectionsPerIP = 7
	s = start(t, cfg)
	require.Contains(t, asked(t, s, []byte("conf")), "maxClientCnxns=7\n", "it is of one address there")
	require.Contains(t, conf, "minSessionTimeout=")
	require.Regexp(t, `datadir_size: [1-9]\d+\n`, asked(t, s, []byte("dirs")))
}

func TestSettingsOfZooKeeperAreChecked(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users")
	require.NoError(t, os.WriteFile(users, []byte("ann:secret\n"), 0o644))
	for _, tt := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.ZooKeeper = "yes" }, `zookeeper "yes": want on or off`},
		{func(c *Config) { c.FourLetterWords = "ruok,what" }, `four-letter-words: "what" is no four-letter word`},
		{func(c *Config) { c.SASLUsers = users }, "sasl-users: "},
		{func(c *Config) { c.SASLUsers = users + "x" }, "sasl-users: "},
	} {
		cfg := local(t)
		tt.change(&cfg)
		require.ErrorContains(t, cfg.Validate(), tt.want)
		require.ErrorIs(t, cfg.Validate(), ErrConfig)
	}
}
