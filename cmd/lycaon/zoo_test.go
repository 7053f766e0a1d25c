package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client/clienttest"
	"github.com/lycaon-io/lycaon/server/compat/rig"
)

// Why the shell in the form compat differs from zkCli 3.8.0. docs/ZOOKEEPER.md,
// "The shell", says the same.
const (
	younger    = "3.9 has get -b and -x, set -b, removewatches -p and -r"
	tooMany    = "words too many are refused; ZooKeeper ignores them, or takes them for a flag of 3.4"
	inPart     = "an ACL that is wrong in part makes no node; ZooKeeper takes what it understands"
	together   = "several limits may be set or taken away at once"
	onOrOff    = "printwatches takes on and off, and nothing else for off"
	ourVersion = "the version is ours"
	beforehand = "who joins is read before a server is asked for permission"
	ourFile    = "the error of a file is worded otherwise"
	preorder   = "ls -R prints what is below a node right behind it"
	identities = "the identities of addauth come along to a new session"
)

// zooSession is typed at both shells. A line with a reason is answered otherwise.
var zooSession = []struct{ line, differs string }{
	{"help", younger}, {"frobnicate /a", younger},
	{"create /a hello", ""}, {"create /a again", ""}, {"create /no/such/parent", ""}, {"create", ""}, {"create relative", ""}, {"create /a/../b", ""},
	{"create /a/./b", ""}, {"create /a//b", ""}, {"create /a/", ""}, {"create -s /a/ x", ""}, {"create -q /a", ""}, {"create -sq /a", ""}, {"create -t", ""},
	{"create -c -e /x", ""}, {"create -c -s /x", ""}, {"create -t 0 /x", ""}, {"create -t soon /x", ""}, {"create -t 1000 -e /x", ""}, {"create -t 1000 -c /x", ""},
	{"create /bad x nonsense", ""}, {"create /auth x auth::cdrwa", ""},
	{"create /null", ""}, {"create -e /mine held", ""}, {"create /mine/child", ""}, {"create -s -e /mine- held", ""}, {"create -c /box", ""}, {"create -t 60000 /lease x", ""},
	{"create -s -t 60000 /lease- x", ""}, {`create /quoted "two words"`, ""}, {"create /single 'it is \"so\"'", ""}, {`create /json {"a":1}`, ""}, {`create /back a\b`, ""}, {"create /at @none", ""},
	{"create /dash -- -5", ""}, {"create /part", ""}, {"set /a -5", ""}, {"# no comment", younger},
	{"get /a", ""}, {"get -s /a", ""}, {"get /a -s", ""}, {"get /none", ""}, {"get", younger}, {"get -q /a", ""}, {"get /null", ""}, {"get -s /null", ""}, {"get /null watch", tooMany}, {"create /part/a x world:anyone:r,nonsense,a:b", inPart}, {"create /part/b x world:anyone:zz", inPart}, {"delete /part/a", inPart}, {"delete /part/b", inPart}, {"delete /part", ""},
	{"get /quoted", ""}, {"get /single", ""}, {"get /json", ""}, {"get /back", ""}, {"get /at", ""}, {"get /dash", ""}, {"get -b /a", younger}, {"get -x /a", younger},
	{"stat /a", ""}, {"stat /box", ""}, {"stat /lease", ""}, {"stat /mine", ""}, {"stat /none", ""}, {"stat", ""}, {"stat a", ""},
	{"ls /", ""}, {"ls -s /a", ""}, {"ls -R /", preorder}, {"ls /none", ""}, {"ls -R /none", ""}, {"ls", ""}, {"ls a", ""}, {"ls -?", ""}, {"ls -sw /a", ""},
	{"set /a one", ""}, {"set /a two -v 1", ""}, {"set -v 0 /a three", ""}, {"set -v1 /a three", ""}, {"set -s /a four", ""}, {"set -v -1 /a five", ""}, {"set /none x", ""}, {"set /a", younger}, {"create /bin", ""}, {"set -b /bin aGk=", younger},
	{"setAcl", ""}, {"setAcl /a", ""}, {"setAcl /a world:anyone:cdrwa", ""}, {"setAcl -s /a world:anyone:cdrwa", ""}, {"setAcl -v 77 /a world:anyone:r", ""}, {"setAcl -v 2 /a world:anyone:acdrw", ""},
	{"setAcl /a nonsense", ""}, {"setAcl /a digest:nobody:r", ""}, {"setAcl /a auth::cdrwa", ""}, {"setAcl /none world:anyone:r", ""}, {"setAcl -R /none world:anyone:r", ""},
	{"getAcl /a", ""}, {"getAcl -s /a", ""}, {"getAcl /none", ""}, {"getAcl", ""},
	{"whoami", ""}, {"addauth", ""}, {"addauth digest me:secret", ""}, {"whoami", ""}, {"create /private x auth::cdrwa", ""}, {"getAcl /private", ""},
	{"create -s /locked x digest:other:1h2kXsJ9n0qE1h0eL5rWjC5p7dI=:cdrwa", ""}, {"get /locked0000000018", ""}, {"setAcl /locked0000000018 world:anyone:r", ""},
	{"create /deep", ""}, {"create /deep/er", ""}, {"setAcl -R /deep auth::cdrwa", ""}, {"getAcl /deep/er", ""}, {"delete /deep", ""},
	{"delete -v 5 /deep/er", ""}, {"delete /none", ""}, {"delete", ""}, {"delete /deep/er", ""}, {"deleteall /none", ""}, {"deleteall", ""}, {"deleteall -b x /deep", ""}, {"deleteall /deep -b 10", ""},
	{"delete /zookeeper", ""},
	{"sync", ""}, {"sync /", ""}, {"sync /none", ""}, {"sync none", ""}, {"version", ourVersion},
	{"create /q", ""}, {"create /q/w", ""}, {"create /q/w/e 12345", ""},
	{"setquota", ""}, {"setquota -n", ""}, {"setquota -n 5", ""}, {"setquota -n 5 /none", ""}, {"setquota -n x /q", ""}, {"setquota -n 0 /q", ""}, {"setquota -N -1 /q", ""}, {"setquota -b -3 /q", ""}, {"setquota -B -3 /q", ""},
	{"setquota -n 4 /zookeeper/quota", ""}, {"setquota -n 4 q", ""}, {"listquota /q", ""}, {"delquota /q", ""}, {"delquota -n /q", ""}, {"setquota -n 5 -b 7 /q/w/e", together}, {"delquota /q/w/e", together},
	{"setquota -n 2 /q", ""}, {"setquota -b 4 /q", ""}, {"setquota -N 9 /q", ""}, {"setquota -B 3 /q", ""}, {"listquota /q", ""}, {"setquota -n 5 /q/w", ""}, {"delquota -n /q", ""}, {"delquota -n -b /q", together}, {"delquota -B /q", ""}, {"delquota -N /q", ""},
	{"delquota -x /q", ""}, {"delquota /q", ""}, {"delquota /q", ""}, {"setquota -n 9 /q/w", ""}, {"setquota -n 9 /q", ""}, {"listquota", ""}, {"listquota /none", ""}, {"delquota", ""}, {"delquota /none", ""},
	{"create /hard", ""}, {"setquota -N 1 /hard", ""}, {"set /zookeeper/quota enforce=on", ""}, {"create /hard/x", ""}, {"setquota -B 2 /hard", ""}, {"set /hard 123", ""},
	{"set /zookeeper/quota enforce=off", ""}, {"getEphemerals /mine", ""}, {"getEphemerals /none", ""}, {"getEphemerals e", ""}, {"getAllChildrenNumber", ""}, {"getAllChildrenNumber /q", ""}, {"getAllChildrenNumber /none", ""},
	{"history", ""}, {"redo", ""}, {"redo 4", ""}, {"redo 5", ""},
	{"printwatches", ""}, {"printwatches off", ""}, {"printwatches", ""}, {"printwatches on", ""}, {"printwatches maybe", onOrOff}, {"printwatches on", ""},
	{"config", ""}, {"config -c", ""}, {"config -s", ""}, {"config -x", ""},
	{"reconfig", ""}, {"reconfig -remove", ""}, {"reconfig -remove 77", ""}, {"reconfig -add nobody", beforehand}, {"reconfig -add 9=h:1:2 -members 9=h:1:2", ""},
	{"reconfig -file /none/none -members 9=h:1:2", ""}, {"reconfig -file /none/none", ourFile}, {"reconfig -v zz -remove 1", ""}, {"reconfig -what 1", ""},
	{"addauth digest super:test", ""}, {"reconfig -remove 77", ""}, {"reconfig -v 12 -remove 77", ""},
	{"create /w", ""}, {"create /w/x", ""}, {"get -w /w", ""}, {"stat -w /w/none", ""}, {"create /w/none", ""}, {"ls -w /w", ""}, {"create /w/y", ""}, {"set /w 1", ""}, {"set /w 2", ""},
	{"addWatch", ""}, {"addWatch -m OFTEN /w", ""}, {"addWatch /w", ""}, {"set /w/x 1", ""}, {"create /w/x/z", ""}, {"delete /w/x/z", ""}, {"addWatch -m PERSISTENT /p", ""}, {"create /p", ""}, {"create /p/q", ""}, {"set /p 1", ""},
	{"removewatches", ""}, {"removewatches /none", ""}, {"removewatches relative", ""}, {"removewatches /w", ""}, {"removewatches /w -a", ""}, {"get -w /w", ""}, {"ls -w /w", ""}, {"removewatches /w -c", ""}, {"removewatches /w -c", ""}, {"removewatches -d /w", ""},
	{"removewatches /never -p", younger}, {"config -w", ""}, {"removewatches /zookeeper/config", ""},
	{"connect " + theServer, ""}, {"ls /", ""}, {"getEphemerals /", ""}, {"whoami", identities}, {"close", ""}, {"get /a", ""}, {"get", ""}, {"frobnicate", younger}, {"close", ""}, {"history", ""}, {"connect", ""}, {"get /a", ""},
	{"addWatch /last", ""}, {"create /last", ""},
}

const theServer = "ADDR" // in a line; each shell has its own

const greeted = "Welcome to ZooKeeper!\nJLine support is disabled\n"

// mark is a line that both shells answer with marked, connected or not.
const (
	mark   = "redo 777777"
	marked = "Command index out of range"

	lastOfFirst = "WatchedEvent state:SyncConnected type:DataWatchRemoved path:/zookeeper/config" // its first session
	last        = "WatchedEvent state:SyncConnected type:NodeCreated path:/last"
)

func typedLines(addr string) (lines []string) {
	for _, s := range zooSession {
		lines = append(lines, strings.ReplaceAll(s.line, theServer, addr), mark)
	}
	return lines
}

// zkCli is the command line of ZooKeeper's shell.
func zkCli(t *testing.T, addr string) []string {
	rig.Tool(t, "java", "Java", "default-jre-headless")
	const jars = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar"
	for jar := range strings.SplitSeq(jars, ":") {
		rig.Needs(t, jar, "zkCli", "zookeeper, libslf4j-java")
	}
	command := rig.JavaCommand(jars, "org.apache.zookeeper.ZooKeeperMain", "-server", addr)
	const logging = "-Dorg.slf4j.simpleLogger.defaultLogLevel="
	return slices.Insert(command, slices.Index(command, logging+"warn")+1, logging+"off")
}

// theirs runs the session at the shell of ZooKeeper, at one of our servers.
func theirs(t *testing.T, addr string) string {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	talk := rig.Begin(t, ctx, zkCli(t, addr)...)
	for _, line := range typedLines(addr) {
		talk.Say(line)
	}
	talk.Await(lastOfFirst)
	talk.Await(last)
	talk.Say("whoami") // the exit code is that of the last line
	talk.Say("quit")
	said, err := talk.Finish()
	require.NoError(t, err, said)
	return said
}

// our runs it at our shell, and waits for as many events.
func our(t *testing.T, addr string, events int) string {
	s := typeAt(t, "-s", addr, "--compat")
	for _, line := range typedLines(addr) {
		s.say(line)
	}
	require.Eventually(t, func() bool { return len(eventsIn(s.out.String())) >= events }, time.Minute, 10*time.Millisecond)
	s.say("whoami")
	s.say("quit")
	require.Zero(t, <-s.ends, s.out.String())
	return s.out.String()
}

// What differs from run to run, from version to version and from zone to zone.
var zooUnsteady = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(?m)^(ctime|mtime) = (Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \w+ \d{4}$`), "$1 = TIME"},
	{regexp.MustCompile(`(?m)^([cmp]Zxid) = 0x[0-9a-f]+$`), "$1 = ZXID"},
	{regexp.MustCompile(`(?m)^(ephemeralOwner) = 0x[1-9a-f][0-9a-f]{0,3}$`), "$1 = SESSION"},
	{regexp.MustCompile(`(?m)^(WatchedEvent .*) zxid: -?\d+$`), "$1"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDR"},
}

func steadyZoo(said string) string {
	for _, u := range zooUnsteady {
		said = u.re.ReplaceAllString(said, u.with)
	}
	return said
}

// eventsIn are those of watches, which come when they come.
func eventsIn(said string) (events []string) {
	for line := range strings.Lines(steadyZoo(said)) {
		if strings.HasPrefix(line, "WatchedEvent") && !strings.Contains(line, "type:None") {
			events = append(events, line)
		}
	}
	slices.Sort(events)
	return events
}

// events stand between two characters of an answer that is being printed, if need be.
var printedEvents = regexp.MustCompile(`\nWATCHER::\n|\nWatchedEvent.*\n`)

// answersIn are what a shell has said to each line.
func answersIn(t *testing.T, said string) []string {
	answers := strings.Split(printedEvents.ReplaceAllString(steadyZoo(said), ""), marked+"\n")
	require.Len(t, answers, len(zooSession)+1)
	return answers
}

func TestTheShellSaysWhatZooKeepersSays(t *testing.T) {
	t.Parallel()
	wanted := theirs(t, clienttest.Start(t).Addrs()[0])
	got := our(t, clienttest.Start(t).Addrs()[0], len(eventsIn(wanted)))
	require.Equal(t, eventsIn(wanted), eventsIn(got))
	for _, state := range []string{"SyncConnected", "Closed"} {
		require.Contains(t, got, "\nWATCHER::\n\nWatchedEvent state:"+state+" type:None path:null zxid: -1\n")
	}
	theirAnswers, ourAnswers := answersIn(t, wanted), answersIn(t, got)
	var wrong strings.Builder
	for i, s := range zooSession {
		want, got := theirAnswers[i], ourAnswers[i]
		if i == 0 { // behind the greeting
			_, want, _ = strings.Cut(want, greeted)
			_, got, _ = strings.Cut(got, greeted)
		}
		switch {
		case s.differs == "" && want != got:
			fmt.Fprintf(&wrong, "%s\n--- theirs\n%s--- ours\n%s", s.line, want, got)
		case s.differs != "" && want == got:
			fmt.Fprintf(&wrong, "%s: the answers are the same now, although %s\n", s.line, s.differs)
		}
	}
	require.Empty(t, wrong.String())
}

func TestLinesAreCutAsZooKeepersShellCutsThem(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"":                        nil,
		"  ls   /a ":              {"ls", "/a"},
		`set /a "two words"`:      {"set", "/a", "two words"},
		`set /a 'it is "so"'`:     {"set", "/a", `it is "so"`},
		`set /a ""`:               {"set", "/a", ""},
		`set /a {"k":"v"}`:        {"set", "/a", `{"k":"v"}`},
		`set /a a\ b # c`:         {"set", "/a", `a\`, "b", "#", "c"},
		`create /x pre"mid dle"`:  {"create", "/x", `pre"mid`, `dle"`},
		`create /x "one"'two'`:    {"create", "/x", "one", "two"},
		"get\t/tab":               {"get", "/tab"},
		`create "/with blank" 'x`: {"create", "/with blank", "x"},
	} {
		require.Equal(t, want, splitZoo(line), line)
	}
}

func TestFlagsStandAnywhereAndTogether(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"get /a -s":              "get -s -- /a",
		"ls -sw /a":              "ls -s -w -- /a",
		"set -v5 /a x":           "set -v 5 -- /a x",
		"set -v -1 /a x":         "set -v -1 -- /a x",
		"set -sv5 /a x":          "set -s -v 5 -- /a x",
		"set /a -- -5":           "set -- /a -5",
		"set /a -":               "set -- /a -",
		"get /a -o json":         "get -o json -- /a",
		"get /a --output=json":   "get --output json -- /a",
		"reconfig -add 1=h:1:2":  "reconfig --add 1=h:1:2 --",
		"reconfig --remove=1,2":  "reconfig --remove 1,2 --",
		"reconfig -v5 -remove 1": "reconfig -v 5 --remove 1 --",
	} {
		words := splitZoo(line)
		read, err := findZooWord(words[0]).read(words[1:])
		require.NoError(t, err, line)
		require.Equal(t, want, strings.Join(read.ours(), " "))
	}
}

func TestEveryWordOfZooKeepersShellIsACommandOfOursWithItsFlags(t *testing.T) {
	t.Parallel()
	root := newShellRoot(newEnv(nil, nil, nil, noEnv))
	for _, word := range zooWords {
		cmd, _, err := root.Find([]string{word.name})
		require.NoError(t, err)
		require.Contains(t, append(cmd.Aliases, cmd.Name()), word.name)
		for _, letter := range strings.ReplaceAll(word.flags, ":", "") {
			if word.name == "ls" && letter == '?' {
				continue // is --help
			}
			require.NotNil(t, cmd.Flags().ShorthandLookup(string(letter)), "%s -%c", word.name, letter)
		}
		for _, name := range word.long {
			require.NotNil(t, cmd.Flags().Lookup(name), "%s -%s", word.name, name)
		}
	}
}

func TestTheOptionsOfZooKeepersShellAreTaken(t *testing.T) {
	t.Parallel()
	addr := clienttest.Start(t).Addrs()[0]
	for args, want := range map[string]string{
		"-server ADDR --compat ls /":                          "[zookeeper]\n",
		"--compat -server ADDR ls /":                          "[zookeeper]\n",
		"--compat -timeout 5000 -r -server ADDR ls /":         "[zookeeper]\n",
		"-o compat -waitforconnection -server ADDR/none ls /": "Node does not exist: /\n",
		"-server ADDR --compat count /zookeeper":              "2\n",
		"-server ADDR --compat":                               "Connecting to ADDR\nWelcome to ZooKeeper!\nJLine support is disabled\n\nWATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null zxid: -1\n[zookeeper]\n",
		"--compat -timeout 0 -server ADDR ls /":               "--session-timeout 0s: want at least 1ms\n",
		"--compat -timeout 0 -server ADDR count /":            "lycaon: --session-timeout 0s: want at least 1ms\n",
		"-server ADDR ls /":                                   "lycaon: unknown command \"ADDR\"; lycaon help lists them\n",
	} {
		out, errw, _ := inProcess(strings.NewReader("ls /\nprintwatches off\nquit\n"), strings.Fields(strings.ReplaceAll(args, "ADDR", addr))...)
		require.Equal(t, want, strings.ReplaceAll(out+errw, addr, "ADDR"), args)
	}
}

func TestAHexDumpIsThatOfNetty(t *testing.T) {
	t.Parallel()
	require.Equal(t, `         +-------------------------------------------------+
         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |
+--------+-------------------------------------------------+----------------+
|00000000| 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 |0123456789abcdef|
|00000010| 0a ff 7e                                        |..~             |
+--------+-------------------------------------------------+----------------+
`, zooHexDump([]byte("0123456789abcdef\n\xff~")))
}

func TestTheFormOfZooKeepersShellMayComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	addr := clienttest.Start(t).Addrs()[0]
	shot := func(args ...string) (out, errw string, code int) {
		var o, e bytes.Buffer
		code = run(args, nil, &o, &e, func(name string) string {
			return map[string]string{"LYCAON_COMPAT": "true", "LYCAON_SERVER": addr}[name]
		})
		return o.String(), e.String(), code
	}
	_, errw, code := shot("get", "/none")
	require.Equal(t, "Node does not exist: /none\n", errw)
	require.Equal(t, 1, code)
	_, errw, code = shot("create", "-e", "/mine", "@x")
	require.Equal(t, "Created /mine\n", errw)
	require.Zero(t, code)
	_, _, code = shot("frobnicate")
	require.Equal(t, 127, code)
	out, _, code := shot("-o", "json", "ls", "/")
	require.Equal(t, "[\"zookeeper\"]\n", out, "what is typed goes before what is set")
	require.Zero(t, code)
	for _, ours := range [][]string{{"count", "/"}, {"completion", "bash"}, {"__complete", "ge"}, {"snapshot", "--help"}} {
		out, errw, code := shot(ours...)
		require.Zero(t, code, errw)
		require.NotEmpty(t, out)
	}
}
