package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// held is a server whose log is not open before it is told with what outcome.
type held struct {
	web     net.Addr
	outcome chan error
	opened  chan error // what Open returned
	server  *Server
	log     bytes.Buffer // to be read when the server has ended
}

func holdStart(t *testing.T) *held {
	t.Helper()
	h := &held{outcome: make(chan error, 1), opened: make(chan error, 1)}
	cfg, disk := local(t), newMemDisk()
	cfg.HTTPAddr = "127.0.0.1:0"
	cfg.Logger = slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	listening, opening := make(chan net.Addr, 1), make(chan struct{})
	cfg.hooks.listen = func(key, addr string) (net.Listener, error) {
		l, err := listenTCP(key, addr)
		if err == nil && key == "http-addr" {
			listening <- l.Addr()
		}
		return l, err
	}
	cfg.hooks.openLog = func() (logStore, snapshotStore, error) {
		close(opening)
		if err := <-h.outcome; err != nil {
			return nil, nil, err
		}
		return disk.open()
	}
	go func() {
		s, err := Open(t.Context(), cfg)
		h.server = s
		h.opened <- err
	}()
	h.web = <-listening
	<-opening
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return h
}

func (h *held) page(t *testing.T, path string) (code int, body string) {
	t.Helper()
	r, err := http.Get("http://" + h.web.String() + path)
	require.NoError(t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(text)
}

func TestProbesAreAnsweredWhileTheLogIsRead(t *testing.T) {
	h := holdStart(t)
	code, _ := h.page(t, "/livez")
	require.Equal(t, http.StatusOK, code)
	code, body := h.page(t, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "not ready: starting: reading the log and the newest snapshot, for ")
	code, body = h.page(t, "/metrics")
	require.Equal(t, http.StatusOK, code)
	for _, want := range []string{"\nlycaon_starting 1\n", "\nlycaon_ready 0\n", "\nprocess_resident_memory_bytes "} {
		require.Contains(t, body, want)
	}
	require.NotContains(t, body, "lycaon_znodes", "nobody knows yet")

	h.outcome <- nil
	require.NoError(t, <-h.opened)
	defer func() { require.NoError(t, h.server.Close(context.Background())) }()
	code, _ = h.page(t, "/readyz")
	require.Equal(t, http.StatusOK, code)
	_, body = h.page(t, "/metrics")
	for _, want := range []string{"\nlycaon_starting 0\n", "\nlycaon_ready 1\n", "\nlycaon_znodes "} {
		require.Contains(t, body, want)
	}
}

// net/http would wait five seconds for a connection that never asks: a failed start is to end at once, and a stop in time.
func TestTheEndDoesNotWaitForAConnectionOfHTTPThatNeverAsks(t *testing.T) {
	damage := errors.New("the log is damaged")
	for name, outcome := range map[string]error{"of a start that fails": damage, "of a server": nil} {
		t.Run(name, func(t *testing.T) {
			h := holdStart(t)
			silent, err := net.Dial("tcp", h.web.String())
			require.NoError(t, err)
			defer silent.Close()
			code, _ := h.page(t, "/livez") // comes after, so that the silent one is accepted
			require.Equal(t, http.StatusOK, code)
			h.outcome <- outcome
			require.ErrorIs(t, <-h.opened, outcome)
			if h.server != nil {
				require.NoError(t, h.server.Close(context.Background()))
			}
			require.Contains(t, h.log.String(), "connections of HTTP were cut off")
			require.Equal(t, h.server != nil, strings.Contains(h.log.String(), "msg=stopped"), "what never was up does not stop")
		})
	}
}
