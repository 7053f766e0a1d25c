package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client/clienttest"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// inProcess runs the program without a process: arguments in, output, errors
// and exit code out.
func inProcess(in io.Reader, args ...string) (stdout, stderr string, code int) {
	var out, errw bytes.Buffer
	code = run(args, in, &out, &errw, noEnv)
	return out.String(), errw.String(), code
}

// What differs from run to run: times, session ids, and the zxids that count
// the sessions of the run.
var unsteady = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`(?m)^([cm]time) = \w{3} \w{3} \d\d \d\d:\d\d:\d\d \w+ \d{4}$`), "$1 = TIME"},
	{regexp.MustCompile(`"(ctimeMs|mtimeMs|clockMs|connectedMs|heardMs|readyMs|ms|bytes)":\d+`), `"$1":N`},
	{regexp.MustCompile(`\b\d\w*s ago  +`), "TIME ago  "},
	{regexp.MustCompile(`\b\d\w*s ago`), "TIME ago"},
	{regexp.MustCompile(`(?m)((?:ctimeMs|mtimeMs):? +)\d+$`), "${1}N"}, // as YAML and as a table
	{regexp.MustCompile(`127\.0\.0\.1:\d{4,}`), "ADDR"},
	{regexp.MustCompile(`in \d+(\.\d+)?(µs|ms|s)\b`), "in TIME"},
	{regexp.MustCompile(`-t\d{13}-`), "-tTIME-"}, // of a delayed item
	{regexp.MustCompile(`/tmp/[^ "]*/`), "TMP/"},
	{regexp.MustCompile(`\d+ bytes, zxid 0x\w+ of`), "N bytes, zxid ZXID of"},
	{regexp.MustCompile(`digest("?[: ]"?)[0-9a-f]{16}`), "digest${1}DIGEST"},
}

// What besides differs where servers tell of themselves.
var unsteadyServers = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\b[0-9a-f]{16}\b`), "DIGEST"},
	{regexp.MustCompile(`ADDR:\d+:`), "ADDR:PORT:"},
	{regexp.MustCompile(`version=[0-9a-f]+`), "version=HEX"},
	{regexp.MustCompile(`"(uptimeMs|zxid|term|commitIndex|appliedIndex|lag|contactMs|sessions|connections|dataBytes|logBytes)":\d+`), `"$1":N`},
	{regexp.MustCompile(`"version":"[0-9a-f]+"`), `"version":"ZXID"`}, // of the configuration
	{regexp.MustCompile(`(\S)  +`), "$1  "},                           // how wide a column is
	{regexp.MustCompile(`(?m)^(\d+  ADDR  \w+  [a-z ]+)(?:  \d+){5}  (\d+)`), "$1  TERM  APPLIED  LAG  SESSIONS  CONNS  $2"},
}

// TestCommandsAnswerAsWritten runs each script of testdata against a fresh
// server: a line that begins with $ is a command line, what follows is its
// output, its errors marked by "! ", and its exit code where it is not 0.
func TestCommandsAnswerAsWritten(t *testing.T) {
	replayAll(t, "testdata/*.script", func(t *testing.T) *clienttest.Cluster { return clienttest.Start(t) })
}

// The same with three servers, of which the first leads.
func TestCommandsOfAClusterAnswerAsWritten(t *testing.T) {
	replayAll(t, "testdata/cluster/*.script", func(t *testing.T) *clienttest.Cluster {
		cluster := clienttest.Start(t, clienttest.WithServers(3))
		if cluster.Leader() != 1 {
			_, errw, code := inProcess(nil, "-s", cluster.Addrs()[0], "--auth", "digest:super:test", "transfer-leader", "1")
			require.Zero(t, code, errw)
		}
		require.Eventually(t, func() bool {
			out, _, _ := inProcess(nil, "-s", cluster.Addrs()[0], "-o", "json", "status")
			return strings.Count(out, `"ready":true`) == 3 && strings.Count(out, `"leaderId":1`) == 3 &&
				strings.Count(out, `"role":"follower"`) == 2 // a founder that came late gets its vote a little later
		}, 20*time.Second, 10*time.Millisecond, "all serve under server 1")
		return cluster
	})
}

func replayAll(t *testing.T, scripts string, start func(t *testing.T) *clienttest.Cluster) {
	files, err := filepath.Glob(scripts)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".script"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			got := ""
			unlessStill(func() bool {
				got = replay(t, start(t), file, string(want))
				return *rewrite || got == string(want)
			})
			if *rewrite {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
				return
			}
			require.Equal(t, string(want), got)
		})
	}
}

// unlessStill does something that comes out right, and does it anew if the machine
// stood still meanwhile: a leader that is not let run for its lease is deposed.
func unlessStill(do func() (right bool)) {
	const look, still, tries = 10 * time.Millisecond, 100 * time.Millisecond, 5
	for range tries {
		stood, done := make(chan bool, 1), make(chan struct{})
		go func() {
			tick, ever := time.NewTicker(look), false
			defer tick.Stop()
			for last := time.Now(); ; {
				select {
				case <-done:
					stood <- ever || time.Since(last) > still
					return
				case <-tick.C:
					ever = ever || time.Since(last) > still
					last = time.Now()
				}
			}
		}()
		right := do()
		close(done)
		if !<-stood || right {
			return
		}
	}
}

// replay runs the commands of a script and returns it with what they said.
func replay(t *testing.T, cluster *clienttest.Cluster, file, script string) string {
	dir := t.TempDir()
	var b strings.Builder
	begun := false // what stands before the first command is a comment
	for line := range strings.Lines(script) {
		text, isCommand := strings.CutPrefix(line, "$ ")
		if !isCommand {
			if !begun {
				b.WriteString(line)
			}
			continue
		}
		begun = true
		b.WriteString(line)
		command, input, _ := strings.Cut(strings.TrimSpace(text), " << ")
		words, err := splitWords(strings.ReplaceAll(command, "$DIR", dir))
		require.NoError(t, err, line)
		args := append([]string{"-s", cluster.Addrs()[0]}, words...)
		out, errw, code := inProcess(strings.NewReader(strings.ReplaceAll(input, ";", "\n")), args...)
		out = steady(out)
		if strings.Contains(file, "cluster") {
			for _, u := range unsteadyServers {
				out = u.re.ReplaceAllString(out, u.with)
			}
		}
		b.WriteString(out)
		for e := range strings.Lines(steady(errw)) {
			b.WriteString("! " + e)
		}
		if code != 0 {
			fmt.Fprintf(&b, "exit %d\n", code)
		}
	}
	return b.String()
}

func steady(text string) string {
	for _, u := range unsteady {
		text = u.re.ReplaceAllString(text, u.with)
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\\\n"
	}
	return text
}
