package rig

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { Main(m) }

// theLeaderDiesAndComesBack is what tests ask of an ensemble.
func theLeaderDiesAndComesBack(t *testing.T, e *Ensemble) {
	first := e.Leader()
	require.Equal(t, first, e.At(e.Addrs[first]))
	e.Kill9(first)
	if len(e.Addrs) > 1 {
		require.NotEqual(t, first, e.Leader(), "a dead server does not lead")
	}
	e.Restart(first)
	e.Pause(first)
	require.False(t, e.serving(first), "a paused server does not answer")
	e.Resume(first)
	e.Await(first)
	e.Stop(first)
	require.True(t, e.servers[first].Ended())
	e.Restart(first)
	e.Leader()
}

func TestZooKeeper(t *testing.T) {
	for name, n := range map[string]int{"one server": 1, "three servers": 3} {
		t.Run(name, func(t *testing.T) { theLeaderDiesAndComesBack(t, ZooKeeper(t, n, Options{})) })
	}
}

func TestLycaon(t *testing.T) {
	for name, n := range map[string]int{"one server": 1, "three servers": 3} {
		t.Run(name, func(t *testing.T) { theLeaderDiesAndComesBack(t, Lycaon(t, n, Options{})) })
	}
}

func TestRunKillsWhatOutlivesItsContextWithItsChildren(t *testing.T) {
	cause := errors.New("enough")
	ctx, end := context.WithCancelCause(t.Context())
	defer end(nil)
	said := filepath.Join(t.TempDir(), "said")
	go func() {
		Poll(time.Minute, func() bool { _, err := os.Stat(said); return err == nil })
		end(cause)
	}()
	out, err := Run(t, ctx, "sh", "-c", `echo said; sleep 300 & : > "$0"; wait`, said)
	require.ErrorIs(t, err, cause)
	require.Equal(t, "said\n", out)
}

func TestJavaCompilesAProgramThatUsesTheClient(t *testing.T) {
	dir := t.TempDir()
	const source = `public class Hello {
	public static void main(String[] a) { System.out.println(org.apache.zookeeper.CreateMode.CONTAINER + " " + a[0]); }
}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Hello.java"), []byte(source), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := Run(t, ctx, JavaCommand(Java(t, dir), "Hello", "there")...)
	require.NoError(t, err, out)
	require.Equal(t, "CONTAINER there\n", out)
}

func TestAProcessRunsAsItsUserInEachOfItsLives(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root starts processes of others")
	}
	p := &Process{Command: []string{"sh", "-c", "echo $(id -un) $WHY; exec sleep 300"}, Log: filepath.Join(t.TempDir(), "log"), Env: []string{"WHY=asked"}, User: "nobody"}
	t.Cleanup(p.Kill)
	for _, want := range []string{"nobody asked", "nobody asked\nnobody asked"} {
		require.NoError(t, p.Start())
		require.Error(t, p.Start(), "it is running")
		require.True(t, Poll(10*time.Second, func() bool { return p.Tail(5) == want }), "it said %q", p.Tail(5))
		require.NoError(t, p.Stop())
		require.True(t, p.Ended())
	}
	p.User = "no such user"
	require.Error(t, p.Start())
}

func TestATalkEndsWithItsInput(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	talk := Begin(t, ctx, "sh", "-c", "echo READY here; cat >&2; echo over; exit 3")
	rest, said := talk.Await("READY ")
	require.True(t, said)
	require.Equal(t, "here", rest)
	talk.Say("heard")
	out, err := talk.Finish()
	require.ErrorContains(t, err, "exit status 3")
	require.Equal(t, "READY here\nheard\nover\n", out)
	_, said = talk.Await("never")
	require.False(t, said)
}
