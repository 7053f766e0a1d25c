package clients

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/compat/rig"
	"github.com/lycaon-io/lycaon/server/internal/testcert"
)

// TestCompatTLS runs all operations of two clients over TLS. The Java client then
// has another transport, that of Netty. Its shortest form is none.
func TestCompatTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: TLS is in make compat, the long form")
	}
	files := testcert.New(t).Write(t.TempDir(), testcert.Server("127.0.0.1", "localhost"))
	connect := overTLS(t, files)
	t.Setenv("LYCAON_COMPAT_CA", files.CA)
	t.Run("kazoo", func(t *testing.T) {
		out, err := rig.Run(t, deadline(t), append(kazoo(t), connect, "operations")...)
		passed(t, out, err)
	})
	t.Run("java", func(t *testing.T) {
		line := rig.JavaCommand(rig.Java(t, "testdata/java"), "Suite", connect, "operations")
		secure := []string{
			"-Dzookeeper.client.secure=true",
			"-Dzookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty",
			"-Dzookeeper.ssl.trustStore.location=" + files.CA,
		}
		out, err := rig.Run(t, deadline(t), append(append(line[:1:1], secure...), line[1:]...)...)
		passed(t, out, err)
	})
}

// overTLS starts one server and returns where it takes TLS. Ours does so at the
// port for all clients, ZooKeeper at one of its own.
func overTLS(t *testing.T, files testcert.Files) string {
	opts := rig.Options{TickMs: 1000, SuperDigest: superDigest, Flags: []string{
		"--four-letter-words", "all", "--client-cert", files.Cert, "--client-key", files.Key,
	}}
	if !againstZooKeeper() {
		return start(t, 1, opts).Connect()
	}
	var both strings.Builder
	for _, name := range []string{files.Key, files.Cert} {
		pem, err := os.ReadFile(name)
		require.NoError(t, err)
		both.Write(pem)
	}
	port := rig.Ports(t, 1)[0]
	opts.Config = []string{
		fmt.Sprintf("secureClientPort=%d", port),
		"secureClientPortAddress=127.0.0.1",
		"serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
		"ssl.keyStore.location=" + file(t, "both.pem", both.String()),
		"ssl.trustStore.location=" + files.CA,
		"ssl.clientAuth=none",
	}
	start(t, 1, opts)
	return fmt.Sprintf("127.0.0.1:%d", port)
}
