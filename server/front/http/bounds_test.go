package http

import (
	"bufio"
	"context"
	"io"
	"net"
	stdhttp "net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProfilesAreServedOnLoopbackAlone(t *testing.T) {
	for _, c := range []struct {
		name, host string
		pprof      bool
		want       int
	}{
		{"on loopback when asked for", "127.0.0.1", true, 200},
		{"not unless asked for", "127.0.0.1", false, 404},
		{"not on a listener that others reach, even over loopback", "0.0.0.0", true, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, addr := serve(t, c.host, Config{Pprof: c.pprof})
			require.Equal(t, c.want, get(t, addr, "/debug/pprof/goroutine").status)
			require.Equal(t, c.want == 200, strings.Contains(get(t, addr, "/").body, "pprof"))
		})
	}
}

func TestTheCommandLineIsNotShown(t *testing.T) {
	_, addr := serve(t, "127.0.0.1", Config{Pprof: true})
	for _, path := range []string{"/debug/pprof/cmdline", "/debug/pprof/", "/debug/pprof/symbol"} {
		require.Equal(t, 404, get(t, addr, path).status, path)
	}
}

func TestAProfileHasABoundAndItsOwnWriteDeadline(t *testing.T) {
	const most, seconds = 300 * time.Millisecond, "0.6" // longer than a write may take
	f := New(Config{Pprof: true})
	f.server.WriteTimeout = most
	url := "http://" + run(t, "127.0.0.1", f) + "/debug/pprof/trace?seconds=" + seconds
	for began, body := time.Now(), []byte(nil); len(body) == 0; {
		asked := time.Now()
		resp, err := stdhttp.Get(url)
		if err == nil {
			require.Equal(t, 200, resp.StatusCode)
			body, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		// A machine that stands still may use the longer deadline up as well.
		late := time.Since(asked) > 3*most && time.Since(began) < patience
		require.True(t, err == nil || late, "%v", err)
	}
	stdhttp.DefaultClient.CloseIdleConnections()
	require.Positive(t, f.Stats().Profiles)

	patient, addr := serve(t, "127.0.0.1", Config{Pprof: true})
	for _, seconds := range []string{"301", "-1", "NaN", "+Inf", "1e9", "x"} {
		got := get(t, addr, "/debug/pprof/profile?seconds="+strings.ReplaceAll(seconds, "+", "%2B"))
		require.Equal(t, 400, got.status, seconds)
		require.Contains(t, got.body, "want 0 to 300")
	}
	require.Zero(t, patient.Stats().Profiles)
}

func TestAPageOfAnotherSiteCannotStartAProfile(t *testing.T) {
	f, addr := serve(t, "127.0.0.1", Config{Pprof: true})
	for site, want := range map[string]int{"cross-site": 403, "same-origin": 200, "none": 200} {
		got := ask(t, addr, "GET", "/debug/pprof/goroutine", func(r *stdhttp.Request) { r.Header.Set("Sec-Fetch-Site", site) })
		require.Equal(t, want, got.status, site)
	}
	require.Equal(t, uint64(1), f.Stats().CrossSite)
}

func TestCloseEndsAProfileEarly(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := New(Config{Pprof: true})
	served := make(chan error, 1)
	go func() { served <- f.Serve(ln) }()
	answered := make(chan int, 1)
	go func() {
		resp, err := stdhttp.Get("http://" + ln.Addr().String() + "/debug/pprof/trace?seconds=200")
		if err != nil {
			answered <- 0
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	require.Eventually(t, func() bool { return f.Stats().Profiles == 1 }, patience, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, f.Close(ctx))
	require.ErrorIs(t, <-served, ErrClosed)
	require.Equal(t, 200, <-answered)
	stdhttp.DefaultClient.CloseIdleConnections()
}

func TestCloseCutsConnectionsWhenItsTimeIsUp(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	entered, release := make(chan struct{}), make(chan struct{})
	f := New(Config{Ready: func() error { close(entered); <-release; return nil }})
	served := make(chan error, 1)
	go func() { served <- f.Serve(ln) }()
	nc, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer nc.Close()
	_, err = io.WriteString(nc, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, f.Close(ctx), context.Canceled)
	require.ErrorIs(t, <-served, ErrClosed)
	_, err = nc.Read(make([]byte, 1))
	require.Error(t, err, "the socket is closed while its request still runs")
	close(release)
}

func TestConnectionsBeyondTheBoundAreClosedAndPlacesComeBack(t *testing.T) {
	f := New(Config{})
	f.server.ReadHeaderTimeout = time.Hour // they say nothing, and are to stay
	addr := run(t, "127.0.0.1", f)
	held := make([]net.Conn, 0, maxConnections)
	for range maxConnections {
		nc, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		held = append(held, nc)
	}
	count := func(want int64) func() bool { return func() bool { return f.Stats().Connections == want } }
	require.Eventually(t, count(maxConnections), patience, time.Millisecond)

	beyond, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer beyond.Close()
	_, err = beyond.Read(make([]byte, 1))
	require.Error(t, err)
	require.Equal(t, uint64(1), f.Stats().ConnectionsRefused)
	require.Equal(t, f.Stats().MaxConnections, f.Stats().Connections)

	for _, nc := range held {
		nc.Close()
	}
	require.Eventually(t, count(0), patience, time.Millisecond)
	require.Equal(t, 200, get(t, addr, "/livez").status)
}

func TestAHeaderBeyondTheBoundIsRefused(t *testing.T) {
	_, addr := serve(t, "127.0.0.1", Config{})
	nc, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer nc.Close()
	const slack = 4096 // of the library, for its buffer
	_, err = io.WriteString(nc, "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: "+strings.Repeat("x", maxHeaderBytes+slack))
	require.NoError(t, err)
	resp, err := stdhttp.ReadResponse(bufio.NewReader(nc), nil)
	require.NoError(t, err)
	require.Equal(t, 431, resp.StatusCode)
}

// pipeListener hands out ends of in-memory pipes, which a bubble's clock rules.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.closed); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func TestAConnectionMayNotDawdle(t *testing.T) {
	for _, c := range []struct {
		name, sent string
		replies    bool
		after      time.Duration
	}{
		{"before its header", "", false, headerTimeout},
		{"within its header", "GET /livez HT", false, headerTimeout},
		{"after an answer", "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", true, idleTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ln := &pipeListener{make(chan net.Conn), make(chan struct{})}
				f := New(Config{})
				served := make(chan error, 1)
				go func() { served <- f.Serve(ln) }()
				ours, theirs := net.Pipe()
				ln.conns <- theirs
				_, err := io.WriteString(ours, c.sent)
				require.NoError(t, err)
				start, in := time.Now(), bufio.NewReader(ours)
				if c.replies {
					resp, err := stdhttp.ReadResponse(in, nil)
					require.NoError(t, err)
					require.Equal(t, 200, resp.StatusCode)
					_, err = io.Copy(io.Discard, resp.Body)
					require.NoError(t, err)
				}
				_, err = io.Copy(io.Discard, in)
				require.NoError(t, err)
				require.Equal(t, c.after, time.Since(start))
				require.NoError(t, f.Close(t.Context()))
				require.ErrorIs(t, <-served, ErrClosed)
			})
		})
	}
}

func TestWaitsAreSampledWhileSomebodyAsks(t *testing.T) {
	_, addr := serve(t, "127.0.0.1", Config{Pprof: true})
	done := make(chan struct{})
	var contended sync.Mutex
	var contenders sync.WaitGroup
	for range 2 {
		contenders.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				contended.Lock()
				time.Sleep(time.Millisecond) // so that the other one waits, also with one processor
				contended.Unlock()
			}
		})
	}
	for _, name := range []string{"mutex", "block"} {
		end := time.Now().Add(patience)
		for sampled := false; !sampled; { // by chance, while both run
			require.Equal(t, 200, get(t, addr, "/debug/pprof/"+name+"?seconds=1").status)
			sampled = strings.Contains(get(t, addr, "/debug/pprof/"+name+"?debug=1").body, "TestWaitsAreSampledWhileSomebodyAsks")
			require.True(t, sampled || time.Now().Before(end), name)
		}
	}
	close(done)
	contenders.Wait()
}

func TestSamplingEndsWithTheLastAsker(t *testing.T) {
	var set []int
	s := sampler{rate: 7, set: func(rate int) { set = append(set, rate) }}
	for _, more := range []int{1, 1, -1, -1, 1, -1} {
		s.ask(more)
	}
	require.Equal(t, []int{7, 0, 7, 0}, set)
}
