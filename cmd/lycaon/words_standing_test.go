package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

// typist is a shell whose lines a test types one by one.
type typist struct {
	t    *testing.T
	in   *io.PipeWriter
	out  lockedBuffer
	ends chan int
}

func typeAt(t *testing.T, args ...string) *typist {
	in, w := io.Pipe()
	s := &typist{t: t, in: w, ends: make(chan int, 1)}
	go func() {
		s.ends <- run(append(args, "shell"), in, &s.out, &s.out, noEnv)
		in.Close()
	}()
	t.Cleanup(func() { w.Close() })
	return s
}

func (s *typist) say(line string) {
	s.t.Helper()
	_, err := io.WriteString(s.in, line+"\n")
	require.NoError(s.t, err)
}

// hears waits for a line, and fails after a bound.
func (s *typist) hears(line string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		return slices.Contains(strings.Split(s.out.String(), "\n"), line)
	}, 20*time.Second, time.Millisecond, line)
}

func (s *typist) end() string {
	s.t.Helper()
	s.in.Close()
	require.Zero(s.t, <-s.ends, s.out.String())
	return s.out.String()
}

func TestTheShellTellsEachEventOnceWhicheverWatchesItCameTo(t *testing.T) {
	t.Parallel()
	addr := clienttest.Start(t).Addrs()[0]
	s := typeAt(t, "-s", addr)
	for _, line := range []string{"create /a 1", "get -w /a", "get -w /a", "stat -w /a", "addWatch /a", "addWatch -m PERSISTENT /a", "set /a 2"} {
		s.say(line)
	}
	s.hears("WATCH changed /a zxid 0x3")
	s.say("create /a/b")
	s.hears("WATCH created /a/b zxid 0x4")
	s.hears("WATCH children changed /a zxid 0x4")
	s.say("removewatches /a -r")
	s.hears("removed the recursive watch of /a")
	s.say("delete /a/b")
	s.hears("WATCH children changed /a zxid 0x5")
	said := s.end()
	require.Equal(t, 1, strings.Count(said, "WATCH changed /a zxid 0x3"), said)
	require.NotContains(t, said, "/a/b zxid 0x5", "the watch that saw it is gone")
	require.Equal(t, 4, strings.Count(said, "WATCH "), said)
}

func TestEventsThatComeWhileWatchesAreMutedAreNotTold(t *testing.T) {
	var w watches
	event := client.Event{Type: client.EventChanged, Path: "/a", Zxid: 3}
	w.mute(true)
	require.False(t, w.tells(event))
	w.mute(false)
	require.True(t, w.tells(event))
	require.False(t, w.tells(event), "told already")
}

func TestTheWatchesOfAShellEndWithItsSession(t *testing.T) {
	t.Parallel()
	addr := clienttest.Start(t).Addrs()[0]
	s := typeAt(t, "-s", addr)
	s.say("addWatch /a")
	s.say("connect")
	s.say("create /a")
	s.say("get -w /a")
	s.say("delete /a")
	s.hears("WATCH deleted /a zxid 0x5")
	require.NotContains(t, s.end(), "created /a zxid")
}

func TestAScriptIsTakenLineByLine(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	s := typeAt(t, "-s", cluster.Addrs()[0])
	s.say("create /a")
	s.hears("Created /a")
	_, err := openClient(t, cluster.Addrs()[0]).Set(context.Background(), "/a", []byte("by another"))
	require.NoError(t, err)
	s.say("sync")
	s.say("get /a")
	s.hears("by another")
	s.say("quit")
	require.Zero(t, <-s.ends)
}
