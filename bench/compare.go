package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// target is what is compared: one server, or several of one cluster.
type target struct {
	name    string
	addrs   []string // the leader's first
	pids    []int
	settle  func() error // orders addrs again before a run
	prepare func(addr string) error
	dial    func(addr string) (pipe, error)
	results map[string][]result
}

// compare puts the workloads on servers of Lycaon and in turn on what stands
// beside them: the floor, or as many servers of ZooKeeper. With asZooKeeper the
// load on Lycaon is that on ZooKeeper, by the same program in its protocol.
func compare(ctx context.Context, binary, dir, beside string, length time.Duration, rounds, servers int, only string, asZooKeeper bool) error {
	lycaon, stop, err := startSystem(ctx, lycaon{binary: binary}, dir, servers)
	if err != nil {
		return err
	}
	defer stop()
	lycaon.prepare, lycaon.dial = prepare, dialPipe
	if asZooKeeper {
		lycaon.prepare, lycaon.dial = prepareZK, dialZK
	}
	other, stopOther, err := startBeside(ctx, dir, beside, servers)
	if err != nil {
		return err
	}
	defer stopOther()
	targets := []*target{lycaon, other}
	for _, t := range targets {
		if err := t.prepare(t.addrs[0]); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	fmt.Printf("%d of lycaon, load %s\n", servers, loadAverage())
	fmt.Printf("%-26s %-9s %10s %10s %10s %12s %9s %9s\n", "workload (1 KiB)", "server", "ops/s", "p50 ms", "p99 ms", "CPU s/1k ops", "rate x", "CPU x")
	for _, w := range workloads {
		if !strings.Contains(w.name, only) || servers == 1 && w.at > 0 {
			continue
		}
		for range rounds {
			for _, t := range targets {
				if err := t.settle(); err != nil {
					return err
				}
				r, err := t.run(w, length)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", t.name, w.name, err)
				}
				t.results[w.name] = append(t.results[w.name], r)
			}
		}
		report(w, lycaon, other)
	}
	return nil
}

// startSystem makes an ensemble comparable.
func startSystem(ctx context.Context, s system, dir string, servers int) (*target, func(), error) {
	e, err := raise(ctx, s, dir, servers)
	if err != nil {
		return nil, nil, err
	}
	t := &target{name: e.name(), addrs: e.addrs(), pids: e.pids(), results: map[string][]result{}}
	t.settle = func() error {
		leader, err := e.healthy(ctx)
		t.addrs = e.from(leader)
		return err
	}
	return t, e.fell, nil
}

func startBeside(ctx context.Context, dir, beside string, servers int) (*target, func(), error) {
	switch beside {
	case "floor":
		return startFloor(dir)
	case "zookeeper":
		t, stop, err := startSystem(ctx, zookeeper{}, dir, servers)
		if err == nil {
			t.prepare, t.dial = prepareZK, dialZK
		}
		return t, stop, err
	}
	return nil, nil, fmt.Errorf("no %q to stand beside: want floor or zookeeper", beside)
}

// load drives a server that somebody else runs; its CPU is not measured.
func load(addr string, length time.Duration, only string) error {
	if err := prepare(addr); err != nil {
		return err
	}
	for _, w := range workloads {
		if !strings.Contains(w.name, only) || w.at > 0 {
			continue
		}
		t := &target{addrs: []string{addr}, pids: []int{os.Getpid()}, dial: dialPipe}
		r, err := t.run(w, length)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		fmt.Printf("%-26s %10.0f ops/s, p50 %.3f ms, p99 %.3f ms\n", w.name, r.rate(), r.p50.Seconds()*1e3, r.p99.Seconds()*1e3)
	}
	return nil
}

func report(w workload, lycaon, other *target) {
	base := median(other.results[w.name])
	for _, t := range []*target{lycaon, other} {
		r := median(t.results[w.name])
		fmt.Printf("%-26s %-9s %10.0f %10.3f %10.3f %12.4f %9.2f %9.2f\n", w.name, t.name, r.rate(),
			r.p50.Seconds()*1e3, r.p99.Seconds()*1e3, r.cpuPerK(), r.rate()/base.rate(), r.cpuPerK()/base.cpuPerK())
	}
}

// median is the run whose rate is in the middle.
func median(rs []result) result {
	sorted := slices.SortedFunc(slices.Values(rs), func(a, b result) int { return cmp.Compare(a.rate(), b.rate()) })
	return sorted[len(sorted)/2]
}

func startFloor(dir string) (t *target, stop func(), err error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	p, err := start(addr, self, "-floor", addr, "-dir", filepath.Clean(dir))
	if err != nil {
		return nil, nil, err
	}
	return &target{name: "floor", addrs: []string{addr}, pids: []int{p.pid()}, settle: func() error { return nil },
		prepare: prepare, dial: dialPipe, results: map[string][]result{}}, p.stop, nil
}
