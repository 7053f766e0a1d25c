package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/bench"
	"github.com/lycaon-io/lycaon/znode"
)

const (
	benchLength    = 10 * time.Second
	mostBenchTime  = 10 * time.Minute
	benchPathStart = "/lycaon-bench-"
)

func newBench(e *env) *cobra.Command {
	var load, path string
	o := bench.Options{}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Put a load on the cluster and say PASS or FAIL",
		Long: `Put requests on the cluster at a fixed rate, workload after workload, and say whether
it keeps up: PASS if at least 90 % of the rate was answered, the 99th percentile of what
that took is within the limit, and nothing failed. The exit code is 1 on FAIL.

` + benchLoads() + `
Sessions and writes are those of etcdctl check perf; the limits say that clients are not
held up, not that the cluster is as quick as it could be. Run it on a machine of its own,
since it takes more CPU than a server: where its own machine may be why it was not enough,
it says so.

Values are of 1 KiB, mixed is 90 % reads. Requests are sent when they are due, whether or
not earlier ones were answered, and what one took counts from when it was due: a server
that stalls is charged for all that it kept waiting. What watch takes is the time from a
change to its news in a session; each change is told to every session. With --max come
workloads of ` + fmt.Sprint(bench.ClosedLoop) + ` requests in flight, each followed by the next as soon as it is
answered: what the cluster does at most, without a verdict.

The load is real: others who use the cluster feel it. It works below one new node, which
is removed at the end and after Ctrl-C, and touches nothing else. If it cannot be removed
it goes by itself after about an hour. After Ctrl-C it tells of the workloads that were
done, and the exit code is 1.`,
		Example: "  bench\n  bench --load large --time 1m\n  bench --load medium --max -o json",
		GroupID: groupServer,
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Load, err = bench.LoadNamed(load); err != nil {
				return usageError{err}
			}
			if o.Length <= 0 || o.Length > mostBenchTime {
				return usageError{fmt.Errorf("--time %v: want more than 0 and at most %v", o.Length, mostBenchTime)}
			}
			if o.Path = path; path == "" {
				o.Path = fmt.Sprintf("%s%016x", benchPathStart, rand.Uint64())
			}
			if err := znode.ValidatePath(o.Path); err != nil {
				return usageError{err}
			}
			return e.bench(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&load, "load", "l", "small", "how much: `small|medium|large`")
	f.DurationVar(&o.Length, "time", benchLength, "`TIME` of each workload")
	f.BoolVar(&o.Max, "max", false, "then find out how much it does at most, too")
	f.StringVar(&path, "path", "", "work below the node `/PATH`, which must not exist (default: "+benchPathStart+"RANDOM)")
	return cmd
}

// benchLoads is the table of the help.
func benchLoads() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %-20s", "")
	for _, l := range bench.Loads {
		fmt.Fprintf(&b, "%10s", l.Name)
	}
	fmt.Fprintf(&b, "\n  %-20s", "sessions")
	for _, l := range bench.Loads {
		fmt.Fprintf(&b, "%10d", l.Sessions)
	}
	for i, g := range bench.Loads[0].Goals {
		fmt.Fprintf(&b, "\n  %-20s", g.Workload)
		for _, l := range bench.Loads {
			fmt.Fprintf(&b, "%8.0f/s", l.Goals[i].Rate)
		}
		fmt.Fprintf(&b, "    p99 <= %d ms", g.P99.Milliseconds())
	}
	return b.String() + "\n"
}

func (e *env) bench(ctx context.Context, o bench.Options) error {
	servers, opts, err := e.target.options()
	if err != nil {
		return err
	}
	o.Open = func(ctx context.Context) (*client.Client, error) { return client.Open(ctx, servers, opts...) }
	c, err := e.session(ctx)
	if err != nil {
		return err
	}
	tell, done := e.benchBar(o)
	o.Begin = tell
	results, err := bench.Run(ctx, c, o)
	done()
	return e.tellBench(ctx, o, results, err)
}

// tellBench tells what there is of a run, and how it ended.
func (e *env) tellBench(ctx context.Context, o bench.Options, results []bench.Result, err error) error {
	if err == nil {
		return e.printBench(o, results, true)
	}
	if ctx.Err() != nil && !errors.Is(err, bench.ErrLeftBehind) {
		err = fmt.Errorf("bench: ended early; %s is removed", o.Path)
	}
	if len(results) > 0 {
		err = errors.Join(err, e.printBench(o, results, false))
	}
	return err
}

// benchBar shows how much of the time has passed, and the workload that runs.
func (e *env) benchBar(o bench.Options) (tell func(workload string), done func()) {
	whole := time.Duration(o.Workloads()) * o.Length
	bar := progressbar.NewOptions64(int64(whole), progressbar.OptionSetWriter(e.errw), progressbar.OptionSetVisibility(e.barsAreSeen()),
		progressbar.OptionSetDescription("preparing"), progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish())
	ended, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticks := time.NewTicker(200 * time.Millisecond)
		defer ticks.Stop()
		for begin := time.Now(); ; {
			select {
			case <-ended:
				return
			case <-ticks.C:
				bar.Set64(min(int64(time.Since(begin)), int64(whole)-1)) // the last bit is that of Finish
			}
		}
	}()
	return bar.Describe, func() {
		close(ended)
		<-stopped
		bar.Finish()
	}
}

// benchJSON is the form of a result in JSON output.
type benchJSON struct {
	Workload   string   `json:"workload"`
	ClosedLoop bool     `json:"closedLoop"`
	Asked      float64  `json:"askedPerS,omitempty"`
	Done       float64  `json:"donePerS"`
	P50Ms      float64  `json:"p50Ms"`
	P95Ms      float64  `json:"p95Ms"`
	P99Ms      float64  `json:"p99Ms"`
	SlowestMs  float64  `json:"slowestMs"`
	Failed     int      `json:"failed"`
	P99LimitMs float64  `json:"p99LimitMs,omitempty"`
	Faults     []string `json:"faults"`
	OwnCPU     float64  `json:"ownCpu"`            // part of the processors here
	HereCPU    float64  `json:"hereCpu,omitempty"` // the same of everybody here
	Limited    bool     `json:"limited"`           // by this machine
}

// printBench says PASS or FAIL of a run that is whole.
func (e *env) printBench(o bench.Options, results []bench.Result, whole bool) error {
	pass := whole
	for _, r := range results {
		pass = pass && len(r.Faults()) == 0
	}
	var err error
	if e.out.structured() {
		err = e.out.value(benchValue(o, results, pass, whole))
	} else {
		err = e.benchText(o, results, pass, whole)
	}
	if err == nil && whole && !pass {
		return errQuiet
	}
	return err
}

func benchValue(o bench.Options, results []bench.Result, pass, whole bool) any {
	rows := []benchJSON{}
	for _, r := range results {
		rows = append(rows, benchJSON{
			Workload: r.Goal.Workload, ClosedLoop: r.ClosedLoop, Asked: r.Goal.Rate, Done: r.Done,
			P50Ms: ms(r.P50), P95Ms: ms(r.P95), P99Ms: ms(r.P99), SlowestMs: ms(r.Slowest), Failed: r.Failed,
			P99LimitMs: ms(r.Goal.P99), Faults: append([]string{}, r.Faults()...), // [], not null
			OwnCPU: thousandths(r.OwnCPU), HereCPU: thousandths(r.HereCPU), Limited: r.Limited(),
		})
	}
	return map[string]any{"load": o.Load.Name, "sessions": o.Load.Sessions, "path": o.Path, "lengthMs": o.Length.Milliseconds(),
		"pass": pass, "endedEarly": !whole, "workloads": rows}
}

func thousandths(part float64) float64 { return math.Round(part*1000) / 1000 }

// ms is to a microsecond.
func ms(d time.Duration) float64 { return float64(d.Round(time.Microsecond).Microseconds()) / 1e3 }

func (e *env) benchText(o bench.Options, results []bench.Result, pass, whole bool) error {
	verdict := map[bool]string{true: "PASS", false: "FAIL"}
	if err := e.out.line("load %s: %d sessions, %v of each workload, below %s", o.Load.Name, o.Load.Sessions, o.Length, o.Path); err != nil {
		return err
	}
	rows := [][]string{{"WORKLOAD", "ASKED/S", "DONE/S", "P50 MS", "P95 MS", "P99 MS", "SLOWEST", "FAILED", "VERDICT", "WANTS"}}
	for _, r := range results {
		asked, verdict, wants := fmt.Sprintf("%.0f", r.Goal.Rate), verdict[len(r.Faults()) == 0], r.Goal.Wants()
		if r.ClosedLoop {
			asked, verdict, wants = "all", "-", "-"
		}
		rows = append(rows, []string{r.Goal.Workload, asked, fmt.Sprintf("%.1f", r.Done), msText(r.P50), msText(r.P95), msText(r.P99),
			msText(r.Slowest), fmt.Sprint(r.Failed), verdict, wants})
	}
	if err := e.out.table(rows); err != nil {
		return err
	}
	for _, r := range results {
		for _, fault := range r.Faults() {
			if err := e.out.line("%s: %s", r.Goal.Workload, fault); err != nil {
				return err
			}
		}
	}
	for _, r := range results {
		if r.Limited() {
			if err := e.out.line("%s: %s", workloadName(&r), limitText(&r)); err != nil {
				return err
			}
		}
	}
	if !whole {
		return e.out.line("ended early: %d of %d workloads", len(results), o.Workloads())
	}
	return e.out.line("%s", verdict[pass])
}

func workloadName(r *bench.Result) string {
	if r.ClosedLoop {
		return r.Goal.Workload + " at most"
	}
	return r.Goal.Workload
}

// limitText says why a result tells of this machine.
func limitText(r *bench.Result) string {
	text := fmt.Sprintf("this machine is the limit, run it elsewhere: bench itself took %.0f %% of its processors", r.OwnCPU*100)
	if r.HereCPU > 0 {
		text += fmt.Sprintf(", everything on it %.0f %%", r.HereCPU*100)
	}
	return text
}

func msText(d time.Duration) string { return fmt.Sprintf("%.2f", ms(d)) }
