package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// again is what is looked at under the same load once more, since looking costs
// something itself.
type again struct {
	calls     map[string]float64 // system calls by name, for 1,000 operations or, where there are none, a second; nil without perf
	allocated []function         // parts of the bytes
	holders   waits              // of locks, by who let the others wait
	waiters   waits              // by who waited
}

// waits are how long goroutines waited, all together in seconds a second, and by
// function.
type waits struct {
	sum float64
	by  []function
}

// topOwner are so many of the functions that something belongs to.
const topOwner = 6

// fetched is a profile, or why there is none.
type fetched struct {
	profile *profile.Profile
	err     error
}

// fetch asks a server for what it does in a length of time that begins now.
func fetch(ctx context.Context, m *member, path string, length time.Duration) <-chan fetched {
	answer := make(chan fetched, 1)
	go func() {
		raw, err := page(ctx, m, fmt.Sprintf("%s?seconds=%g", path, length.Seconds()), length)
		if err != nil {
			answer <- fetched{err: err}
			return
		}
		parsed, err := profile.ParseData(raw)
		answer <- fetched{parsed, err}
	}()
	return answer
}

// lookAgain counts system calls a second.
func lookAgain(ctx context.Context, m *member, length time.Duration) (again, error) {
	allocs := fetch(ctx, m, "/debug/pprof/allocs", length)
	locks := fetch(ctx, m, "/debug/pprof/mutex", length)
	blocks := fetch(ctx, m, "/debug/pprof/block", length)
	calls := countCalls(ctx, m.process.pid(), length)
	allocated, held, waited := <-allocs, <-locks, <-blocks
	if err := errors.Join(allocated.err, held.err, waited.err); err != nil {
		return again{}, err
	}
	for name := range calls {
		calls[name] /= length.Seconds()
	}
	_, most := owners(allocated.profile, 1)
	return again{calls: calls, allocated: most, holders: waitsOf(held.profile, length), waiters: waitsOf(waited.profile, length)}, nil
}

// waitsOf reads a profile of locks or of all waits, whose values are nanoseconds.
func waitsOf(p *profile.Profile, length time.Duration) waits {
	sum, by := owners(p, 1)
	return waits{sum: sum / 1e9 / length.Seconds(), by: by}
}

// owners divides a value of a profile among the functions that it belongs to: the
// innermost that is none of the runtime or of a package of locks. What taking the
// profiles takes is left out.
func owners(p *profile.Profile, value int) (sum float64, most []function) {
	by := map[string]float64{}
	for _, s := range p.Sample {
		functions := functionsOf(s)
		if slices.ContainsFunc(functions, func(name string) bool { return hasPrefix(name, profilers) }) {
			continue
		}
		name := deferred.ReplaceAllString(owner(functions), "")
		sum += float64(s.Value[value])
		by[name] += float64(s.Value[value])
	}
	return sum, partsOf(by, sum, topOwner)
}

// profilers are the packages that take profiles.
var profilers = []string{"net/http/pprof.", "runtime/pprof.", "internal/profile."}

// deferred is what the compiler adds to the name of a function whose deferred call it wraps.
var deferred = regexp.MustCompile(`\.deferwrap\d+$`)

func owner(functions []string) string {
	for _, name := range functions {
		if !hasPrefix(name, []string{"runtime.", "sync.", "internal/sync.", "internal/runtime", "internal/poll.", "bytes.", "slices.", "maps."}) {
			return name
		}
	}
	if len(functions) == 0 {
		return remainder
	}
	return functions[0]
}

// partsOf are the greatest of several values, as parts of their sum.
func partsOf(by map[string]float64, sum float64, most int) []function {
	if sum == 0 {
		return nil
	}
	var all []function
	for _, name := range sortedNames(by) {
		all = append(all, function{name, by[name] / sum})
	}
	slices.SortStableFunc(all, func(a, b function) int {
		switch {
		case a.part > b.part:
			return -1
		case a.part < b.part:
			return 1
		}
		return 0
	})
	return all[:min(len(all), most)]
}

// allCalls is how perf names every system call together.
const allCalls = "raw_syscalls:sys_enter"

// namedCalls are those that a server makes while it serves.
var namedCalls = []string{"read", "write", "readv", "writev", "recvfrom", "sendto", "recvmsg", "sendmsg", "pread64", "pwrite64", "fsync", "fdatasync", "msync",
	"futex", "epoll_pwait", "epoll_ctl", "nanosleep", "sched_yield", "tgkill", "madvise", "mmap", "munmap", "accept4", "close", "setsockopt", "shutdown"}

// countCalls counts the system calls of a process with perf, which slows it down
// little; nil where that is not to be had.
func countCalls(ctx context.Context, pid int, length time.Duration) map[string]float64 {
	events := []string{allCalls}
	for _, name := range namedCalls {
		events = append(events, "syscalls:sys_enter_"+name)
	}
	cmd := exec.CommandContext(ctx, "perf", "stat", "-x,", "-e", strings.Join(events, ","), "-p", strconv.Itoa(pid), "--", "sleep", strconv.FormatFloat(length.Seconds(), 'f', -1, 64))
	var told bytes.Buffer
	cmd.Stderr = &told
	if err := cmd.Run(); err != nil {
		return nil
	}
	return readCalls(told.String())
}

// readCalls reads lines of "count,unit,event,...".
func readCalls(told string) map[string]float64 {
	counted := map[string]float64{}
	for line := range strings.Lines(told) {
		fields := strings.Split(line, ",")
		if len(fields) < 3 {
			continue
		}
		if n, err := strconv.ParseFloat(fields[0], 64); err == nil {
			counted[strings.TrimPrefix(fields[2], "syscalls:sys_enter_")] = n
		}
	}
	if counted[allCalls] == 0 {
		return nil
	}
	return counted
}

// leastPart of all system calls is told.
const leastPart = 0.02

// tellCalls is a table of the system calls that count in some scene.
func tellCalls(b *strings.Builder, all []profiled) {
	b.WriteString("\n## System calls\n\n")
	if !slices.ContainsFunc(all, func(one profiled) bool { return one.again.calls != nil }) {
		b.WriteString("They were not counted: perf is missing, or may not look at them.\n")
		return
	}
	profileHead(b, "per 1,000 operations", all)
	told := map[string]bool{}
	for _, one := range all {
		for name, n := range one.again.calls {
			told[name] = told[name] || n >= leastPart*one.again.calls[allCalls]
		}
	}
	maps.DeleteFunc(told, func(_ string, counts bool) bool { return !counts })
	delete(told, allCalls)
	for _, name := range append([]string{allCalls}, sortedNames(told)...) {
		label := "`" + name + "`"
		if name == allCalls {
			label = "all"
		}
		fmt.Fprintf(b, "| %s |", label)
		for _, one := range all {
			fmt.Fprintf(b, " %s |", number(one.again.calls[name]))
		}
		b.WriteString("\n")
	}
}

// tellAllocated says who allocates.
func tellAllocated(b *strings.Builder, all []profiled) {
	b.WriteString("\n## Who allocates, by bytes\n\n")
	for _, one := range all {
		fmt.Fprintf(b, "%s, %s:\n\n", one.servedBy(), one.scene)
		listParts(b, one.again.allocated)
	}
}

// tellCopied says who has memory copied.
func tellCopied(b *strings.Builder, all []profiled) {
	b.WriteString("## Who copies memory\n\nBy the innermost function that is none of Go's own. What the kernel copies, of sockets and files, is within the system calls.\n\n")
	for _, one := range all {
		fmt.Fprintf(b, "%s, %s: %.1f %% of the CPU.\n\n", one.servedBy(), one.scene, one.where.copied*100)
		listParts(b, one.where.copiers)
	}
}

// tellWaits says what goroutines wait for.
func tellWaits(b *strings.Builder, all []profiled) {
	b.WriteString("## What is waited for\n\nFor contended locks, by who held them; and for locks, channels and conditions together, by who waited, most of whom have nothing to do.\n\n")
	for _, one := range all {
		for _, w := range []struct {
			what string
			waits
		}{{"for locks", one.again.holders}, {"altogether", one.again.waiters}} {
			fmt.Fprintf(b, "%s, %s: waited %s %s s a second.\n\n", one.servedBy(), one.scene, w.what, number(w.sum))
			listParts(b, w.by)
		}
	}
}

func listParts(b *strings.Builder, all []function) {
	if len(all) == 0 {
		b.WriteString("- nothing that was sampled\n")
	}
	for _, f := range all {
		fmt.Fprintf(b, "- %.1f %% `%s`\n", f.part*100, f.name)
	}
	b.WriteString("\n")
}
