package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// scene is a figure that no floor stands beside: what a user does, told in
// one line. zk does the same by ZooKeeper's protocol.
type scene struct {
	name     string
	play, zk func(s *stage) (string, error)
}

var scenes = []scene{
	{"sessions", playSessions, zkSessions},
	{"watchers", playWatchers, zkWatchers},
	{"listing", playListing, zkListing},
	{"create", playCreate, zkCreation},
	{"memory", playMemory, playMemory},
	{"idle", playIdle, nil},
	{"restart", playRestart, nil},
}

// stage is the servers that scenes run on, one after the other.
type stage struct {
	*ensemble
	nodes int // made by create
}

// at is the address of the ith client.
func (s *stage) at(i int) string { return s.members[i%len(s.members)].addr }

func playScenes(ctx context.Context, binary, dir, beside, only string, nodes, servers int) error {
	stages := []system{lycaon{binary}}
	if beside == "zookeeper" {
		stages = append(stages, zookeeper{})
	}
	var all []*stage
	for _, sys := range stages {
		e, err := raise(ctx, sys, dir, servers)
		if err != nil {
			return err
		}
		defer e.fell()
		all = append(all, &stage{ensemble: e, nodes: nodes})
	}
	fmt.Printf("%d servers, load %s\n", servers, loadAverage())
	for _, sc := range scenes {
		if !strings.Contains(only, sc.name) && only != "" {
			continue
		}
		for i, play := range []func(*stage) (string, error){sc.play, sc.zk}[:len(all)] {
			if play == nil {
				continue
			}
			told, err := all[i].perform(play)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", all[i].name(), sc.name, err)
			}
			fmt.Printf("%-10s %-9s %s\n", sc.name, all[i].name(), told)
		}
	}
	return nil
}

// perform plays one scene and adds what it cost, unless the servers were
// started again in it.
func (s *stage) perform(play func(*stage) (string, error)) (string, error) {
	pids := s.pids()
	before, err := cpuOf(pids)
	if err != nil {
		return "", err
	}
	told, err := play(s)
	if err != nil || !slices.Equal(s.pids(), pids) {
		return told, err
	}
	after, err := cpuOf(pids)
	return told + fmt.Sprintf("; server CPU %.2f s", (after-before).Seconds()), err
}

// eachOf runs f for n clients at once and joins what goes wrong.
func eachOf(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// playSessions opens a session, makes an ephemeral node and closes, on 32
// connections at once.
func playSessions(s *stage) (string, error) {
	ctx := context.Background()
	begin := time.Now()
	err := eachOf(churners, func(i int) error {
		for range churns {
			servers, pinned := only(s.at(i))
			c, err := client.Open(ctx, servers, pinned)
			if err != nil {
				return err
			}
			if _, err := c.Create(ctx, fmt.Sprintf("/e%d", i), nil, client.Ephemeral()); err != nil {
				return err
			}
			if err := c.Close(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return toldSessions(begin), err
}

// playWatchers tells one change to 1,000 connections.
func playWatchers(s *stage) (string, error) {
	ctx := context.Background()
	writer, err := client.Open(ctx, s.addrs())
	if err != nil {
		return "", err
	}
	defer writer.Close(ctx)
	if _, err := writer.Create(ctx, "/watched", nil); err != nil {
		return "", err
	}
	conns := make([]*conn, watchers)
	if err := eachOf(watchers, func(i int) (err error) {
		if conns[i], err = dial(s.at(i)); err != nil {
			return err
		}
		conns[i].request(&protocol.Request{Op: protocol.OpWatch, Watches: []protocol.Watch{{Path: "/watched", Mode: protocol.WatchPersistent}}})
		return errors.Join(conns[i].flush(), conns[i].receive())
	}); err != nil {
		return "", err
	}
	told := make(chan error, watchers)
	for _, c := range conns {
		defer c.Close()
		go func() {
			for {
				frame, err := protocol.ReadFrame(c.in, c.buf, protocol.DefaultLimits().MaxFrame)
				told <- err
				if err != nil {
					return
				}
				c.buf = frame[:0]
			}
		}()
	}
	var took []time.Duration
	for range changes {
		begin := time.Now()
		if _, err := writer.Set(ctx, "/watched", []byte("changed")); err != nil {
			return "", err
		}
		for range watchers {
			if err := <-told; err != nil {
				return "", err
			}
		}
		took = append(took, time.Since(begin))
	}
	return toldWatchers(took), nil
}

// fill creates count nodes below parent, pipelined on 32 connections.
func fill(addrs []string, count int, path func(i int) string, data []byte) error {
	const conns, depth = 32, 32
	var next atomic.Int64
	return eachOf(conns, func(i int) error {
		c, err := dial(addrs[i%len(addrs)])
		if err != nil {
			return err
		}
		defer c.Close()
		for done := false; !done || c.acks < c.xid; {
			for !done && c.xid-c.acks < depth {
				i := int(next.Add(1)) - 1
				if done = i >= count; !done {
					c.request(&protocol.Request{Op: protocol.OpCreate, Body: protocol.AppendCreate(nil, &znode.CreateOp{Path: path(i), Data: data, ACL: znode.OpenACL})})
				}
			}
			if err := c.flush(); err != nil {
				return err
			}
			for first := true; c.acks < c.xid && (first || c.in.Buffered() > 0); first = false {
				if err := c.receive(); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// playListing lists 10,000 children on 8 connections.
func playListing(s *stage) (string, error) {
	ctx := context.Background()
	c, err := client.Open(ctx, s.addrs())
	if err != nil {
		return "", err
	}
	defer c.Close(ctx)
	if _, err := c.Create(ctx, "/many", nil); err != nil {
		return "", err
	}
	if err := fill(s.addrs(), children, child, nil); err != nil {
		return "", err
	}
	begin := time.Now()
	err = eachOf(listers, func(i int) error {
		c, err := dial(s.at(i))
		if err != nil {
			return err
		}
		defer c.Close()
		for range lists {
			c.request(&protocol.Request{Op: protocol.OpChildren, Read: protocol.Read{Op: protocol.OpChildren, Path: "/many"}})
			if err := errors.Join(c.flush(), c.receive()); err != nil {
				return err
			}
		}
		return nil
	})
	return toldListing(begin), err
}

// playCreate makes nodes of 100 bytes with paths of 37, on three levels.
func playCreate(s *stage) (string, error) {
	ctx := context.Background()
	c, err := client.Open(ctx, s.addrs())
	if err != nil {
		return "", err
	}
	defer c.Close(ctx)
	dirs := (s.nodes + fan - 1) / fan
	if _, err := c.Create(ctx, "/fill", nil); err != nil {
		return "", err
	}
	for d := range dirs {
		if _, err := c.Create(ctx, directory(d), nil); err != nil {
			return "", err
		}
	}
	begin := time.Now()
	err = fill(s.addrs(), s.nodes, leaf, make([]byte, 100))
	return s.toldCreate(begin), err
}

// playMemory reads what the server's process holds, of several the largest.
func playMemory(s *stage) (string, error) {
	largest := map[string]int{}
	for _, pid := range s.pids() {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(string(status)) {
			name, rest, _ := strings.Cut(line, ":")
			if fields := strings.Fields(rest); strings.HasPrefix(name, "Rss") || name == "VmRSS" {
				kib, err := strconv.Atoi(fields[0])
				if err != nil {
					return "", err
				}
				largest[name] = max(largest[name], kib)
			}
		}
	}
	return fmt.Sprintf("%d MiB resident, %d MiB of them anonymous (%d bytes a node)",
		largest["VmRSS"]>>10, largest["RssAnon"]>>10, largest["RssAnon"]<<10/max(1, s.nodes)), nil
}

// playIdle leaves 1,000 clients alone with their heartbeats.
func playIdle(s *stage) (string, error) {
	const clients, length = 1000, 20 * time.Second
	ctx := context.Background()
	all := make([]*client.Client, clients)
	defer func() {
		eachOf(clients, func(i int) error {
			if all[i] != nil {
				return all[i].Close(ctx)
			}
			return nil
		})
	}()
	if err := eachOf(clients, func(i int) (err error) {
		servers, pinned := only(s.at(i))
		all[i], err = client.Open(ctx, servers, pinned, client.WithSessionTimeout(sessionLength))
		return err
	}); err != nil {
		return "", err
	}
	before, err := cpuOf(s.pids())
	if err != nil {
		return "", err
	}
	time.Sleep(length)
	after, err := cpuOf(s.pids())
	share := (after - before).Seconds() / length.Seconds() / float64(len(s.members)) * 100
	return fmt.Sprintf("%.2f %% of a core a server, with %d sessions", share, clients), err
}

// playRestart kills every server with -9 and waits until a client reads what
// is the newest.
func playRestart(s *stage) (string, error) {
	const times = 3
	var took []time.Duration
	for range times {
		for _, m := range s.members {
			m.process.signal(syscall.SIGKILL)
		}
		for _, m := range s.members {
			<-m.process.ended
		}
		begin := time.Now()
		for _, m := range s.members {
			if err := m.start(); err != nil {
				return "", err
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		c, err := client.OpenGuest(ctx, s.addrs())
		if err == nil {
			_, err = c.Get(ctx, "/", client.Linearizable())
			took = append(took, time.Since(begin))
			err = errors.Join(err, c.Close(ctx))
		}
		cancel()
		if err != nil {
			return "", err
		}
	}
	slices.Sort(took)
	return fmt.Sprintf("%.2f s from kill -9 to the first read with %d nodes, median of %d", took[times/2].Seconds(), s.nodes, times), nil
}
