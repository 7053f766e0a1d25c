package bench

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// From so much of the processors here on what was measured tells of this machine as
// much as of the cluster.
const (
	limitedOwn  = 0.8  // by this program
	limitedHere = 0.95 // by everybody
)

// usage is what was used of the processors here.
type usage struct {
	own       time.Duration
	busy, all int64 // of the machine, in ticks; 0 where nobody tells
}

// used is that until now.
func used() usage {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // of oneself it cannot fail
	raw, _ := os.ReadFile("/proc/stat")            // of Linux
	busy, all := ticksOf(string(raw))
	return usage{time.Duration(u.Utime.Nano() + u.Stime.Nano()), busy, all}
}

// ticksOf reads the first line of /proc/stat: "cpu user nice system idle iowait ...",
// and behind the first eight what is in the others already.
func ticksOf(stat string) (busy, all int64) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, 0
	}
	for i, field := range fields[1:9] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0
		}
		if all += n; i != 3 && i != 4 {
			busy += n
		}
	}
	return busy, all
}

// metered notes with a workload what it took of the processors here to put it on the
// cluster.
func metered(used func() usage, do func() (Result, error)) (Result, error) {
	begin, before := time.Now(), used()
	result, err := do()
	after := used()
	if whole := time.Since(begin) * time.Duration(runtime.GOMAXPROCS(0)); whole > 0 {
		result.OwnCPU = float64(after.own-before.own) / float64(whole)
	}
	if whole := after.all - before.all; whole > 0 {
		result.HereCPU = float64(after.busy-before.busy) / float64(whole)
	}
	return result, err
}

// Limited tells whether the machine of this program was the limit of what was done at
// most, or may be why it was not enough.
func (r *Result) Limited() bool {
	return (r.ClosedLoop || len(r.Faults()) > 0) && (r.OwnCPU > limitedOwn || r.HereCPU > limitedHere)
}
