package server

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/protocol/jute"
)

// foreigner is a session of ZooKeeper's protocol that only pings.
type foreigner struct {
	nc net.Conn
	in *bufio.Reader
	id int64
}

func (p *pack) foreigner(at uint64, timeout time.Duration) *foreigner {
	p.t.Helper()
	nc, err := p.newHost().Dial(p.t.Context(), hostOf(at)+":2181")
	require.NoError(p.t, err)
	f := &foreigner{nc: nc, in: bufio.NewReader(nc)}
	_, err = nc.Write(jute.AppendConnectRequest(nil, &jute.ConnectRequest{TimeoutMs: int32(timeout.Milliseconds()), Password: make([]byte, 16)}))
	require.NoError(p.t, err)
	frame, err := protocol.ReadFrame(f.in, nil, 1<<10)
	require.NoError(p.t, err)
	welcome, err := jute.DecodeConnectResponse(frame)
	require.NoError(p.t, err)
	require.EqualValues(p.t, timeout.Milliseconds(), welcome.TimeoutMs)
	f.id = welcome.Session
	return f
}

func (f *foreigner) ask(xid int32, c *jute.Call) error {
	if _, err := f.nc.Write(jute.AppendCall(nil, xid, c)); err != nil {
		return err
	}
	frame, err := protocol.ReadFrame(f.in, nil, 1<<10)
	if err != nil {
		return err
	}
	switch h, err := jute.DecodeReplyHeader(frame); {
	case err != nil:
		return err
	case h.Xid != xid || h.Err != 0:
		return fmt.Errorf("answer %+v to request %d", h, xid)
	}
	return nil
}

// breathe pings until it is stopped. A connection that ends before is an error.
func (f *foreigner) breathe(every time.Duration, stop <-chan struct{}) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return nil
		case <-tick.C:
			if err := f.ask(jute.XidPing, &jute.Call{Op: jute.OpPing}); err != nil {
				return err
			}
		}
	}
}

// entries are those in the log that a disk holds.
func (d *memDisk) entries() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.logs)
}

// live is what a collection leaves on the heap, of servers, clients, disks and network together.
func live() int64 {
	runtime.GC()
	runtime.GC() // what pools held through the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// resting is how the servers stand in a test in which nothing happens.
type resting struct {
	connections, accepted, closed int
	logged                        []int // entries in each server's log
}

func (p *pack) resting() (r resting) {
	for _, d := range p.dens {
		s := d.server.front.Stats()
		r.connections += s.Connections
		r.accepted += int(s.Accepted)
		r.closed += int(s.Idle + s.SlowConsumers + s.Panics)
		r.logged = append(r.logged, d.disk.entries())
	}
	return r
}

// mostGrown is a quarter of what the pings of an hour would take with 8 bytes kept of each.
const mostGrown = 256 << 10

// Sessions that only ping live for two hours, or for what LYCAON_IDLE says, such as 10m
// with the race detector. None of their connections ends, the log gets no entry, and
// memory does not grow.
func TestBubbleIdleSessionsLiveForHours(t *testing.T) {
	const (
		ours, foreign = 240, 60
		timeout       = 40 * time.Second
	)
	length := 2 * time.Hour
	if text := os.Getenv("LYCAON_IDLE"); text != "" {
		var err error
		length, err = time.ParseDuration(text)
		require.NoError(t, err, "LYCAON_IDLE")
	}
	inBubble(t, 3, func(t *testing.T, p *pack) {
		p.ready()
		owners := map[string]uint64{}
		var clients []*client.Client
		for i := range ours {
			c := p.client(nil, client.WithSessionTimeout(timeout))
			defer c.Abandon()
			path := fmt.Sprint("/ours-", i)
			_, err := c.Create(t.Context(), path, nil, client.Ephemeral())
			require.NoError(t, err)
			owners[path], clients = uint64(c.Session().ID()), append(clients, c)
		}
		stop, failed := make(chan struct{}), make([]error, foreign)
		var breathing sync.WaitGroup
		wake := sync.OnceFunc(func() {
			close(stop)
			breathing.Wait()
		})
		defer wake()
		for i := range foreign {
			f := p.foreigner(uint64(i%3+1), timeout)
			defer f.nc.Close()
			path := fmt.Sprint("/foreign-", i)
			require.NoError(t, f.ask(1, &jute.Call{Op: jute.OpCreate, Path: path, Flags: 1, ACL: []jute.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}}}))
			owners[path] = uint64(f.id)
			breathing.Go(func() { failed[i] = f.breathe(timeout/3, stop) })
		}
		time.Sleep(2 * timeout)
		begin := p.resting()
		require.Equal(t, ours+foreign, begin.connections)
		time.Sleep(length / 2)
		middle := live()
		time.Sleep(length / 2)
		end := live()
		t.Logf("%d bytes live in the middle, %d at the end, logs of %v entries", middle, end, begin.logged)
		require.Equal(t, begin, p.resting())
		require.Less(t, end-middle, int64(mostGrown))
		wake()
		require.NoError(t, errors.Join(failed...))
		for _, c := range clients {
			require.Equal(t, client.Connected, c.Session().State())
		}
		for _, d := range p.dens {
			c := p.client([]uint64{d.id})
			for path, owner := range owners {
				node, err := c.Get(t.Context(), path, client.Linearizable())
				require.NoError(t, err, "%s on server %d", path, d.id)
				require.Equal(t, owner, node.Stat.Owner, path)
			}
			c.Abandon()
		}
	})
}
