package client

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// answererEnv makes this program the server of the benchmark: a process of its own,
// so that what is counted is the client's.
const answererEnv = "LYCAON_CLIENT_BENCH_ANSWERER"

// BenchmarkCalls is of 32 clients with 32 goroutines each, against a server that
// answers at once. CPU is that of the clients alone.
func BenchmarkCalls(b *testing.B) {
	value := make([]byte, 1<<10)
	for _, bench := range []struct {
		name string
		call func(ctx context.Context, c *Client) error
	}{
		{"Get", func(ctx context.Context, c *Client) error { _, err := c.Get(ctx, "/bench/node-17"); return err }},
		{"Set", func(ctx context.Context, c *Client) error {
			_, err := c.Set(ctx, "/bench/node-17", value)
			return err
		}},
		{"GetAnyway", func(_ context.Context, c *Client) error {
			_, err := c.Get(context.Background(), "/bench/node-17")
			return err
		}},
		{"GetWithin", func(ctx context.Context, c *Client) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			_, err := c.Get(ctx, "/bench/node-17")
			return err
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			clients := openAtAnswerer(b, 32)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			b.ReportAllocs()
			b.ResetTimer()
			before := ownCPU(b)
			var wg sync.WaitGroup
			const each = 32
			per := max(1, b.N/(len(clients)*each))
			for _, c := range clients {
				for range each {
					wg.Go(func() {
						for range per {
							if err := bench.call(ctx, c); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
			}
			wg.Wait()
			ops := float64(per * each * len(clients))
			b.ReportMetric((ownCPU(b)-before).Seconds()*1e9/ops, "cpu-ns/op")
			b.ReportMetric(ops/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

func ownCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func openAtAnswerer(b *testing.B, n int) []*Client {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), answererEnv+"=1")
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	var addr string
	_, err = fmt.Fscanln(out, &addr)
	require.NoError(b, err)
	var clients []*Client
	for range n {
		c, err := Open(b.Context(), []string{addr}, WithOnlyGivenServers())
		require.NoError(b, err)
		b.Cleanup(c.Abandon)
		clients = append(clients, c)
	}
	return clients
}

// answer serves until its standard input ends.
func answer() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				answerAll(nc)
			}()
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// answerAll looks at the head of a request alone.
func answerAll(nc net.Conn) error {
	answers := map[protocol.Op][]byte{}
	for op, m := range map[protocol.Op]protocol.Message{
		protocol.OpGet:     {Data: make([]byte, 1<<10), Stat: znode.Stat{Czxid: 1, Mzxid: 1, DataLength: 1 << 10}},
		protocol.OpSet:     {Stat: znode.Stat{Czxid: 1, Mzxid: 1, DataLength: 1 << 10}},
		protocol.OpPing:    {More: &protocol.More{}},
		protocol.OpMembers: {More: &protocol.More{}},
	} {
		m.Op, m.Zxid = op, 1
		answers[op] = protocol.AppendMessage(nil, &m)
	}
	r := bufio.NewReaderSize(nc, readBufferSize)
	if _, err := r.Discard(len(protocol.Magic)); err != nil {
		return err
	}
	if _, err := protocol.ReadFrame(r, nil, protocol.PreHelloMaxFrame); err != nil {
		return err
	}
	out := protocol.AppendWelcome(nil, &protocol.Welcome{
		Version: protocol.Version, Session: fakeSession, Password: make([]byte, passwordSize), Generation: 1,
		TimeoutMs: defaultSessionTimeout.Milliseconds(), Zxid: 1, Limits: protocol.DefaultLimits(),
	})
	var frame []byte
	for {
		if r.Buffered() == 0 {
			if _, err := nc.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
		var err error
		if frame, err = protocol.ReadFrame(r, frame, maxFrame); err != nil {
			return err
		}
		reply, known := answers[protocol.Op(frame[0])]
		if !known {
			return fmt.Errorf("no answer to op %d", frame[0])
		}
		at := len(out)
		out = append(out, reply...)
		binary.BigEndian.PutUint64(out[at+12:], binary.BigEndian.Uint64(frame[2:]))
	}
}
