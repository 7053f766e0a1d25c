package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/server/compat/rig"
)

// asLycaon makes the test binary be the program, so that processes under test
// are built, and watched by the race detector, as the tests are.
const asLycaon = "LYCAON_TEST_AS_PROGRAM"

// waitLong is how long is waited for what takes no time on a machine at rest.
const waitLong = 20 * time.Second

func TestMain(m *testing.M) {
	completeWithin, connectWithin, closeWithin, leaderWithin = time.Minute, waitLong/2, waitLong, waitLong
	if os.Getenv(asLycaon) != "" {
		main()
	}
	leaveWithin = waitLong
	os.Exit(m.Run())
}

// lycaon prepares a run of the program.
func lycaon(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asLycaon+"=1")
	return cmd
}

// oneShot runs a command to its end.
func oneShot(t *testing.T, addr string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errw strings.Builder
	cmd := lycaon(append([]string{"-s", addr}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errw
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil {
		require.ErrorAs(t, err, &exit, "%v", err)
	}
	return out.String(), errw.String(), cmd.ProcessState.ExitCode()
}

// mustShot is oneShot for commands that are to succeed.
func mustShot(t *testing.T, addr string, args ...string) string {
	t.Helper()
	out, errw, code := oneShot(t, addr, args...)
	require.Zero(t, code, "lycaon %s: %s", strings.Join(args, " "), errw)
	return out
}

// serverProcess is a server that tests kill and start again on one address.
type serverProcess struct {
	t     *testing.T
	addr  string
	dir   string
	extra []string
	cmd   *exec.Cmd
	logs  lockedBuffer

	program func(args ...string) *exec.Cmd // nil: lycaon
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// freeAddr is of none of the ports that the kernel gives away: a server may listen on
// it late, and again after it was down.
func freeAddr(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", rig.Ports(t, 1)[0])
}

func startServer(t *testing.T, dir string, extra ...string) *serverProcess {
	t.Helper()
	s := &serverProcess{t: t, addr: freeAddr(t), dir: dir, extra: extra}
	s.start()
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			s.kill()
		}
		if t.Failed() {
			t.Log(s.logs.String())
		}
	})
	return s
}

// start returns when the server has said that it serves.
func (s *serverProcess) start() {
	s.t.Helper()
	args := append([]string{"serve", "--id", "1", "--data-dir", s.dir, "--client-addr", s.addr,
		"--peer-addr", "127.0.0.1:0", "--http-addr", "off"}, s.extra...)
	program := s.program
	if program == nil {
		program = lycaon
	}
	s.cmd = program(args...)
	s.cmd.Stderr = &s.logs
	out, err := s.cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, s.cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), s.addr) {
			go io.Copy(io.Discard, out)
			return
		}
	}
	s.cmd.Wait()
	s.t.Fatalf("the server did not start: %s", s.logs.String())
}

func (s *serverProcess) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// stop ends the server as an operator would, and wants exit code 0 in time.
func (s *serverProcess) stop() {
	s.t.Helper()
	begin := time.Now()
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(s.t, s.cmd.Wait(), s.logs.String())
	require.Less(s.t, time.Since(begin), waitLong)
}

func openClient(t *testing.T, addr string, opts ...client.Option) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := client.Open(ctx, []string{addr}, opts...)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		c.Close(ctx)
	})
	return c
}

// sameFiles compares two directories byte for byte.
func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	require.Equal(t, allFiles(t, a), allFiles(t, b))
}

func allFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		files[rel] = d.Type().String()
		if d.Type().IsRegular() {
			data, err := os.ReadFile(p)
			files[rel] = fmt.Sprintf("%q", data)
			return err
		}
		return nil
	}))
	return files
}
