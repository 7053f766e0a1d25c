package native_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lycaon-io/lycaon/client"
)

// BenchmarkTCP measures client and front together over loopback, on a log in
// memory: what the protocol itself costs. Figures are per operation; cpu-us
// is of both sides.
func BenchmarkTCP(b *testing.B) {
	data := bytes.Repeat([]byte("x"), 1024)
	ops := map[string]func(context.Context, *client.Client, string) error{
		"read": func(ctx context.Context, c *client.Client, path string) error {
			_, err := c.Get(ctx, path)
			return err
		},
		"write": func(ctx context.Context, c *client.Client, path string) error {
			_, err := c.Set(ctx, path, data)
			return err
		},
	}
	for _, op := range []string{"read", "write"} {
		for _, shape := range []struct{ conns, deep int }{{1, 1}, {1, 32}, {32, 32}} {
			b.Run(fmt.Sprintf("%s/%dx%d", op, shape.conns, shape.deep), func(b *testing.B) {
				s := start(b)
				clients := make([]*client.Client, shape.conns)
				for i := range clients {
					clients[i] = s.open()
					if _, err := clients[i].Create(b.Context(), fmt.Sprintf("/n%d", i), data); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportAllocs()
				cpu := cpuTime()
				b.ResetTimer()
				spread(b, clients, shape.deep, ops[op])
				b.StopTimer()
				b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-us/op")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
			})
		}
	}
}

// spread runs b.N operations on deep goroutines of each client.
func spread(b *testing.B, clients []*client.Client, deep int, op func(context.Context, *client.Client, string) error) {
	var wg sync.WaitGroup
	workers := len(clients) * deep
	for w := range workers {
		c, path := clients[w/deep], fmt.Sprintf("/n%d", w/deep)
		n := b.N / workers
		if w < b.N%workers {
			n++
		}
		wg.Go(func() {
			for range n {
				if err := op(context.Background(), c, path); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func cpuTime() time.Duration {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
