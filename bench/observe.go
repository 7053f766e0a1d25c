package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	maxPage    = 64 << 20 // of what a server tells of itself
	pageWithin = 10 * time.Second
)

// page fetches what a server tells of itself; within is beside what it takes to
// gather it.
func page(ctx context.Context, m *member, path string, within time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within+pageWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.web+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxPage))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, answer.Status, strings.TrimSpace(string(body)))
	}
	return body, err
}

// counters are the figures of a server without labels, those that it counts
// itself and those of the kernel.
func counters(ctx context.Context, m *member) (map[string]float64, error) {
	text, err := page(ctx, m, "/metrics", 0)
	if err != nil {
		return nil, err
	}
	all := map[string]float64{}
	for lines := bufio.NewScanner(strings.NewReader(string(text))); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if all[name], err = strconv.ParseFloat(value, 64); err != nil {
			return nil, fmt.Errorf("/metrics: %q: %w", lines.Text(), err)
		}
	}
	kernelCounters(m.process.pid(), all)
	return all, nil
}

// syncsTotal counts the times that a server has made its log durable.
const syncsTotal = "lycaon_store_syncs_total"

// What the kernel counts of a process.
const (
	sleeps     = "sleeps" // of a thread that waited, for work or for the disk
	pageFaults = "page faults"
)

func kernelCounters(pid int, into map[string]float64) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid)) // fails for a bad pattern alone
	for _, t := range threads {
		if n, err := strconv.ParseFloat(fieldOf(t, "voluntary_ctxt_switches"), 64); err == nil {
			into[sleeps] += n
		}
	}
	stat := contents(fmt.Sprintf("/proc/%d/stat", pid))
	if fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]); len(fields) > 7 {
		into[pageFaults], _ = strconv.ParseFloat(fields[7], 64)
	}
}

// growth is how much counters have grown.
func growth(before, after map[string]float64) map[string]float64 {
	grown := map[string]float64{}
	for name, v := range after {
		grown[name] = v - before[name]
	}
	return grown
}
