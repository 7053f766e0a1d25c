package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	floorAddr := flag.String("floor", "", "serve the floor on this address and do nothing else")
	dir := flag.String("dir", "", "where the servers keep their data (default: a temporary folder)")
	binary := flag.String("lycaon", "../bin/lycaon", "the server's binary")
	length := flag.Duration("length", 3*time.Second, "of one run")
	rounds := flag.Int("rounds", 3, "runs of each workload on each server, in turn; medians are printed")
	only := flag.String("only", "", "run the workloads whose name contains this; of -failover and -rolling: these systems alone, comma-separated")
	addr := flag.String("addr", "", "put the load on this running server instead, for a profile of it")
	playing := flag.Bool("scenes", false, "play the scenes: sessions, watchers, listing, create, memory, restart")
	count := flag.Int("nodes", 100_000, "made by the scene create")
	failing := flag.Bool("failover", false, "strike the leaders of three servers each of Lycaon, ZooKeeper and etcd (20 rounds are worth quoting)")
	rolled := flag.Bool("rolling", false, "restart three servers each, one after the other, under load")
	strikes := flag.String("fault", "kill,stop,term,disk", "of -failover: kill -9, SIGSTOP, SIGTERM, a hanging disk")
	file := flag.String("json", "", "of -failover and -rolling: write the figures to this file too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case *floorAddr != "":
		err = serveFloor(*floorAddr, *dir)
	case *addr != "":
		err = load(*addr, *length, *only)
	default:
		err = inFolder(*dir, func(dir string) error {
			switch {
			case *failing:
				return playFailover(ctx, dir, *binary, *only, *strikes, *rounds, *file)
			case *rolled:
				return playRolling(ctx, dir, *binary, *only, *rounds, *file)
			case *playing:
				return playScenes(*binary, dir, *only, *count)
			}
			return compare(*binary, dir, *length, *rounds, *only)
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// systemsNamed are those of a comma-separated list; all without one.
func systemsNamed(binary, names string) ([]system, error) {
	all := []system{lycaon{binary}, zookeeper{}, etcd{}}
	if names == "" {
		return all, nil
	}
	var chosen []system
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(s system) bool { return s.name() == name })
		if i < 0 {
			return nil, fmt.Errorf("no system %q: want lycaon, zookeeper or etcd", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func playFailover(ctx context.Context, dir, binary, only, strikes string, rounds int, file string) error {
	systems, err := systemsNamed(binary, only)
	if err != nil {
		return err
	}
	trials, err := failover(ctx, dir, systems, strings.Split(strikes, ","), rounds)
	rows := summarize(trials) // also of a run that was cut short
	tabulate(rows)
	return errors.Join(err, save(file, map[string]any{"rows": rows, "trials": trials}))
}

func playRolling(ctx context.Context, dir, binary, only string, rounds int, file string) error {
	systems, err := systemsNamed(binary, only)
	if err != nil {
		return err
	}
	rolls, err := rolling(ctx, dir, systems, rounds)
	return errors.Join(err, save(file, rolls))
}

// inFolder gives f a folder for the servers' data, by default one that is
// gone afterwards.
func inFolder(dir string, f func(dir string) error) error {
	if dir != "" {
		return f(dir)
	}
	tmp, err := os.MkdirTemp("", "lycaon-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	return f(tmp)
}

// target is one of the servers that are compared.
type target struct {
	name    string
	process *process
	results map[string][]result
}

func compare(binary, dir string, length time.Duration, rounds int, only string) error {
	lycaon, err := startLycaon(binary, dir)
	if err != nil {
		return err
	}
	defer lycaon.process.stop()
	floor, err := startFloor(dir)
	if err != nil {
		return err
	}
	defer floor.process.stop()
	targets := []*target{lycaon, floor}
	for _, t := range targets {
		if err := prepare(t.process.addr); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	fmt.Printf("%-26s %-7s %10s %10s %10s %12s %9s %9s\n", "workload (1 KiB)", "server", "ops/s", "p50 ms", "p99 ms", "CPU s/1k ops", "of floor", "CPU ratio")
	for _, w := range workloads {
		if !strings.Contains(w.name, only) {
			continue
		}
		for range rounds {
			for _, t := range targets {
				r, err := run(t.process.addr, t.process.cmd.Process.Pid, w, length)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", t.name, w.name, err)
				}
				t.results[w.name] = append(t.results[w.name], r)
			}
		}
		report(w, lycaon, floor)
	}
	return nil
}

// load drives a server that somebody else runs; its CPU is not measured.
func load(addr string, length time.Duration, only string) error {
	if err := prepare(addr); err != nil {
		return err
	}
	for _, w := range workloads {
		if !strings.Contains(w.name, only) {
			continue
		}
		r, err := run(addr, os.Getpid(), w, length)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		fmt.Printf("%-26s %10.0f ops/s, p50 %.3f ms, p99 %.3f ms\n", w.name, r.rate(), r.p50.Seconds()*1e3, r.p99.Seconds()*1e3)
	}
	return nil
}

func report(w workload, lycaon, floor *target) {
	base := median(floor.results[w.name])
	for _, t := range []*target{lycaon, floor} {
		r := median(t.results[w.name])
		fmt.Printf("%-26s %-7s %10.0f %10.3f %10.3f %12.4f %9.2f %9.2f\n", w.name, t.name, r.rate(),
			r.p50.Seconds()*1e3, r.p99.Seconds()*1e3, r.cpuPerK(), r.rate()/base.rate(), r.cpuPerK()/base.cpuPerK())
	}
}

// median is the run whose rate is in the middle.
func median(rs []result) result {
	sorted := slices.SortedFunc(slices.Values(rs), func(a, b result) int { return cmp.Compare(a.rate(), b.rate()) })
	return sorted[len(sorted)/2]
}

func startLycaon(binary, dir string) (*target, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	peer, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := start(addr, binary, "serve", "--id", "1", "--data-dir", dir+"/lycaon",
		"--client-addr", addr, "--peer-addr", peer, "--http-addr", "off", "--log-level", "warn")
	return &target{name: "lycaon", process: p, results: map[string][]result{}}, err
}

func startFloor(dir string) (*target, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, err := start(addr, self, "-floor", addr, "-dir", dir)
	return &target{name: "floor", process: p, results: map[string][]result{}}, err
}
