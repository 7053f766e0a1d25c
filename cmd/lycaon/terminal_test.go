//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
	"github.com/lycaon-io/lycaon/recipes"
)

// terminal is a person at a shell: keys go in, what the screen gets comes out.
type terminal struct {
	t       *testing.T
	keys    *os.File
	screen  lockedBuffer
	seen    int // of the screen, by shows
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the program is gone
	history string
}

const (
	keyCtrlC = "\x03"
	keyCtrlD = "\x04"
	keyCtrlU = "\x15"
	keyCtrlZ = "\x1a"
	keyTab   = "\t"
	keyEnter = "\r"

	askCursor = "\x1b[6n" // what a program sends to hear where the cursor stands
	cursorAt  = "\x1b[1;1R"
)

func startTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	master, slave := openPTY(t)
	term := &terminal{t: t, keys: master, cmd: cmd, ended: make(chan struct{}), history: t.TempDir() + "/history"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Env = slices.Concat([]string{"LYCAON_HISTORY=" + term.history}, cmd.Env, []string{"TERM=xterm"})
	require.NoError(t, cmd.Start())
	require.NoError(t, slave.Close())
	go func() { cmd.Wait(); close(term.ended) }()
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		buf := make([]byte, 4096)
		asked := "" // what may go on in the next piece
		for {
			n, err := master.Read(buf)
			term.screen.Write(buf[:n])
			for asked += string(buf[:n]); strings.Contains(asked, askCursor); {
				_, asked, _ = strings.Cut(asked, askCursor)
				master.WriteString(cursorAt)
			}
			asked = asked[max(0, len(asked)-len(askCursor)):]
			if err != nil { // EIO when the program is gone
				return
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-term.ended
		<-copied
		master.Close()
	})
	return term
}

func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120}))
	return master, slave
}

func (term *terminal) types(keys string) {
	term.t.Helper()
	_, err := term.keys.WriteString(keys)
	require.NoError(term.t, err)
}

// shows waits until the text stands on the screen behind what was waited for
// before.
func (term *terminal) shows(text string) {
	term.t.Helper()
	for end := time.Now().Add(waitLong); ; time.Sleep(time.Millisecond) {
		screen := term.screen.String()
		if at := strings.Index(screen[term.seen:], text); at >= 0 {
			term.seen += at + len(text)
			return
		}
		require.True(term.t, time.Now().Before(end), "no %q in %q", text, screen[term.seen:])
	}
}

// shellSession is the session of the shell, as the shell tells it.
func (term *terminal) shellSession() client.SessionID {
	term.t.Helper()
	term.types("session -o json" + keyEnter)
	term.shows(`"id":`)
	term.shows("}")
	_, after, _ := strings.Cut(term.screen.String(), `"id":`)
	var id client.SessionID
	_, err := fmt.Sscan(strings.FieldsFunc(after, func(r rune) bool { return r < '0' || r > '9' })[0], &id)
	require.NoError(term.t, err)
	return id
}

func (term *terminal) exits() int {
	term.t.Helper()
	select {
	case <-term.ended:
	case <-time.After(waitLong):
		require.FailNow(term.t, "the program goes on", "%q", term.screen.String())
	}
	return term.cmd.ProcessState.ExitCode()
}

func TestCtrlCEndsTheCommandAndNotTheShell(t *testing.T) {
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	term := startTerminal(t, lycaon("-s", cluster.Addrs()[0], "shell"))
	term.shows("0] ")
	term.types("create -e /mine held" + keyEnter)
	term.shows("Created /mine")
	term.shows("1] ")
	term.types("watch /go" + keyEnter)
	for !strings.Contains(term.screen.String(), "WATCH") {
		_, err := c.Create(t.Context(), "/go", nil)
		require.NoError(t, err)
		require.NoError(t, c.Delete(t.Context(), "/go"))
	}
	term.types(keyCtrlC)
	term.shows("^C")
	term.shows("\r\n")
	term.shows("2] ")
	term.types("getEphemerals" + keyEnter)
	term.shows("[/mine]")
	term.shows("3] ")
	term.types("half a line" + keyCtrlC)
	term.shows("^C") // behind the line, drawn once more with its prompt
	term.shows("3] ")
	term.types(keyCtrlD)
	require.Zero(t, term.exits())
}

func TestCtrlCGivesTheLineUpThatNamesAreOfferedFor(t *testing.T) {
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	for _, path := range []string{"/one", "/only"} {
		_, err := c.Create(t.Context(), path, []byte("data"))
		require.NoError(t, err)
	}
	term := startTerminal(t, lycaon("-s", cluster.Addrs()[0], "shell"))
	term.shows("0] ")
	for i, keys := range []string{keyTab, keyTab + keyTab, keyTab + keyTab + keyTab, keyTab + "l"} {
		term.types("delete /on" + keys)
		term.shows("only")
		term.types(keyCtrlC + "version" + keyEnter)
		term.shows("go1.")
		term.shows(fmt.Sprintf(" / %d] ", i+1))
	}
	term.types(keyCtrlD)
	require.Zero(t, term.exits())
}

// Whoever may write a node could else have the terminal of who reads it do what he
// likes: write to the clipboard, for one.
func TestATerminalShowsTheControlCharactersOfData(t *testing.T) {
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	const clipboard = "\x1b]52;c;aGk=\x07"
	const shown = `\u001b]52;c;aGk=\u0007\u009b1m`
	for path, data := range map[string]string{
		"/text": clipboard + "\u009b1m", "/lines": "a\tb\n\rc", "/bytes": "\xff\x9b1m", "/c1": "\u009b1m",
		"/turned": "\u009b31m\u202e\u2066x",
	} {
		_, err := c.Create(t.Context(), path, []byte(data))
		require.NoError(t, err)
	}
	_, err := c.Create(t.Context(), "/turned/na\u202eme", nil)
	require.NoError(t, err)
	require.NoError(t, recipes.NewQueue(c, "/q").Put(t.Context(), []byte(clipboard+"\u009b1m")))
	for command, text := range map[string]string{
		"get /text": shown, "--compat get /text": shown, "grep 52 /text": shown, "queue take --ack /q": shown,
		"watch --data --from 0 -n 1 /text": shown,
		"get /lines":                       "a\tb\r\n" + `\u000dc`,
		"get /bytes":                       `\xff\x9b1m`,
		"get -o json /c1":                  `"data":"\u009b1m"`,
		"get --raw /text":                  clipboard,
		"get /turned":                      `\u009b31m\u202e\u2066x`,
		"ls /turned":                       `[na\u202eme]`,
		"get -o json /turned":              `"data":"\u009b31m\u202e\u2066x"`,
		"get -o yaml /turned":              `data: "\x9B31m\u202e\u2066x"`,
		"get -o table /turned":             `"\u009b31m\u202e\u2066x"`,
		"ls -o yaml /turned":               `"na\u202eme"`,
		"export /turned -":                 `/turned: "\x9B31m\u202e\u2066x"`,
		"export /turned - -f json":         `"/turned": "\u009b31m\u202e\u2066x"`,
	} {
		term := startTerminal(t, lycaon(append([]string{"-s", cluster.Addrs()[0]}, strings.Fields(command)...)...))
		term.shows(text)
		require.Zero(t, term.exits(), command)
		if !strings.Contains(command, "--raw") {
			require.NotContains(t, term.screen.String(), "\u009b", command)
			require.NotContains(t, term.screen.String(), "\u202e", command)
			require.NotContains(t, term.screen.String(), "exporting", command)
		}
	}
	failing := startTerminal(t, lycaon("-s", cluster.Addrs()[0], "get", "/absent\u202e"))
	failing.shows(`/absent\u202e`)
	require.Equal(t, exitNotFound, failing.exits())
	term := startTerminal(t, lycaon("-s", cluster.Addrs()[0], "shell"))
	term.shows("0] ")
	term.types("get /text" + keyEnter)
	term.shows(shown)
	term.types("get --raw /text" + keyEnter)
	term.shows(clipboard)
	term.types("cd /turned/na\u202eme" + keyEnter)
	term.shows(`/turned/na\u202eme 3] `)
}

func TestDataIsTypedAtThePrompt(t *testing.T) {
	cluster := clienttest.Start(t)
	term := startTerminal(t, lycaon("-s", cluster.Addrs()[0], "shell"))
	term.shows("0] ")
	term.types("create /typed -" + keyEnter)
	term.shows("Ctrl-D at the beginning of a line ends it")
	term.types("two words" + keyEnter + keyCtrlD)
	term.shows("Created /typed")
	term.shows("1] ")
	term.types("get -b /typed" + keyEnter)
	term.shows("dHdvIHdvcmRzCg==")
}

func TestSIGTERMEndsTheShellAtItsPrompt(t *testing.T) {
	cluster := clienttest.Start(t)
	term := startTerminal(t, lycaon("-s", cluster.Addrs()[0], "shell"))
	term.shows("0] ")
	term.types("create -e /mine held" + keyEnter)
	term.shows("1] ")
	require.NoError(t, term.cmd.Process.Signal(syscall.SIGTERM))
	require.Zero(t, term.exits())
	st, err := cluster.Client(t).Exists(t.Context(), "/mine")
	require.NoError(t, err)
	require.Nil(t, st, "the session was not closed")
}

// After Go's signal.Stop the key does nothing, and the line editor waits for SIGCONT.
func TestCtrlZAtThePromptStopsTheShellAlsoAfterALock(t *testing.T) {
	cluster := clienttest.Start(t)
	cmd := lycaon("-s", cluster.Addrs()[0], "shell")
	cmd.Args = append([]string{"sh", "-c", `set -m; "$0" "$@"; echo "stopped: $?"; fg`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	term := startTerminal(t, cmd)
	term.shows("0] ")
	term.types("lock /l -- true" + keyEnter)
	term.shows("1] ")
	term.types(keyCtrlZ)
	term.shows("stopped: ")
	term.shows("1] ")
	term.types("quit" + keyEnter)
	require.Zero(t, term.exits())
}

// The kernel stops nobody there.
func TestCtrlZAtThePromptOfASessionsFirstProcessIsPassedOver(t *testing.T) {
	cluster := clienttest.Start(t)
	term := startTerminal(t, lycaon("-s", cluster.Addrs()[0], "shell"))
	term.shows("0] ")
	term.types(keyCtrlZ + "version" + keyEnter)
	term.shows("go1.")
	term.shows("1] ") // a Ctrl-D before it would be read as a NUL
	term.types(keyCtrlD)
	require.Zero(t, term.exits())
}

func TestTabCompletesANameWithBlanksToOneWord(t *testing.T) {
	cluster := clienttest.Start(t)
	_, err := cluster.Client(t).Create(t.Context(), "/app/two words", []byte("found it"), client.Parents())
	require.NoError(t, err)
	term := startTerminal(t, lycaon("-s", cluster.Addrs()[0], "shell"))
	term.shows("0] ")
	term.types("get /app/t" + keyTab)
	term.shows("words")
	term.types(keyEnter)
	term.shows("found it")
}

func TestAnIdentityOutlivesTheSessionAndStaysOutOfTheHistory(t *testing.T) {
	cluster := clienttest.Start(t)
	term := startTerminal(t, lycaon("-s", cluster.Addrs()[0], "shell"))
	term.shows("0] ")
	term.types("addauth digest ann:secret" + keyEnter)
	term.shows("1] ")
	cluster.ExpireSession(term.shellSession())
	term.shows("2] ")
	for !strings.Contains(term.screen.String(), "EXPIRED") {
		term.types(keyEnter)
		term.shows("2] ")
	}
	term.types("whoami" + keyEnter)
	term.shows("the session was lost")
	term.shows("digest: ann:")
	term.shows("3] ")
	term.types("quit" + keyEnter)
	require.Zero(t, term.exits())
	kept, err := os.ReadFile(term.history)
	require.NoError(t, err)
	require.Contains(t, string(kept), "whoami")
	require.NotContains(t, string(kept), "secret")
}

func TestAnImportAndAnExportInTheShellShowTheirProgress(t *testing.T) {
	cluster := clienttest.Start(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/file", []byte("data"), 0o600))
	term := startTerminal(t, lycaon("-s", cluster.Addrs()[0], "shell"))
	term.shows("0] ")
	term.types("import " + dir + " /there" + keyEnter)
	term.shows("importing")
	term.shows("imported 2 nodes")
	term.types("export /there " + dir + "/copy" + keyEnter)
	term.shows("exporting")
	term.shows("exported 2 nodes")
}

func TestTheCompatShellLooksLikeZooKeepers(t *testing.T) {
	t.Parallel()
	addr := clienttest.Start(t).Addrs()[0]
	term := startTerminal(t, lycaon("-s", addr, "--compat", "shell"))
	term.shows("Connecting to " + addr)
	term.shows("WatchedEvent state:SyncConnected type:None path:null zxid: -1")
	term.shows("[zk: " + addr + "(CONNECTED) 0] ")
	term.types("create /a x" + keyEnter)
	term.shows("Created /a")
	term.shows("[zk: " + addr + "(CONNECTED) 1] ")
	term.types("redo 7" + keyEnter)
	term.shows("Command index out of range")
	term.types("close" + keyEnter)
	term.shows("WatchedEvent state:Closed type:None path:null zxid: -1")
	term.shows("[zk: " + addr + "(CLOSED) 3] ")
	term.types("history" + keyEnter)
	term.shows("1 - redo 7")
	term.shows("Not connected")
	term.types("quit" + keyEnter)
	require.Zero(t, term.exits())
}

func TestWhyASessionWasLostIsShownAsItIs(t *testing.T) {
	cluster := clienttest.Start(t)
	addr := cluster.Addrs()[0]
	term := startTerminal(t, lycaon("-s", addr, "shell"))
	term.shows("0] ")
	id := term.shellSession()
	term.shows("1] ")
	_, errw, code := inProcess(nil, "-s", addr, "--auth", asSuper, "kill-session", "-y", "--reason", "tur\u202ened", id.String())
	require.Zero(t, code, errw)
	for !strings.Contains(term.screen.String(), "EXPIRED") {
		term.types(keyEnter)
		term.shows("1] ")
	}
	term.types("ls /" + keyEnter)
	term.shows(`tur\u202ened); a new one is opened`)
}
