package http

import (
	"fmt"
	"log/slog"
	stdhttp "net/http"
	"net/http/pprof"
	"runtime"
	"strconv"
	"strings"
	"sync"
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
	}
	routes := []route{
		{root + "profile", "CPU, ?seconds=30", f.profile(pprof.Profile)},
		{root + "trace", "execution trace, ?seconds=1", f.profile(pprof.Trace)},
	}
	for _, p := range named {
		routes = append(routes, route{root + p.name, p.about, f.profile(pprof.Handler(p.name).ServeHTTP)})
	}
	return append(routes,
		route{root + "block", "waits on locks and channels, ?seconds=5", f.profile(blockSampler.during(pprof.Handler("block")))},
		route{root + "mutex", "holders of contended locks, ?seconds=5", f.profile(mutexSampler.during(pprof.Handler("mutex")))})
}

// Waits cost a look at the clock and a stack each, so they are sampled only while
// somebody asks.
var (
	blockSampler = sampler{rate: 10_000, set: runtime.SetBlockProfileRate} // one for each 10 us of waiting
	mutexSampler = sampler{rate: 10, set: func(rate int) { runtime.SetMutexProfileFraction(rate) }}
)

// sampler has the runtime sample for as long as there are askers, of any front of
// this process.
type sampler struct {
	rate int
	set  func(rate int) // 0 ends it

	mu     sync.Mutex
	askers int
}

func (s *sampler) during(serve stdhttp.Handler) stdhttp.HandlerFunc {
	return func(w stdhttp.ResponseWriter, r *stdhttp.Request) {
		s.ask(1)
		defer s.ask(-1)
		serve.ServeHTTP(w, r)
	}
}

func (s *sampler) ask(more int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.askers
	s.askers += more
	switch {
	case before == 0:
		s.set(s.rate)
	case s.askers == 0:
		s.set(0)
	}
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
