package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

const (
	crashClients = 16
	crashWrites  = 1000 // acknowledged writes before each kill, at least
)

// TestClientsLiveThroughKills kills the server with -9 again and again at random moments, in the
// midst of writes that may not run twice, while the clients live through it.
// LYCAON_CRASH_ROUNDS sets how often, LYCAON_CRASH_SEED when.
func TestClientsLiveThroughKills(t *testing.T) {
	rounds := envInt(t, "LYCAON_CRASH_ROUNDS", 100)
	seed := uint64(envInt(t, "LYCAON_CRASH_SEED", int(time.Now().UnixNano()&0xffff)))
	t.Logf("seed %d, %d rounds", seed, rounds)
	rng := rand.New(rand.NewPCG(seed, 1))

	s := startServer(t, t.TempDir(), "--max-session-timeout", "60s", "--log-level", "error", "--snapshot-bytes", "1048576")
	admin := openClient(t, s.addr, client.WithSessionTimeout(time.Minute), client.WithRequestTimeout(time.Minute))
	for _, p := range []string{"/queue", "/counter", "/log", "/live"} {
		_, err := admin.Create(t.Context(), p, nil)
		require.NoError(t, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var acked atomic.Int64
	progress := make(chan struct{}, 1)
	note := func() {
		acked.Add(1)
		select {
		case progress <- struct{}{}:
		default:
		}
	}
	var wg sync.WaitGroup
	clients := make([]*crashClient, crashClients)
	for i := range clients {
		clients[i] = newCrashClient(t, s.addr, i, note)
		wg.Go(func() { clients[i].work(ctx) })
	}
	for round := range rounds {
		goal := acked.Load() + crashWrites + rng.Int64N(crashWrites/4)
		// One of many clients got its answer: the others are anywhere.
		for deadline := time.After(time.Minute); acked.Load() < goal; {
			select {
			case <-progress:
			case <-deadline:
				t.Fatalf("round %d: no progress", round)
			}
			for _, c := range clients {
				require.NoError(t, c.failure())
			}
		}
		s.kill()
		s.start()
	}
	// Every call under way ends by itself: the clients are asked to stop after it.
	cancel()
	wg.Wait()
	s.kill()
	s.start()
	verifyCrash(t, admin, clients)
	t.Logf("%d acknowledged writes over %d kills", acked.Load(), rounds)
}

func envInt(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

// crashClient writes what shows if it ran twice or not at all, and notes what
// was acknowledged.
type crashClient struct {
	id      int
	client  *client.Client
	session client.SessionID
	note    func()            // an acknowledged write
	created map[string]string // path -> data
	count   int64             // increments of its counter
	err     atomic.Pointer[error]
}

func newCrashClient(t *testing.T, addr string, id int, note func()) *crashClient {
	c := &crashClient{id: id, note: note, created: map[string]string{}}
	c.client = openClient(t, addr, client.WithSessionTimeout(time.Minute), client.WithRequestTimeout(time.Minute))
	c.session = c.client.Session().ID()
	_, err := c.client.Create(t.Context(), c.counter(), []byte("0"))
	require.NoError(t, err)
	_, err = c.client.Create(t.Context(), fmt.Sprintf("/live/%d", id), nil, client.Ephemeral())
	require.NoError(t, err)
	return c
}

func (c *crashClient) counter() string { return fmt.Sprintf("/counter/%d", c.id) }

func (c *crashClient) failure() error {
	if err := c.err.Load(); err != nil {
		return *err
	}
	return nil
}

// work writes until ctx ends. The writes themselves are not bound to it: one
// that is under way gets its answer.
func (c *crashClient) work(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		err := c.sequential(n)
		if err == nil {
			err = c.increment()
		}
		if err != nil {
			c.err.Store(&err)
			c.note()
			return
		}
	}
}

// sequential would leave two nodes if it ran twice.
func (c *crashClient) sequential(n int) error {
	data := fmt.Sprintf("client %d number %d", c.id, n)
	node, err := c.client.Create(context.Background(), "/queue/n-", []byte(data), client.Sequential())
	if err != nil {
		return fmt.Errorf("client %d: %w", c.id, err)
	}
	if was, twice := c.created[node.Path]; twice {
		return fmt.Errorf("client %d: %s was given for %q and for %q", c.id, node.Path, was, data)
	}
	c.created[node.Path] = data
	c.note()
	return nil
}

// increment would fail with a bad version, or node exists, if it ran twice.
func (c *crashClient) increment() error {
	next := c.count + 1
	_, err := c.client.Multi(context.Background(),
		client.OpCheck(c.counter(), c.count),
		client.OpSet(c.counter(), []byte(strconv.FormatInt(next, 10))),
		client.OpCreate(fmt.Sprintf("/log/%d-%d", c.id, next), nil))
	if err != nil {
		return fmt.Errorf("client %d, increment to %d: %w", c.id, next, err)
	}
	c.count = next
	c.note()
	return nil
}

// verifyCrash reads everything back: no acknowledged write is missing, none is
// there twice, no session was replaced.
func verifyCrash(t *testing.T, admin *client.Client, clients []*crashClient) {
	t.Helper()
	ctx := t.Context()
	queue := map[string]string{}
	for node, err := range admin.Walk(ctx, "/queue") {
		require.NoError(t, err)
		if node.Path != "/queue" {
			queue[node.Path] = string(node.Data)
		}
	}
	logged, err := admin.Children(ctx, "/log")
	require.NoError(t, err)
	steps := map[int]int64{}
	for _, name := range logged {
		id, _, _ := strings.Cut(name, "-")
		n, err := strconv.Atoi(id)
		require.NoError(t, err)
		steps[n]++
	}
	total := 0
	for _, c := range clients {
		require.NoError(t, c.failure())
		for path, data := range c.created {
			require.Equal(t, data, queue[path], path)
		}
		total += len(c.created)
		node, err := admin.Get(ctx, c.counter())
		require.NoError(t, err)
		require.Equal(t, strconv.FormatInt(c.count, 10), string(node.Data), c.counter())
		require.Equal(t, c.count, node.Stat.Version, c.counter())
		require.Equal(t, c.count, steps[c.id], c.counter())
		live, err := admin.Exists(ctx, fmt.Sprintf("/live/%d", c.id))
		require.NoError(t, err)
		require.NotNil(t, live, "the ephemeral node of client %d", c.id)
		require.Equal(t, uint64(c.session), live.Owner)
		require.Equal(t, c.session, c.client.Session().ID())
	}
	require.Len(t, queue, total, "a sequential create ran twice, or without an answer")
}
