package examples_test

import (
	"bufio"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

const testTime = 60 * time.Second

// rig has the programs and a cluster for them.
type rig struct {
	t       *testing.T
	ctx     context.Context
	dir     string
	cluster *clienttest.Cluster
}

func newRig(t *testing.T) *rig {
	ctx, cancel := context.WithTimeout(context.Background(), testTime)
	t.Cleanup(cancel)
	r := &rig{t: t, ctx: ctx, dir: t.TempDir(), cluster: clienttest.Start(t)}
	out, err := exec.CommandContext(ctx, "go", "build", "-o", r.dir, "./...").CombinedOutput()
	require.NoError(t, err, string(out))
	return r
}

// program is one that runs.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func (r *rig) start(t *testing.T, name string, args ...string) *program {
	args = append([]string{"-servers", strings.Join(r.cluster.Addrs(), ",")}, args...)
	p := &program{t: t, cmd: exec.CommandContext(r.ctx, filepath.Join(r.dir, name), args...)}
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.lines = bufio.NewScanner(out)
	require.NoError(t, p.cmd.Start())
	return p
}

// says returns the next line, which must begin like this.
func (p *program) says(want string) string {
	p.t.Helper()
	require.True(p.t, p.lines.Scan(), "it ended; wanted %q", want)
	require.True(p.t, strings.HasPrefix(p.lines.Text(), want), "%q does not begin with %q", p.lines.Text(), want)
	return p.lines.Text()
}

// stop ends the program as an operator does.
func (p *program) stop() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.ends()
}

func (p *program) ends() {
	p.t.Helper()
	for p.lines.Scan() {
	}
	require.NoError(p.t, p.cmd.Wait())
}

func TestExamplesDoWhatTheySay(t *testing.T) {
	r := newRig(t)
	t.Run("configreload keeps the last good one", r.configReload)
	t.Run("cron runs in one process and goes on in another", r.cron)
	t.Run("services find each other", r.services)
	t.Run("workqueue does all work once", r.workQueue)
	t.Run("ratelimit lets no more begin than it says", r.rateLimit)
}

func (r *rig) configReload(t *testing.T) {
	c := r.cluster.Client(t)
	p := r.start(t, "configreload", "-path", "/config/app")
	p.says("kept the last good one: watch /config/app: get /config/app: node does not exist")
	_, err := c.Create(r.ctx, "/config/app", []byte(`{"Workers":4}`), client.Parents())
	require.NoError(t, err)
	p.says("in force: {Workers:4}")
	_, err = c.Set(r.ctx, "/config/app", []byte(`{"Workers":0}`))
	require.NoError(t, err)
	p.says("kept the last good one: watch /config/app: invalid value: version 1: 0 workers")
	r.cluster.DropConnections()
	_, err = c.Set(r.ctx, "/config/app", []byte(`{"Workers":8}`))
	require.NoError(t, err)
	p.says("in force: {Workers:8}")
	p.stop()
}

func (r *rig) cron(t *testing.T) {
	a := r.start(t, "cron", "-name", "a", "-every", "20ms")
	a.says("run 1 by a")
	b := r.start(t, "cron", "-name", "b", "-every", "20ms")
	for range 3 {
		a.says("run ")
	}
	a.stop()
	b.says("run ")
	b.stop()
}

func (r *rig) services(t *testing.T) {
	a := r.start(t, "services", "-port", "1")
	for line := ""; line != "1 of web: 127.0.0.1:1"; { // the first may be of before it had registered
		line = a.says("")
	}
	b := r.start(t, "services", "-port", "2")
	a.says("2 of web: ")
	b.stop()
	a.says("1 of web: 127.0.0.1:1")
	a.stop()
}

func (r *rig) workQueue(t *testing.T) {
	r.start(t, "workqueue", "put", "x", "y").ends()
	p := r.start(t, "workqueue", "work")
	p.says("done: x")
	p.says("done: y")
	r.start(t, "workqueue", "put", "z").ends()
	p.says("done: z")
	p.stop()
	p = r.start(t, "workqueue", "work")
	r.start(t, "workqueue", "put", "end").ends()
	for line := ""; line != "done: end"; { // z, if the end came before its acknowledgement
		line = p.says("done: ")
		require.NotContains(t, []string{"done: x", "done: y"}, line)
	}
	p.stop()
}

func (r *rig) rateLimit(t *testing.T) {
	const interval = 200 * time.Millisecond
	began := time.Now()
	p := r.start(t, "ratelimit", "-limit", "2", "-interval", interval.String(), "-calls", "6")
	for range 6 {
		p.says("call ")
	}
	require.GreaterOrEqual(t, time.Since(began), 2*interval, "six calls, two in an interval")
	p.ends()
}
