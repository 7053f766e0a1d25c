package clienttest_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

// BenchmarkServer measures a whole server, its log synced to disk, through
// this client over loopback in one process: cpu-us is of both. Shapes are
// connections x requests in flight on each.
func BenchmarkServer(b *testing.B) {
	data := bytes.Repeat([]byte("x"), 1024)
	read := func(ctx context.Context, c *client.Client, path string) error {
		_, err := c.Get(ctx, path)
		return err
	}
	write := func(ctx context.Context, c *client.Client, path string) error {
		_, err := c.Set(ctx, path, data)
		return err
	}
	linearizable := func(ctx context.Context, c *client.Client, path string) error {
		_, err := c.Get(ctx, path, client.Linearizable())
		return err
	}
	for _, bm := range []struct {
		name        string
		op          func(context.Context, *client.Client, string) error
		conns, deep int
	}{
		{"read", read, 1, 1}, {"read", read, 32, 32},
		{"write", write, 1, 1}, {"write", write, 32, 32},
		{"linearizable", linearizable, 1, 1}, {"linearizable", linearizable, 32, 32},
	} {
		b.Run(fmt.Sprintf("%s/%dx%d", bm.name, bm.conns, bm.deep), func(b *testing.B) {
			cluster := clienttest.Start(b)
			clients := make([]*client.Client, bm.conns)
			for i := range clients {
				clients[i] = cluster.Client(b)
				if _, err := clients[i].Create(b.Context(), fmt.Sprintf("/n%d", i), data); err != nil {
					b.Fatal(err)
				}
			}
			cpu := cpuTime()
			b.ResetTimer()
			took := load(b, clients, bm.deep, bm.op)
			b.StopTimer()
			b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-us/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
		})
	}
}

// BenchmarkSession is a session from open to close, with an ephemeral node.
func BenchmarkSession(b *testing.B) {
	cluster := clienttest.Start(b)
	ctx := context.Background()
	var wg sync.WaitGroup
	for w := range 32 {
		n := b.N / 32
		if w < b.N%32 {
			n++
		}
		wg.Go(func() {
			for range n {
				c, err := client.Open(ctx, cluster.Addrs())
				if err == nil {
					_, err = c.Create(ctx, "/e-", nil, client.Ephemeral(), client.Sequential())
				}
				if err == nil {
					err = c.Close(ctx)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sessions/s")
}

// load runs b.N operations on deep goroutines of each client and returns what
// each took.
func load(b *testing.B, clients []*client.Client, deep int, op func(context.Context, *client.Client, string) error) []time.Duration {
	var wg sync.WaitGroup
	workers := len(clients) * deep
	took := make([][]time.Duration, workers)
	for w := range workers {
		c, path := clients[w/deep], fmt.Sprintf("/n%d", w/deep)
		n := b.N / workers
		if w < b.N%workers {
			n++
		}
		wg.Go(func() {
			for range n {
				began := time.Now()
				if err := op(context.Background(), c, path); err != nil {
					b.Error(err)
					return
				}
				took[w] = append(took[w], time.Since(began))
			}
		})
	}
	wg.Wait()
	return slices.Concat(took...)
}

func cpuTime() time.Duration {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
