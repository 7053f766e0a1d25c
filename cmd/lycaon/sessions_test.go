package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

const asSuper = "digest:super:test" // of clienttest

func TestTheClientOfAKilledSessionHearsWhy(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	addr, c := cluster.Addrs()[0], cluster.Client(t)
	_, err := c.Create(t.Context(), "/mine", nil, client.Ephemeral())
	require.NoError(t, err)
	id := c.Session().ID().String()

	_, errw, code := inProcess(nil, "-s", addr, "--auth", asSuper, "kill-session", id)
	require.Equal(t, exitUsage, code, "nobody can be asked")
	require.Regexp(t, `kill session `+id+` with 1 ephemeral nodes, client 127\.0\.0\.1:\d+ at server 1\? say --yes`, errw)
	_, _, code = inProcess(nil, "-s", addr, "kill-session", "-y", id)
	require.Equal(t, exitAuth, code)
	require.NoError(t, c.Session().Context().Err())

	out, errw, code := inProcess(nil, "-s", addr, "--auth", asSuper, "kill-session", "-y", "--reason", "host is gone", id)
	require.Zero(t, code, errw)
	require.Equal(t, "session "+id+": ended, killed by an administrator: host is gone\n", out)
	<-c.Session().Context().Done()
	cause := context.Cause(c.Session().Context())
	require.ErrorIs(t, cause, client.ErrSessionExpired)
	require.ErrorContains(t, cause, "killed by an administrator: host is gone")
	out, _, code = inProcess(nil, "-s", addr, "why", id)
	require.Zero(t, code)
	require.Regexp(t, "^session "+id+": ended at zxid 0x[0-9a-f]+, killed by an administrator: host is gone\n$", out)
	_, _, code = inProcess(nil, "-s", addr, "owner", "/mine")
	require.Equal(t, exitNotFound, code)
}

func TestALockOfAKilledSessionSaysWhoTookIt(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	addr := cluster.Addrs()[0]
	r := beginSteady(t, addr, "lock", "/l", "--", "sh", "-c", "echo node $LYCAON_LOCK_NODE; exec sleep 60")
	st, err := cluster.Client(t).Exists(t.Context(), r.says("node "))
	require.NoError(t, err)
	_, errw, code := inProcess(nil, "-s", addr, "--auth", asSuper, "kill-session", "-y", fmt.Sprint(st.Owner))
	require.Zero(t, code, errw)
	require.Equal(t, exitSession, r.exits())
	require.Contains(t, r.errw.String(), "lycaon: lock /l: the grant is lost: session expired: killed by an administrator\n")
}

func TestKillSessionAsksAtThePrompt(t *testing.T) {
	cluster := clienttest.Start(t)
	victim := cluster.Client(t)
	term := startTerminal(t, lycaon("-s", cluster.Addrs()[0], "--auth", asSuper, "shell"))
	term.shows("0] ")
	term.types("kill-session " + victim.Session().ID().String() + keyEnter)
	term.shows("with 0 ephemeral nodes, client 127.0.0.1:")
	term.shows("[y/N] ")
	term.types("n" + keyEnter)
	term.shows("not confirmed")
	term.shows("1] ")
	require.NoError(t, victim.Session().Context().Err())
	term.types("kill-session " + victim.Session().ID().String() + keyEnter)
	term.shows("[y/N] ")
	term.types("y" + keyEnter)
	term.shows("ended, killed by an administrator")
	<-victim.Session().Context().Done()
	term.shows("2] ") // a Ctrl-D before it would be read as a NUL
	term.types(keyCtrlD)
	require.Zero(t, term.exits())
}

func TestSessionsAreListedInPages(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	addr := cluster.Addrs()[0]
	var ids []string
	for range 3 {
		ids = append(ids, fmt.Sprint(uint64(cluster.Client(t).Session().ID())))
	}
	list := func(args ...string) (listed []string, errw string) {
		out, errw, code := inProcess(nil, append([]string{"-s", addr, "--auth", asSuper, "-o", "json", "sessions"}, args...)...)
		require.Zero(t, code, errw)
		for line := range strings.Lines(out) {
			id, _, _ := strings.Cut(strings.TrimPrefix(line, `{"id":`), ",")
			listed = append(listed, id)
		}
		return listed, errw
	}
	all, errw := list()
	require.Equal(t, ids, all)
	require.Empty(t, errw)
	first, errw := list("-n", "2")
	require.Equal(t, ids[:2], first)
	require.Regexp(t, "there are more: sessions --after 0x[0-9a-f]+\n$", errw)
	rest, errw := list("-n", "1", "--after", ids[1])
	require.Equal(t, ids[2:], rest)
	require.Empty(t, errw)
}
