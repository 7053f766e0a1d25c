package http

import (
	"fmt"
	"log/slog"
	stdhttp "net/http"
	"net/http/pprof"
	"strconv"
	"strings"
)

// profiles are served one by one rather than by the index of net/http/pprof,
// which shows the command line too, and with it the superuser's digest. The
// handlers of that package move the write deadline by the seconds they take.
func (f *Front) profiles() []route {
	const root = "/debug/pprof/"
	named := []struct{ name, about string }{
		{"heap", "memory in use"},
		{"allocs", "memory ever allocated"},
		{"goroutine", "stacks, ?debug=2 as text"},
		{"threadcreate", "threads of the operating system"},
		{"block", "waits on locks and channels, when sampled"},
		{"mutex", "holders of contended locks, when sampled"},
	}
	routes := []route{
		{root + "profile", "CPU, ?seconds=30", f.profile(pprof.Profile)},
		{root + "trace", "execution trace, ?seconds=1", f.profile(pprof.Trace)},
	}
	for _, p := range named {
		routes = append(routes, route{root + p.name, p.about, f.profile(pprof.Handler(p.name).ServeHTTP)})
	}
	return routes
}

// profile refuses what another site's page asks for: it could not read the
// answer but would make this server work for it. Browsers tell by
// Sec-Fetch-Site, tools do not send it.
func (f *Front) profile(serve stdhttp.HandlerFunc) stdhttp.HandlerFunc {
	return func(w stdhttp.ResponseWriter, r *stdhttp.Request) {
		if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
			f.counts.crosses.Add(1)
			stdhttp.Error(w, "profiles are not for pages of other sites; open the address itself", stdhttp.StatusForbidden)
			return
		}
		if err := checkSeconds(r.FormValue("seconds")); err != nil {
			stdhttp.Error(w, err.Error(), stdhttp.StatusBadRequest)
			return
		}
		f.counts.profiles.Add(1)
		serve(w, r)
	}
}

// checkSeconds knows whole and broken numbers: traces take both.
func checkSeconds(s string) error {
	if s == "" {
		return nil
	}
	if n, err := strconv.ParseFloat(s, 64); err != nil || !(n >= 0 && n <= maxProfileSeconds) {
		return fmt.Errorf("seconds %q: want 0 to %d", s, maxProfileSeconds)
	}
	return nil
}

// scrapeLog takes what the metrics library has to say.
type scrapeLog struct{ log *slog.Logger }

func (l scrapeLog) Println(v ...any) {
	l.log.Warn("metrics are incomplete", "err", strings.TrimSuffix(fmt.Sprintln(v...), "\n"))
}
