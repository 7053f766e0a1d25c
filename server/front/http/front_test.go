package http

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	stdhttp "net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// serve runs a Front on a port of its own at host until the test ends.
func serve(t *testing.T, host string, cfg Config) (*Front, string) {
	t.Helper()
	f := New(cfg)
	return f, run(t, host, f)
}

func run(t *testing.T, host string, f *Front) string {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- f.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, f.Close(ctx))
		require.ErrorIs(t, <-ended, ErrClosed)
	})
	_, port, err := net.SplitHostPort(ln.Addr().String())
	require.NoError(t, err)
	return "127.0.0.1:" + port
}

type answer struct {
	status int
	header stdhttp.Header
	body   string
}

// ask sends one request on a connection of its own; change may be nil.
func ask(t *testing.T, addr, method, path string, change func(*stdhttp.Request)) answer {
	t.Helper()
	r, err := stdhttp.NewRequestWithContext(t.Context(), method, "http://"+addr+path, nil)
	require.NoError(t, err)
	r.Close = true
	if change != nil {
		change(r)
	}
	resp, err := stdhttp.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func get(t *testing.T, addr, path string) answer { return ask(t, addr, stdhttp.MethodGet, path, nil) }

func TestMetricsShowOurCollectorsAndThoseOfGoAndTheProcess(t *testing.T) {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "lycaon_sneezes_total", Help: "Votes of dogs."})
	c.Add(3)
	f, addr := serve(t, "127.0.0.1", Config{Collectors: []prometheus.Collector{c}})
	got := get(t, addr, "/metrics")
	require.Equal(t, 200, got.status)
	for _, want := range []string{"# HELP lycaon_sneezes_total Votes of dogs.", "lycaon_sneezes_total 3\n", "go_goroutines", "process_open_fds"} {
		require.Contains(t, got.body, want)
	}
	require.Equal(t, uint64(1), f.Stats().Scrapes)
}

func TestOneBrokenCollectorDoesNotHideTheOthers(t *testing.T) {
	desc := prometheus.NewDesc("lycaon_broken", "Cannot be had.", nil, nil)
	broken := prometheus.CollectorFunc(func(to chan<- prometheus.Metric) {
		to <- prometheus.NewInvalidMetric(desc, errors.New("no figures today"))
	})
	_, addr := serve(t, "127.0.0.1", Config{Collectors: []prometheus.Collector{broken}})
	got := get(t, addr, "/metrics")
	require.Equal(t, 200, got.status)
	require.Contains(t, got.body, "go_goroutines")
}

// gone is a client that has hung up.
type gone struct{ stdhttp.ResponseWriter }

func (gone) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestAScrapeThatIsBrokenOffIsOneLineInTheLog(t *testing.T) {
	for _, encoding := range []string{"", "gzip"} {
		var log bytes.Buffer
		f := New(Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		r := httptest.NewRequest(stdhttp.MethodGet, "/metrics", nil)
		r.Header.Set("Accept-Encoding", encoding)
		f.metrics()(gone{httptest.NewRecorder()}, r)
		require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
		require.Contains(t, log.String(), "broken pipe")
	}
}

func TestTwoCollectorsOfOneMetricPanicAtOnce(t *testing.T) {
	c := prometheus.NewGauge(prometheus.GaugeOpts{Name: "twice", Help: "Twice."})
	require.Panics(t, func() { New(Config{Collectors: []prometheus.Collector{c, c}}) })
}

func TestReadyzFollowsTheServerAndSaysWhyNot(t *testing.T) {
	var reason atomic.Pointer[string]
	_, addr := serve(t, "127.0.0.1", Config{Ready: func() error {
		if why := reason.Load(); why != nil {
			return errors.New(*why)
		}
		return nil
	}})
	why := "applying the log: at entry 7 of 12"
	reason.Store(&why)
	got := get(t, addr, "/readyz")
	require.Equal(t, 503, got.status)
	require.Equal(t, "not ready: applying the log: at entry 7 of 12\n", got.body)
	require.Equal(t, 200, get(t, addr, "/livez").status, "a server that starts slowly is alive")

	reason.Store(nil)
	got = get(t, addr, "/readyz")
	require.Equal(t, 200, got.status)
	require.Equal(t, "ready\n", got.body)
	require.Equal(t, "no-store", got.header.Get("Cache-Control"))
}

func TestTheIndexListsExactlyWhatIsServed(t *testing.T) {
	_, addr := serve(t, "127.0.0.1", Config{Pprof: true})
	page := get(t, addr, "/")
	require.Equal(t, 200, page.status)
	var paths []string
	for line := range strings.Lines(page.body) {
		if strings.HasPrefix(line, "/") {
			paths = append(paths, strings.Fields(line)[0])
		}
	}
	require.Len(t, paths, 11)
	for _, path := range paths {
		switch path {
		case "/debug/pprof/profile":
			path += "?seconds=1" // it takes whole ones only
		case "/debug/pprof/trace":
			path += "?seconds=0.01"
		}
		require.Equal(t, 200, get(t, addr, path).status, path)
	}
	require.Equal(t, 404, get(t, addr, "/nowhere").status)
}

func TestOnlyReadingMethodsAreTaken(t *testing.T) {
	f, addr := serve(t, "127.0.0.1", Config{Pprof: true})
	for _, path := range []string{"/", "/metrics", "/livez", "/readyz", "/debug/pprof/heap", "/nowhere"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
			got := ask(t, addr, method, path, nil)
			require.Equal(t, 405, got.status, "%s %s", method, path)
			require.Equal(t, "GET, HEAD", got.header.Get("Allow"))
		}
	}
	require.Equal(t, uint64(36), f.Stats().MethodsRefused)
	got := ask(t, addr, stdhttp.MethodHead, "/readyz", nil)
	require.Equal(t, 200, got.status)
	require.Empty(t, got.body)
}

func TestANameThatIsNotOursIsRefused(t *testing.T) {
	f, addr := serve(t, "127.0.0.1", Config{Hosts: []string{"pack.example", ""}})
	for host, want := range map[string]int{
		"127.0.0.1:8080": 200, "127.0.0.1": 200, "10.1.2.3:99": 200, "[::1]:8080": 200, "[::1]": 200, "::1": 200,
		"localhost": 200, "localhost:8080": 200, "LOCALHOST.:8080": 200, "pack.example:8080": 200, "PACK.example": 200,
		"evil.example": 403, "evil.example:8080": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403,
		"evillocalhost": 403, "pack.example.evil": 403, "[evil]:1": 403, "0x7f000001": 403, "2130706433": 403,
	} {
		got := ask(t, addr, "GET", "/metrics", func(r *stdhttp.Request) { r.Host = host })
		require.Equal(t, want, got.status, host)
		if want == 403 {
			require.Contains(t, got.body, "is not a name of this server; use its address, or localhost")
			require.NotContains(t, got.body, "go_goroutines")
		}
	}
	require.Equal(t, uint64(9), f.Stats().ForeignHosts)
}

func TestAProbeWithoutAnyNameIsAnswered(t *testing.T) {
	_, addr := serve(t, "127.0.0.1", Config{})
	nc, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer nc.Close()
	_, err = io.WriteString(nc, "GET /readyz HTTP/1.0\r\n\r\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(nc).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "200 OK")
}

func TestServeEndsWithTheFailureOfItsListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	err = New(Config{}).Serve(ln)
	require.ErrorIs(t, err, net.ErrClosed)
	require.NotErrorIs(t, err, ErrClosed)
}

func TestAFrontThatWasClosedServesNoMore(t *testing.T) {
	f := New(Config{})
	require.NoError(t, f.Close(t.Context()))
	require.NoError(t, f.Close(t.Context()), "twice is once")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.ErrorIs(t, f.Serve(ln), ErrClosed)
	_, err = ln.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}
