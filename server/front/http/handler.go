package http

import (
	"fmt"
	"net"
	stdhttp "net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type route struct {
	path, about string
	serve       stdhttp.HandlerFunc
}

// handler answers for a listener at addr. What is checked comes before what
// is found, so that a refusal tells nothing of the routes.
func (f *Front) handler(addr net.Addr) stdhttp.Handler {
	routes := []route{
		{"/metrics", "figures for Prometheus", f.metrics()},
		{"/livez", "200 while the process answers", f.livez},
		{"/readyz", "200 once this server serves clients, else 503 with the reason", f.readyz},
	}
	if f.cfg.Pprof && loopback(addr) {
		routes = append(routes, f.profiles()...)
	}
	mux := stdhttp.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.path, r.serve)
	}
	mux.HandleFunc("/{$}", index(routes))
	return f.checked(hostOf(addr.String()), mux)
}

// checked refuses by name and by method. A page of any site can make a
// browser ask an address inside the network under a name that its owner
// points there (DNS rebinding), but the browser tells that name.
func (f *Front) checked(own string, next stdhttp.Handler) stdhttp.Handler {
	names := append(slices.Clone(f.cfg.Hosts), own, "localhost")
	return stdhttp.HandlerFunc(func(w stdhttp.ResponseWriter, r *stdhttp.Request) {
		f.counts.requests.Add(1)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case !known(r.Host, names):
			f.counts.foreignHosts.Add(1)
			stdhttp.Error(w, fmt.Sprintf("host %q is not a name of this server; use its address, or localhost", r.Host), stdhttp.StatusForbidden)
		case r.Method != stdhttp.MethodGet && r.Method != stdhttp.MethodHead:
			f.counts.methods.Add(1)
			w.Header().Set("Allow", "GET, HEAD")
			stdhttp.Error(w, "nothing here can be changed; use GET or HEAD", stdhttp.StatusMethodNotAllowed)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// known admits no name at all, too: HTTP/1.0 probes send none, browsers do.
func known(host string, names []string) bool {
	host = strings.TrimSuffix(hostOf(host), ".")
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return true
	}
	return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(host, name) })
}

// hostOf cuts port and brackets off.
func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]")
}

func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func (f *Front) metrics() stdhttp.HandlerFunc {
	h := promhttp.HandlerFor(f.registry, promhttp.HandlerOpts{
		ErrorLog: scrapeLog{f.cfg.Logger}, ErrorHandling: promhttp.ContinueOnError, // the other figures matter most when one cannot be had
		MaxRequestsInFlight: maxScrapes, Registry: f.registry,
	})
	return func(w stdhttp.ResponseWriter, r *stdhttp.Request) {
		f.counts.scrapes.Add(1)
		to := broken{ResponseWriter: w}
		h.ServeHTTP(&to, r)
		if to.err != nil {
			f.cfg.Logger.Warn("a scrape of the metrics was broken off", "from", r.RemoteAddr, "err", to.err)
		}
	}
}

// broken takes what a client that left no longer does. The metrics library, and
// its gzip, would report each family of figures that could not be written.
type broken struct {
	stdhttp.ResponseWriter
	err error
}

func (w *broken) Write(b []byte) (int, error) {
	if w.err == nil {
		_, w.err = w.ResponseWriter.Write(b)
	}
	return len(b), nil
}

func (f *Front) livez(w stdhttp.ResponseWriter, _ *stdhttp.Request) {
	writeText(w, stdhttp.StatusOK, "alive\n")
}

func (f *Front) readyz(w stdhttp.ResponseWriter, _ *stdhttp.Request) {
	if err := f.cfg.Ready(); err != nil {
		writeText(w, stdhttp.StatusServiceUnavailable, fmt.Sprintf("not ready: %v\n", err))
		return
	}
	writeText(w, stdhttp.StatusOK, "ready\n")
}

// index lists the routes as text: a page that runs nothing needs no HTML.
func index(routes []route) stdhttp.HandlerFunc {
	var b strings.Builder
	b.WriteString("Lycaon\n\n")
	for _, r := range routes {
		fmt.Fprintf(&b, "%-28s %s\n", r.path, r.about)
	}
	page := b.String()
	return func(w stdhttp.ResponseWriter, _ *stdhttp.Request) { writeText(w, stdhttp.StatusOK, page) }
}

func writeText(w stdhttp.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // a peer that has gone needs no answer
}
