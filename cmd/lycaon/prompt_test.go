//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

const (
	keyCtrlA     = "\x01"
	keyCtrlR     = "\x12"
	keyCtrlW     = "\x17"
	keyBackspace = "\x7f"
	keyLeft      = "\x1b[D"
	keyUp        = "\x1b[A"
)

// atPrompt is a person at the prompt of a shell.
func atPrompt(t *testing.T, cluster *clienttest.Cluster, environ ...string) *terminal {
	t.Helper()
	cmd := lycaon("-s", cluster.Addrs()[0], "--auth", "digest:super:test", "--session-timeout", "60s", "shell")
	cmd.Env = append(cmd.Env, environ...)
	term := startTerminal(t, cmd)
	term.shows("(CONNECTED) / 0] ")
	return term
}

func TestThePromptNamesTheFirstOfSeveralServers(t *testing.T) {
	for servers, want := range map[string]string{
		"a:1": "a:1", "a:1,b:2": "a:1+1", "a:1,b:2,c:3/app/x": "a:1+2/app/x", "[::1]:1/app": "[::1]:1/app",
	} {
		require.Equal(t, want, shortServers(servers))
	}
}

func TestALineIsEditedBeforeItIsRun(t *testing.T) {
	t.Parallel()
	term := atPrompt(t, clienttest.Start(t))
	term.types("reate /appp x y" + keyCtrlW + keyBackspace + keyLeft + keyLeft + keyBackspace + keyCtrlA + "c" + keyEnter)
	term.shows("Created /app")
	term.types("cd app" + keyEnter)
	term.shows("(CONNECTED) /app 2] ")
	term.types("get ." + keyEnter)
	term.shows("x")
	term.shows("(CONNECTED) /app 3] ")
	term.types(keyUp + keyUp + keyBackspace + keyBackspace + keyBackspace + ".." + keyEnter)
	term.shows("(CONNECTED) / 4] ")
}

func TestLinesOfAnEarlierRunAreFoundByCtrlRAndPasswordsAreNot(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	term := atPrompt(t, cluster)
	for i, line := range []string{
		"create /findme 1", "addauth digest ann:secret1", `addauth digest "ann:secret2`, "adauth digest ann:secret3", "ls / --auth digest:ann:secret4", "ls /",
	} {
		term.types(line + keyEnter)
		term.shows(fmt.Sprintf(" / %d] ", i+1))
	}
	term.types(keyUp + keyUp)
	term.shows("create /findme 1") // the lines between were never kept
	term.types(keyCtrlU + "quit" + keyEnter)
	require.Zero(t, term.exits())
	kept, err := os.ReadFile(term.history)
	require.NoError(t, err)
	require.Equal(t, "create /findme 1\nls /\nquit\n", string(kept))
	info, err := os.Stat(term.history)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	again := atPrompt(t, cluster, "LYCAON_HISTORY="+term.history)
	again.types(keyCtrlR + "find")
	again.shows("bck-i-search: find")
	again.types(keyEnter)
	again.shows("create /findme: node already exists")
}

func TestThePromptFollowsTheServerWhileNothingIsTyped(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	term := atPrompt(t, cluster)
	term.types("create -e /mine held" + keyEnter)
	term.shows("/ 1] ")
	session := term.shellSession()
	term.shows("/ 2] ")
	term.types("get /mi")
	term.shows("get /mi")
	cluster.Stop()
	term.shows("(DISCONNECTED) / 2] ")
	term.shows("get /mi")
	cluster.Restart()
	term.shows("(CONNECTED) / 2] ")
	term.shows("get /mi")
	term.types("ne" + keyEnter)
	term.shows("held")
	term.shows("/ 3] ")
	require.Equal(t, session, term.shellSession())
	term.shows("/ 4] ")
	cluster.ExpireSession(session)
	term.shows("(EXPIRED) / 4] ")
	term.types("getEphemerals" + keyEnter)
	term.shows("the session was lost")
	term.shows("[]")
	term.shows("(CONNECTED) / 5] ")
}

func TestAnEventDoesNotDisturbTheLineThatIsTyped(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	term := atPrompt(t, cluster)
	term.types("stat -w /go" + keyEnter)
	term.shows("/go does not exist yet")
	term.shows("/ 1] ")
	term.types("create /typed")
	term.shows("create /typed")
	_, err := cluster.Client(t).Create(t.Context(), "/go", nil)
	require.NoError(t, err)
	term.shows("WATCH created /go")
	term.shows("/ 1] ")
	term.shows("create /typed")
	term.types("-on" + keyEnter)
	term.shows("Created /typed-on")
}

func TestALineIsWholeAfterTheWindowWasMadeNarrow(t *testing.T) {
	t.Parallel()
	term := atPrompt(t, clienttest.Start(t))
	long := strings.Repeat("0123456789", 6)
	term.types("create /narrow " + long)
	term.shows(long)
	require.NoError(t, unix.IoctlSetWinsize(int(term.keys.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 10, Col: 40}))
	term.types(keyLeft + keyBackspace + "x" + keyEnter)
	term.shows("Created /narrow")
	term.types("get /narrow" + keyEnter)
	term.shows(long[:58] + "x9")
}

func TestPastedLinesAreRunOneAfterTheOther(t *testing.T) {
	t.Parallel()
	term := atPrompt(t, clienttest.Start(t))
	var pasted strings.Builder
	for i := range 50 {
		fmt.Fprintf(&pasted, "create -s /pasted- %d\n", i)
	}
	term.types(pasted.String() + "get /pasted-0000000049\n")
	term.shows("Created /pasted-0000000049")
	term.shows("get /pasted-0000000049\r\n")
	term.shows("49\r\n")
	term.shows("/ 51] ")
}

// plantMany makes a node with as many below it as are asked about.
func plantMany(t *testing.T, c *client.Client) {
	t.Helper()
	ops := []client.Op{client.OpCreate("/many", nil)}
	for i := range confirmAbove {
		ops = append(ops, client.OpCreate(fmt.Sprintf("/many/%d", i), nil))
	}
	_, err := c.Multi(t.Context(), ops...)
	require.NoError(t, err)
}

func TestADeleteOfManyAsksAtThePrompt(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	plantMany(t, cluster.Client(t))
	term := atPrompt(t, cluster)
	for _, no := range []string{keyCtrlC, keyCtrlD, keyEnter, "n" + keyEnter, "perhaps" + keyEnter} {
		term.types("deleteall many" + keyEnter)
		term.shows("delete /many and 100 nodes below it? [y/N] ")
		term.types(no)
		term.shows("not confirmed, nothing was changed")
		term.shows("] ")
	}
	term.types("deleteall many" + keyEnter)
	term.shows("[y/N] ")
	term.types("y" + keyEnter)
	term.shows("deleting 101 nodes")
	term.shows("] ")
	term.types("ls" + keyEnter)
	term.shows("[zookeeper]")
	term.types(keyUp)
	term.shows("ls")
	term.types(keyUp)
	term.shows("deleteall many") // no answer is kept as a line
}

func TestADeleteOfManyWantsYesWhereNobodyCanBeAsked(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	plantMany(t, cluster.Client(t))
	for _, args := range [][]string{{"deleteall", "/many"}, {"mv", "/many", "/moved"}} {
		_, errw, code := inProcess(strings.NewReader("y\n"), append([]string{"-s", cluster.Addrs()[0]}, args...)...)
		require.Equal(t, exitUsage, code)
		require.Contains(t, errw, "say --yes")
	}
	_, errw, code := inProcess(nil, "-s", cluster.Addrs()[0], "deleteall", "--yes", "/many")
	require.Zero(t, code, errw)
}
