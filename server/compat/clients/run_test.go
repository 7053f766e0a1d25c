package clients

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/compat/rig"
)

// superDigest is that of super:test.
const superDigest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="

var errTooLong = errors.New("the program took too long")

func TestMain(m *testing.M) { rig.Main(m) }

// programs are those under testdata, one for each language. Their command lines
// lack the connect string and the mode.
var programs = []struct {
	name    string
	command func(t *testing.T) []string
}{
	{"kazoo", kazoo},
	{"java", func(t *testing.T) []string { return rig.JavaCommand(rig.Java(t, "testdata/java"), "Suite") }},
	{"c", func(t *testing.T) []string { return []string{compiled(t)} }},
}

func kazoo(t *testing.T) []string {
	rig.Needs(t, "/usr/lib/python3/dist-packages/kazoo", "kazoo", "python3-kazoo")
	rig.Needs(t, "/usr/lib/python3/dist-packages/puresasl", "SASL for kazoo", "python3-pure-sasl")
	return []string{"/usr/bin/python3", "-B", "testdata/kazoo/suite.py"}
}

// compiled is the program of the C client, compiled once.
func compiled(t *testing.T) string {
	rig.Needs(t, "/usr/include/zookeeper/zookeeper.h", "C client", "libzookeeper-mt-dev")
	cc := rig.Tool(t, "gcc", "C compiler", "gcc")
	path, err := compileC(cc)
	require.NoError(t, err)
	return path
}

var compileOnce sync.Map // compiler -> func() (string, error)

func compileC(cc string) (string, error) {
	compile, _ := compileOnce.LoadOrStore(cc, sync.OnceValues(func() (string, error) {
		dir, err := rig.BuildDir("c")
		if err != nil {
			return "", err
		}
		sources, err := filepath.Glob("testdata/c/*.c")
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, "suite")
		line := append([]string{"-O1", "-Wall", "-Werror", "-DTHREADED", "-o", path}, sources...)
		out, err := exec.Command(cc, append(line, "-lzookeeper_mt", "-lpthread")...).CombinedOutput()
		if err != nil {
			return "", errors.Join(err, errors.New(string(out)))
		}
		return path, nil
	}))
	return compile.(func() (string, error))()
}

// servers starts n servers of what the clients are run against: ours, or
// ZooKeeper if LYCAON_COMPAT_PEER says so.
func servers(t *testing.T, n int) *rig.Ensemble {
	t.Helper()
	return start(t, n, rig.Options{TickMs: 1000, SuperDigest: superDigest, Flags: []string{"--four-letter-words", "all"}})
}

// start adds what all need: alice, who comes by SASL.
func start(t *testing.T, n int, opts rig.Options) *rig.Ensemble {
	t.Helper()
	if !againstZooKeeper() {
		opts.Flags = append(opts.Flags, "--sasl-users", file(t, "users", "alice:secret\n"))
		return rig.Lycaon(t, n, opts)
	}
	const server = "Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_alice=\"secret\"; };\n"
	opts.JVM = append(opts.JVM, "-Djava.security.auth.login.config="+file(t, "jaas", server),
		"-Dzookeeper.authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider")
	return rig.ZooKeeper(t, n, opts)
}

func file(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// sizes are the ensembles to run against; the short form has one of them.
func sizes(short int) []int {
	if testing.Short() {
		return []int{short}
	}
	return []int{1, 3}
}

func againstZooKeeper() bool { return os.Getenv("LYCAON_COMPAT_PEER") == "zookeeper" }

const modeWithin = 8 * time.Minute // all checks of a mode, on a machine whose cores are all busy

// deadline ends what a program does in one mode.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), modeWithin, errTooLong)
	t.Cleanup(cancel)
	return ctx
}

// passed judges what a program wrote: a line for each check.
func passed(t *testing.T, out string, err error) {
	t.Helper()
	ok, other := 0, []string{}
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "ok "):
			ok++
		case strings.HasPrefix(line, "FAIL "):
			t.Error(line)
		default:
			other = append(other, line)
		}
	}
	t.Logf("%d checks passed", ok)
	if (err != nil && !t.Failed()) || ok == 0 {
		t.Errorf("the program: %v", err)
	}
	if t.Failed() {
		t.Logf("it said besides:\n%s", strings.Join(other[max(0, len(other)-40):], "\n"))
	}
}

// everyProgram runs each program in a mode, at the same time, against n servers.
func everyProgram(t *testing.T, mode string, n int, further func(t *testing.T, e *rig.Ensemble)) {
	t.Run(strconv.Itoa(n), func(t *testing.T) {
		e := servers(t, n)
		for _, p := range programs {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				line := append(p.command(t), e.Connect(), mode)
				out, err := rig.Run(t, deadline(t), line...)
				passed(t, out, err)
			})
		}
		further(t, e)
	})
}

func TestCompatOperations(t *testing.T) {
	for _, n := range sizes(3) {
		everyProgram(t, "operations", n, func(t *testing.T, e *rig.Ensemble) {
			t.Run("go", func(t *testing.T) { t.Parallel(); goOperations(t, e.Connect()) })
			t.Run("zkCli", func(t *testing.T) { t.Parallel(); zkCli(t, e.Connect()) })
			t.Run("cli_mt", func(t *testing.T) { t.Parallel(); cliMT(t, e.Connect()) })
		})
	}
}

func TestCompatRecipes(t *testing.T) {
	for _, n := range sizes(1) {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			e := servers(t, n)
			for _, p := range programs {
				if p.name == "c" {
					continue // the package of the C client has no recipes
				}
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					out, err := rig.Run(t, deadline(t), append(p.command(t), e.Connect(), "recipes")...)
					passed(t, out, err)
				})
			}
			t.Run("go", func(t *testing.T) { t.Parallel(); goRecipes(t, e.Connect()) })
		})
	}
}
