package server

import (
	"errors"
	flags "flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

var rewrite = flags.Bool("rewrite", false, "write docs/METRICS.md anew")

const metricsPage = "../docs/METRICS.md"

// unshown fields of the Stats have no metric, each for its reason.
var unshown = map[string]string{
	"node.Ready":         "part of lycaon_ready",
	"node.SnapshotBytes": "lycaon_snapshot_file_bytes",
	"node.Proposer.Txns": "the sum of lycaon_batch_transactions",
	"store.LastIndex":    "lycaon_raft_last_index",
}

// collected is what a scrape would give for r.
func collected(t *testing.T, r *reading) []*dto.MetricFamily {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(prometheus.CollectorFunc(func(to chan<- prometheus.Metric) { r.collect(to) })))
	all, err := reg.Gather()
	require.NoError(t, err)
	return all
}

// atRest is a server of zeros, which shows all of its metrics.
func atRest() *reading { return &reading{} }

func TestEveryFigureOfAComponentHasAMetric(t *testing.T) {
	rest := fmt.Sprint(collected(t, atRest()))
	missing := map[string]bool{}
	eachFigure(reflect.TypeFor[reading](), "", nil, func(path string, index []int) {
		r := atRest()
		disturb(t, reach(r, index), path)
		if fmt.Sprint(collected(t, r)) == rest {
			missing[path] = true
		}
	})
	for path := range missing {
		if unshown[path] == "" {
			t.Errorf("%s has no metric; it wants a line in figures.go", path)
		}
	}
	for path := range unshown {
		require.True(t, missing[path], "%s is no field, or it has a metric after all", path)
	}
}

// eachFigure visits the fields below a struct that hold one, with the names
// and the indices that lead there.
func eachFigure(of reflect.Type, path string, index []int, visit func(string, []int)) {
	if of.Kind() != reflect.Struct || of == reflect.TypeFor[time.Time]() {
		visit(path, index)
		return
	}
	for i := range of.NumField() {
		f := of.Field(i)
		eachFigure(f.Type, strings.TrimPrefix(path+"."+f.Name, "."), append(slices.Clone(index), i), visit)
	}
}

// reach gives a field that may be set, exported or not.
func reach(r *reading, index []int) reflect.Value {
	v := reflect.ValueOf(r).Elem().FieldByIndex(index)
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
}

func disturb(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	const odd = 7
	if _, ok := v.Interface().(time.Time); ok {
		v.Set(reflect.ValueOf(time.Now().Add(-time.Hour)))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(odd)
	case reflect.Uint8, reflect.Uint, reflect.Uint32, reflect.Uint64:
		v.SetUint(odd)
	case reflect.Float64:
		v.SetFloat(odd)
	case reflect.String:
		v.SetString("Leader")
	case reflect.Interface:
		v.Set(reflect.ValueOf(errors.New("odd")))
	case reflect.Array:
		disturb(t, v.Index(v.Len()-1), path)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		disturb(t, key, path)
		disturb(t, value, path)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	default:
		t.Fatalf("%s is a %s: teach this test to disturb it", path, v.Type())
	}
}

func TestNamesAndHelpOfMetricsFollowTheRulesOfPrometheus(t *testing.T) {
	r := atRest()
	problems, err := testutil.CollectAndLint(prometheus.CollectorFunc(func(to chan<- prometheus.Metric) { r.collect(to) }))
	require.NoError(t, err)
	require.Empty(t, problems)
	for _, f := range collected(t, r) {
		require.True(t, strings.HasPrefix(f.GetName(), "lycaon_"), f.GetName())
		require.True(t, strings.HasSuffix(f.GetHelp(), "."), "%s: %q is no sentence", f.GetName(), f.GetHelp())
		require.NotRegexp(t, `(?i)\b(them|those|it)\b`, f.GetHelp(), "%s is read alone", f.GetName())
	}
}

func TestStoreLatencyIsCumulativeAndInSeconds(t *testing.T) {
	r := atRest()
	r.store.Latency[0], r.store.Latency[2] = 3, 2
	r.store.Latency[len(r.store.Latency)-1] = 1
	r.store.LatencySum = 1500 * time.Millisecond
	for _, f := range collected(t, r) {
		if f.GetName() != "lycaon_store_sync_seconds" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		require.Equal(t, uint64(6), h.GetSampleCount())
		require.Equal(t, 1.5, h.GetSampleSum())
		want := map[float64]uint64{100e-6: 3, 200e-6: 3, 400e-6: 5}
		for _, b := range h.GetBucket() {
			if n, given := want[b.GetUpperBound()]; given {
				require.Equal(t, n, b.GetCumulativeCount(), b.GetUpperBound())
				delete(want, b.GetUpperBound())
			}
		}
		require.Empty(t, want)
		return
	}
	t.Fatal("there is no lycaon_store_sync_seconds")
}

func TestTheMetricsPageIsTrue(t *testing.T) {
	var b strings.Builder
	b.WriteString(metricsHead)
	for _, f := range collected(t, atRest()) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name(f), strings.ToLower(f.GetType().String()), f.GetHelp())
	}
	if *rewrite {
		require.NoError(t, os.WriteFile(metricsPage, []byte(b.String()), 0o644))
	}
	page, err := os.ReadFile(metricsPage)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(page), "go test ./server -run MetricsPage -rewrite")
}

// name of a family with the label that it has, if any.
func name(f *dto.MetricFamily) string {
	for _, l := range f.GetMetric()[0].GetLabel() {
		return fmt.Sprintf("%s{%s}", f.GetName(), l.GetName())
	}
	return f.GetName()
}

const metricsHead = `# Metrics

` + "`GET /metrics`" + ` on the HTTP address, in the format of Prometheus. Counters (` + "`_total`" + `) count since the start of the process, gauges tell
how it is now, histograms are cumulative. Beside these there are ` + "`go_*`" + ` and ` + "`process_*`" + `, those of Go and of the process, and
` + "`promhttp_*`" + `, those of the page itself.

Made from the code by ` + "`go test ./server -run MetricsPage -rewrite`" + `, and tested against it.

| metric | type | meaning |
|---|---|---|
`
