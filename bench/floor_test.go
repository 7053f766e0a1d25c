package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

func TestTheFloorAnswersWhatItIsAskedFor(t *testing.T) {
	addr, err := freeAddr()
	require.NoError(t, err)
	dir := t.TempDir()
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveFloor(ctx, addr, dir) }()
	require.Eventually(t, func() bool { return listens(addr) }, 10*time.Second, time.Millisecond)
	open := func() nativeActor {
		a, err := dialNative(addr)
		require.NoError(t, err)
		t.Cleanup(func() { a.(nativeActor).conn.Close() })
		return a.(nativeActor)
	}
	writer, watcher := open(), open()
	require.NoError(t, writer.create("/many", nil))
	for i := range 3 {
		require.NoError(t, writer.create(child(i), []byte("data of it")))
	}
	require.NoError(t, writer.create(child(0), nil), "again")
	require.NoError(t, watcher.watch(child(1)))
	require.NoError(t, writer.change(child(1)))
	require.NoError(t, watcher.event())

	answer := func(r *protocol.Request) string {
		writer.request(r)
		require.NoError(t, writer.flush())
		frame, err := protocol.ReadFrame(writer.in, nil, protocol.DefaultLimits().MaxFrame)
		require.NoError(t, err)
		return string(frame)
	}
	require.Contains(t, answer(&protocol.Request{Op: protocol.OpGet, Read: protocol.Read{Op: protocol.OpGet, Path: child(1)}}), "changed")
	list := answer(&protocol.Request{Op: protocol.OpChildren, Read: protocol.Read{Op: protocol.OpChildren, Path: "/many"}})
	for i := range 3 {
		require.Equal(t, 1, strings.Count(list, fmt.Sprintf("/child-%06d", i)))
	}
	end() // with clients still there
	require.NoError(t, <-ended)
}
