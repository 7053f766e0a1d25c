package bench

import (
	"fmt"
	"time"
)

const (
	nodes      = 1000
	valueBytes = 1 << 10
	mixedReads = 90 // per cent

	leastShare = 0.9 // of the rate, that a PASS takes
)

// Load is how much is asked of a cluster.
type Load struct {
	Name     string
	Sessions int
	Goals    []Goal
}

// Goal is one workload, its rate, and what a PASS takes beside that rate.
type Goal struct {
	Workload string
	Rate     float64       // requests a second; of watch, changes that every session is told of
	P99      time.Duration // at most
}

// The workloads, in the order they are run in.
const (
	Writes       = "writes"
	Reads        = "reads"
	Mixed        = "mixed"
	Linearizable = "linearizable reads"
	Watch        = "watch"
	Opens        = "session open"
)

// Loads are those that can be asked for. Sessions and writes are those of
// etcdctl check perf, whose limits are a tenth below the rate, too, and half a
// second for the slowest request.
var Loads = []Load{
	{Name: "small", Sessions: 50, Goals: goals(150, 1500, 5, 10)},
	{Name: "medium", Sessions: 200, Goals: goals(1000, 10_000, 5, 50)},
	{Name: "large", Sessions: 500, Goals: goals(8000, 40_000, 10, 200)},
}

func goals(writes, reads, changes, opens float64) []Goal {
	return []Goal{
		{Writes, writes, 100 * time.Millisecond},
		{Reads, reads, 50 * time.Millisecond},
		{Mixed, reads / 2, 100 * time.Millisecond},
		{Linearizable, reads / 2, 100 * time.Millisecond},
		{Watch, changes, 250 * time.Millisecond},
		{Opens, opens, 250 * time.Millisecond},
	}
}

// LoadNamed finds a load.
func LoadNamed(name string) (Load, error) {
	for _, l := range Loads {
		if l.Name == name {
			return l, nil
		}
	}
	return Load{}, fmt.Errorf("--load %q: want small, medium or large", name)
}

// Wants words what a PASS takes.
func (g Goal) Wants() string {
	return fmt.Sprintf(">= %.6g/s, p99 <= %d ms, 0 failed", g.Rate*leastShare, g.P99.Milliseconds())
}
