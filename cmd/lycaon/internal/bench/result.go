package bench

import (
	"fmt"
	"time"
)

// Result is what one workload gave.
type Result struct {
	Goal                   Goal
	ClosedLoop             bool    // as many requests as it takes, and no verdict
	Done                   float64 // requests a second that were answered; of watch, changes that were
	P50, P95, P99, Slowest time.Duration
	Failed                 int
	Failure                error   // one of them
	OwnCPU                 float64 // part of the processors here that this program took meanwhile
	HereCPU                float64 // part of them that everybody took; 0 if that is not known
}

func (t *tally) result(g Goal) Result {
	return Result{Goal: g, Done: float64(t.good) / t.elapsed.Seconds(),
		P50: t.at(50), P95: t.at(95), P99: t.at(99), Slowest: t.at(100), Failed: t.failed, Failure: t.failure}
}

// Faults words why the workload does not pass; none if it does.
func (r *Result) Faults() []string {
	if r.ClosedLoop {
		return nil
	}
	var faults []string
	if least := r.Goal.Rate * leastShare; r.Done < least {
		faults = append(faults, fmt.Sprintf("%.1f/s is less than %.1f/s", r.Done, least))
	}
	if r.P99 > r.Goal.P99 {
		faults = append(faults, fmt.Sprintf("p99 of %v is more than %v", r.P99.Round(time.Millisecond), r.Goal.P99))
	}
	if r.Failed > 0 {
		faults = append(faults, fmt.Sprintf("%d failed, such as: %v", r.Failed, r.Failure))
	}
	return faults
}
