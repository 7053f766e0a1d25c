package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/bench"
)

func benchPrinted(t *testing.T, as form, results ...bench.Result) (string, error) {
	t.Helper()
	load, err := bench.LoadNamed("small")
	require.NoError(t, err)
	var out bytes.Buffer
	e := newEnv(nil, &out, &out, noEnv)
	e.out.form = as
	err = e.printBench(bench.Options{Load: load, Path: "/lycaon-bench-1", Length: 10 * time.Second}, results, true)
	return out.String(), err
}

func benchResults() (good, slow, most bench.Result) {
	const ms = time.Millisecond
	goal := bench.Goal{Workload: bench.Writes, Rate: 150, P99: 100 * ms}
	good = bench.Result{Goal: goal, Done: 150, P50: 1500 * time.Microsecond, P95: 2 * ms, P99: 3 * ms, Slowest: 40 * ms}
	slow = bench.Result{Goal: goal, Done: 12.34, P50: 90 * ms, P95: 200 * ms, P99: 300 * ms, Slowest: time.Second, Failed: 2, Failure: errors.New("no leader")}
	most = bench.Result{Goal: bench.Goal{Workload: bench.Reads}, ClosedLoop: true, Done: 100_000, P50: 10 * ms, P95: 11 * ms, P99: 12 * ms, Slowest: 13 * ms}
	return good, slow, most
}

// starved is a result of which the machine of bench was the limit.
func starved(r bench.Result) bench.Result {
	r.OwnCPU, r.HereCPU = 0.534567, 0.99
	return r
}

func TestBenchSaysPassOrFailAndWhy(t *testing.T) {
	good, slow, most := benchResults()
	out, err := benchPrinted(t, formText, good, most)
	require.NoError(t, err)
	require.Equal(t, `load small: 50 sessions, 10s of each workload, below /lycaon-bench-1
WORKLOAD  ASKED/S  DONE/S    P50 MS  P95 MS  P99 MS  SLOWEST  FAILED  VERDICT  WANTS
writes    150      150.0     1.50    2.00    3.00    40.00    0       PASS     >= 135/s, p99 <= 100 ms, 0 failed
reads     all      100000.0  10.00   11.00   12.00   13.00    0       -        -
PASS
`, out)
	out, err = benchPrinted(t, formText, good, starved(most))
	require.NoError(t, err)
	require.Contains(t, out, "\nreads at most: this machine is the limit, run it elsewhere: bench itself took 53 % of its processors, everything on it 99 %\nPASS\n")
	out, err = benchPrinted(t, formText, good, slow)
	require.Equal(t, exitError, exitCode(err))
	require.Equal(t, `load small: 50 sessions, 10s of each workload, below /lycaon-bench-1
WORKLOAD  ASKED/S  DONE/S  P50 MS  P95 MS  P99 MS  SLOWEST  FAILED  VERDICT  WANTS
writes    150      150.0   1.50    2.00    3.00    40.00    0       PASS     >= 135/s, p99 <= 100 ms, 0 failed
writes    150      12.3    90.00   200.00  300.00  1000.00  2       FAIL     >= 135/s, p99 <= 100 ms, 0 failed
writes: 12.3/s is less than 135.0/s
writes: p99 of 300ms is more than 100ms
writes: 2 failed, such as: no leader
FAIL
`, out)
}

func TestBenchTellsProgramsTheSame(t *testing.T) {
	good, slow, most := benchResults()
	out, err := benchPrinted(t, formJSON, slow, starved(most))
	require.Equal(t, exitError, exitCode(err))
	require.JSONEq(t, `{"load":"small","sessions":50,"path":"/lycaon-bench-1","lengthMs":10000,"pass":false,"endedEarly":false,"workloads":[
		{"workload":"writes","closedLoop":false,"askedPerS":150,"donePerS":12.34,"p50Ms":90,"p95Ms":200,"p99Ms":300,"slowestMs":1000,"failed":2,"p99LimitMs":100,
			"faults":["12.3/s is less than 135.0/s","p99 of 300ms is more than 100ms","2 failed, such as: no leader"],"ownCpu":0,"limited":false},
		{"workload":"reads","closedLoop":true,"donePerS":100000,"p50Ms":10,"p95Ms":11,"p99Ms":12,"slowestMs":13,"failed":0,"faults":[],"ownCpu":0.535,"hereCpu":0.99,"limited":true}]}`, out)
	out, err = benchPrinted(t, formJSON, good)
	require.NoError(t, err)
	require.Contains(t, out, `"pass":true`)
}

// everything is the tree but for what the server changes by itself.
func everything(t *testing.T, c *client.Client) map[string]client.Stat {
	t.Helper()
	all := map[string]client.Stat{}
	for n, err := range c.Walk(t.Context(), "/") {
		require.NoError(t, err)
		if n.Path != "/" { // has children that come and go
			all[n.Path] = n.Stat
		}
	}
	return all
}

func TestBenchLeavesTheTreeAsItWas(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	plant(t, c, "/app", 10)
	before := everything(t, c)

	out, errw, _ := inProcess(nil, "-s", cluster.Addrs()[0], "bench", "-o", "json", "--time", "50ms", "--max")
	var told struct{ Workloads []benchJSON }
	require.NoError(t, json.Unmarshal([]byte(out), &told), errw)
	require.Len(t, told.Workloads, 10)
	answered := 0.0
	for _, w := range told.Workloads {
		answered += w.Done
		require.Zero(t, w.Failed, "%s: %v", w.Workload, w.Faults)
	}
	require.Positive(t, answered)
	require.Equal(t, before, everything(t, c))

	_, errw, code := inProcess(nil, "-s", cluster.Addrs()[0], "bench", "--path", "/app")
	require.Equal(t, exitError, code)
	require.Contains(t, errw, "create /app: node already exists")
	require.Equal(t, before, everything(t, c))
}

func TestBenchRemovesItsNodeWhenItIsInterrupted(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	plant(t, c, "/app", 10)
	before := everything(t, c)
	w, err := c.Watch(t.Context(), "/load", client.Subtree(), client.Types(client.EventChanged))
	require.NoError(t, err)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var out bytes.Buffer
	e := newEnv(strings.NewReader(""), &out, &out, noEnv)
	defer e.close()
	root := newRoot(e)
	root.SetArgs([]string{"-s", cluster.Addrs()[0], "bench", "--path", "/load", "--time", "5m"})
	ended := make(chan error)
	go func() { ended <- root.ExecuteContext(ctx) }()
	_, err = w.Next(t.Context()) // the load is on
	require.NoError(t, err)
	interrupt()
	require.ErrorContains(t, <-ended, "bench: ended early; /load is removed")
	require.Equal(t, before, everything(t, c))
}

func TestBenchTellsWhatWasDoneBeforeItWasInterrupted(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	load, err := bench.LoadNamed("small")
	require.NoError(t, err)
	load.Sessions = 2
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	o := bench.Options{Load: load, Path: "/load", Length: 50 * time.Millisecond}
	o.Open = func(ctx context.Context) (*client.Client, error) { return client.Open(ctx, cluster.Addrs()) }
	o.Begin = func(workload string) {
		if workload == bench.Mixed {
			interrupt()
		}
	}
	results, ended := bench.Run(ctx, c, o)
	for as, wants := range map[form][]string{
		formText: {"\nwrites  ", "\nreads  ", "\nended early: 2 of 6 workloads\n"},
		formJSON: {`"endedEarly":true`, `"pass":false`, `"workload":"writes"`, `"workload":"reads"`},
	} {
		var out bytes.Buffer
		e := newEnv(nil, &out, &out, noEnv)
		e.out.form = as
		err := e.tellBench(ctx, o, results, ended)
		require.ErrorContains(t, err, "bench: ended early; /load is removed")
		require.NotErrorIs(t, err, errQuiet, "it is still to be said")
		require.Equal(t, exitError, exitCode(err))
		for _, want := range wants {
			require.Contains(t, out.String(), want)
		}
		require.NotContains(t, out.String(), "mixed")
		require.NotContains(t, out.String(), "\nPASS\n")
	}
}

func TestBenchNamesThePathThatCannotBe(t *testing.T) {
	t.Parallel()
	server := clienttest.Start(t).Addrs()[0]
	for path, want := range map[string]string{
		"/zookeeper": "lycaon: --path: create /zookeeper: node already exists\n",
		"/no/parent": "lycaon: --path: create /no/parent: node does not exist: the parent /no (create -p makes missing parents)\n",
	} {
		_, errw, _ := inProcess(nil, "-s", server, "bench", "--path", path)
		require.Equal(t, want, errw)
	}
}

func TestBenchRefusesWhatItCannotRun(t *testing.T) {
	for text, args := range map[string][]string{
		`--load "huge": want`:     {"--load", "huge"},
		"--time 0s":               {"--time", "0s"},
		"--time 11m0s":            {"--time", "11m"},
		`path "x" does not start`: {"--path", "x"},
	} {
		_, errw, code := inProcess(nil, append([]string{"bench"}, args...)...)
		require.Equal(t, exitUsage, code, text)
		require.Contains(t, errw, text)
	}
}

func TestTheLoadsOfBenchAreThoseOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/OPERATIONS.md")
	require.NoError(t, err)
	sessions := "\n| sessions |"
	for _, l := range bench.Loads {
		sessions += fmt.Sprintf(" %d |", l.Sessions)
	}
	told := strings.ReplaceAll(string(page), ",", "") // of thousands
	require.Contains(t, told, sessions)
	for i, g := range bench.Loads[0].Goals {
		row := "\n| " + g.Workload + " |"
		for _, l := range bench.Loads {
			row += fmt.Sprintf(" %.0f/s |", l.Goals[i].Rate)
		}
		require.Contains(t, told, fmt.Sprintf("%s %d ms |\n", row, g.P99.Milliseconds()))
	}
}
