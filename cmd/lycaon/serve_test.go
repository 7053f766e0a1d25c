package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/lycaon-io/lycaon/server"
)

// serveArgs are the arguments of a server on free ports.
func serveArgs(t *testing.T, dir string, more ...string) []string {
	t.Helper()
	return append([]string{"serve", "--id", "1", "--data-dir", dir, "--client-addr", freeAddr(t),
		"--peer-addr", "127.0.0.1:0", "--http-addr", "off", "--log-level", "error"}, more...)
}

func TestServeRefusesWithOneLineAndItsOwnExitCode(t *testing.T) {
	used := startServer(t, filepath.Join(t.TempDir(), "used"), "--log-level", "error")
	mustShot(t, used.addr, "create", "/a", "kept")
	stopped := filepath.Join(t.TempDir(), "stopped")
	ended := startServer(t, stopped)
	ended.stop()
	require.Regexp(t, `msg=stopping\n(.*\n)*.* msg=stopped\n$`, ended.logs.String())
	plain := filepath.Join(t.TempDir(), "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	cert := filepath.Join(t.TempDir(), "cert")
	require.NoError(t, os.WriteFile(cert, []byte("no certificate"), 0o600))
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()

	fresh := filepath.Join(t.TempDir(), "fresh")
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown flag":          {[]string{"serve", "--nonsense"}, exitUsage, "unknown flag: --nonsense"},
		"argument":              {[]string{"serve", "here"}, exitUsage, "usage: lycaon serve"},
		"bad duration":          {serveArgs(t, fresh, "--tick", "soon"), exitUsage, "--tick"},
		"absent config":         {serveArgs(t, fresh, "--config", "/nonexistent.yaml"), exitUsage, "--config"},
		"id 0":                  {serveArgs(t, fresh, "--id", "0"), exitUsage, "id"},
		"timeouts crossed":      {serveArgs(t, fresh, "--min-session-timeout", "2m"), exitUsage, "session-timeout"},
		"bad super digest":      {serveArgs(t, fresh, "--super-digest", "root:x"), exitUsage, "super-digest"},
		"bad address":           {serveArgs(t, fresh, "--client-addr", "nowhere"), exitUsage, "client-addr"},
		"one address for two":   {serveArgs(t, fresh, "--initial-cluster", "1=127.0.0.1:1,2=127.0.0.1:1"), exitUsage, `initial-cluster "1=127.0.0.1:1,2=127.0.0.1:1": servers 1 and 2`},
		"not in the list":       {serveArgs(t, fresh, "--initial-cluster", "2=127.0.0.1:1,3=127.0.0.1:2"), exitUsage, "does not name this server, id 1"},
		"peers in clear":        {serveArgs(t, fresh, "--peer-addr", ":0", "--advertise-peer-addr", "h:2888"), exitUsage, "insecure-peers"},
		"peer port in use":      {serveArgs(t, fresh, "--peer-addr", busy.Addr().String()), exitPortInUse, "peer-addr " + busy.Addr().String()},
		"bad log level":         {serveArgs(t, fresh, "--log-level", "loud"), exitUsage, "log-level"},
		"certificate alone":     {serveArgs(t, fresh, "--client-cert", cert), exitUsage, "client-key"},
		"no certificate":        {serveArgs(t, fresh, "--client-cert", cert, "--client-key", cert), exitUsage, cert},
		"client port in use":    {serveArgs(t, fresh, "--client-addr", busy.Addr().String()), exitPortInUse, busy.Addr().String()},
		"http port in use":      {serveArgs(t, fresh, "--http-addr", busy.Addr().String()), exitPortInUse, busy.Addr().String()},
		"directory is a file":   {serveArgs(t, plain), exitUnwritable, plain},
		"locked by another":     {serveArgs(t, used.dir), exitLocked, used.dir},
		"directory of other id": {serveArgs(t, stopped, "--id", "2"), exitForeignData, stopped},
		"of another cluster":    {serveArgs(t, stopped, "--initial-cluster", "1=127.0.0.1:1,2=127.0.0.1:2"), exitForeignData, stopped},
		"asked to join another": {serveArgs(t, stopped, "--join", "127.0.0.1:1"), exitForeignData, "join wants a new directory"},
	} {
		t.Run(name, func(t *testing.T) {
			var errw bytes.Buffer
			cmd := lycaon(c.args...)
			cmd.Stderr = &errw
			cmd.Run()
			require.Equal(t, c.code, cmd.ProcessState.ExitCode(), errw.String())
			require.Contains(t, errw.String(), c.says)
			require.Equal(t, 1, strings.Count(errw.String(), "\n"), errw.String())
		})
	}
	require.NoDirExists(t, fresh, "a refused start left something behind")
	require.Equal(t, "kept\n", mustShot(t, used.addr, "get", "/a"))
	used.stop()
	used.start()
	require.Equal(t, "kept\n", mustShot(t, used.addr, "get", "/a"))
}

func TestServeTakesItsSettingsFromFileAndEnvironment(t *testing.T) {
	dir, addr := t.TempDir(), freeAddr(t)
	file := filepath.Join(dir, "lycaon.yaml")
	require.NoError(t, os.WriteFile(file, []byte("client-addr: "+addr+"\nhttp-addr: \"off\"\npeer-addr: 127.0.0.1:0\nid: 7\nlog-level: error\n"), 0o600))
	s := &serverProcess{t: t, addr: addr, dir: filepath.Join(dir, "data")}
	s.cmd = lycaon("serve", "--config", file)
	s.cmd.Env = append(s.cmd.Env, "LYCAON_DATA_DIR="+s.dir)
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			s.kill()
		}
	})
	var greeting [3]string
	buf := make([]byte, 4096)
	var text string
	for strings.Count(text, "\n") < len(greeting) {
		n, err := out.Read(buf)
		text += string(buf[:n])
		require.NoError(t, err, text)
	}
	require.Equal(t, 3, strings.Count(text, "\n"))
	require.Contains(t, text, "server 7")
	require.Contains(t, text, addr)
	require.Contains(t, text, "try: "+os.Args[0]+" -s "+addr+" create /a hello", "to be typed as this program was")
	require.Contains(t, mustShot(t, addr, "-o", "json", "status"), `"id":7`)
	s.stop()
}

func TestAStopWhileStartingIsClean(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := serveFlags{logLevel: "error", logFormat: "text", server: server.DefaultConfig()}
	s.server.DataDir, s.server.ClientAddr, s.server.PeerAddr, s.server.HTTPAddr = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "127.0.0.1:0", "off"
	for range 5 { // the start may be over first
		require.NoError(t, serve(ctx, newEnv(nil, io.Discard, io.Discard, noEnv), &s))
	}
}

// A log that is long is a start that is long. A pipe in the place of a file of its is
// one without end.
func TestASignalEndsAServerThatReadsItsLog(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "data"))
	mustShot(t, s.addr, "create", "/a", "kept")
	s.stop()
	guard := filepath.Join(s.dir, "log", "guard")
	require.NoError(t, os.Rename(guard, guard+".away"))
	require.NoError(t, unix.Mkfifo(guard, 0o600))
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if sig != syscall.SIGHUP || !signal.Ignored(sig) { // as under nohup, and then by the server too
			endWhileReading(t, s, guard, sig)
		}
	}
	require.NoError(t, os.Rename(guard+".away", guard))
	s.start()
	require.Equal(t, "kept\n", mustShot(t, s.addr, "get", "/a"))
	s.stop()
}

// endWhileReading ends a server, with a signal, that reads a pipe.
func endWhileReading(t *testing.T, s *serverProcess, pipe string, sig syscall.Signal) {
	t.Helper()
	cmd := lycaon("serve", "--id", "1", "--data-dir", s.dir, "--client-addr", s.addr, "--peer-addr", "127.0.0.1:0", "--http-addr", "off")
	var logs lockedBuffer
	cmd.Stderr = &logs
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	opened := make(chan *os.File, 1)
	require.Eventually(t, func() bool {
		w, err := os.OpenFile(pipe, os.O_WRONLY|unix.O_NONBLOCK, 0) // ENXIO until it is open for reading
		if err != nil {
			return false
		}
		opened <- w
		return true
	}, waitLong, time.Millisecond, "it never reads its log")
	w := <-opened
	defer w.Close()

	require.NoError(t, cmd.Process.Signal(sig))
	select {
	case err := <-ended:
		require.NoError(t, err, "%v: %s", sig, logs.String())
	case <-time.After(waitLong):
		require.Fail(t, "it goes on", "%v: %s", sig, logs.String())
	}
	require.Contains(t, logs.String(), `msg="stopped while starting"`, sig)
}
