package main

import (
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
	rounds := flag.Int("rounds", 3, "of -failover and -rolling")
	only := flag.String("only", "", "of -failover and -rolling: these systems alone, comma-separated")
	failing := flag.Bool("failover", false, "strike the leaders of three servers each of Lycaon, ZooKeeper and etcd (20 rounds are worth quoting)")
	rolled := flag.Bool("rolling", false, "restart three servers each, one after the other, under load")
	strikes := flag.String("fault", "kill,stop,term,disk", "of -failover: kill -9, SIGSTOP, SIGTERM, a hanging disk")
	file := flag.String("json", "", "of -failover and -rolling: write the figures to this file too")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: go run . %s [flags], which -h lists of each\n   or: go run . -failover or -rolling, with these flags:\n", strings.Join(sortedNames(commands), "|"))
		flag.PrintDefaults()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends it at once, but for one on the heels of the first: timeout and
	// make both send theirs.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	if len(os.Args) > 1 && commands[os.Args[1]] != nil {
		exit(commands[os.Args[1]](ctx, os.Args[2:]))
		return
	}
	err := parse(flag.CommandLine, os.Args[1:])
	switch {
	case err != nil:
	case *floorAddr != "":
		err = serveFloor(ctx, *floorAddr, *dir)
	case *failing:
		err = inFolder(*dir, func(dir string) error {
			return playFailover(ctx, dir, *binary, *only, *strikes, *rounds, *file)
		})
	case *rolled:
		err = inFolder(*dir, func(dir string) error {
			return playRolling(ctx, dir, *binary, *only, *rounds, *file)
		})
	default:
		flag.Usage()
		os.Exit(2)
	}
	exit(err)
}

// commands have flags of their own.
var commands = map[string]func(ctx context.Context, args []string) error{"peers": playPeers, "profile": playProfile, "report": playReport, "scale": playScale}

func exit(err error) {
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "bench: ended early")
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// systemsNamed are those of a comma-separated list; all without one.
func systemsNamed(binary, names string) ([]system, error) {
	all := []system{lycaon{binary: binary}, zookeeper{}, etcd{}}
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
	chosen := strings.Split(strikes, ",")
	for _, name := range chosen {
		if !slices.ContainsFunc(faults, func(f fault) bool { return f.name == name }) {
			return fmt.Errorf("no fault %q: want kill, stop, term or disk", name)
		}
	}
	trials, err := failover(ctx, dir, systems, chosen, rounds)
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
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		return f(dir)
	}
	tmp, err := os.MkdirTemp("", "lycaon-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	return f(tmp)
}
