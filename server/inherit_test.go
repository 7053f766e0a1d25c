package server

import (
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatADyingProcessHoldsIsWaitedFor(t *testing.T) {
	path := t.TempDir()
	dying, err := openDataDir(path, 1, origin{})
	require.NoError(t, err)
	held, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)

	var wg sync.WaitGroup
	wg.Go(func() {
		heir, err := openDataDir(path, 1, origin{})
		if err == nil {
			err = heir.close()
		}
		if err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		l, err := listen("client-addr", held.Addr().String(), listenTCP)
		if err == nil {
			err = l.Close()
		}
		if err != nil {
			t.Error(err)
		}
	})
	require.NoError(t, dying.close())
	require.NoError(t, held.Close())
	wg.Wait()
}
