package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// consul is a binary that the user has, at its defaults but for the number of
// connections that one address may open, which is 200.
type consul struct{ binary string }

func (consul) name() string { return "consul" }

func (consul) picks() bool { return true }

func (c consul) lay(dir string, n int) ([]*member, error) {
	gossip, err := freeAddrs(n)
	if err != nil {
		return nil, err
	}
	all := make([]*member, n)
	for i := range all {
		addrs, err := freeAddrs(2)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("m%d", i+1)
		args := []string{c.binary, "agent", "-server", "-bootstrap-expect", fmt.Sprint(n), "-node", name, "-data-dir", filepath.Join(dir, name),
			"-bind", "127.0.0.1", "-client", "127.0.0.1", "-http-port", portOf(addrs[0]), "-server-port", portOf(addrs[1]),
			"-serf-lan-port", portOf(gossip[i]), "-serf-wan-port", "-1", "-dns-port", "-1", "-grpc-port", "-1", "-grpc-tls-port", "-1",
			"-retry-interval", "1s", "-log-level", "warn", "-hcl", "limits { http_max_conns_per_client = 10000 }"}
		for _, g := range gossip {
			args = append(args, "-retry-join", g)
		}
		all[i] = &member{addr: addrs[0], args: args}
	}
	return all, nil
}

func (consul) leads(ctx context.Context, m *member) (bool, error) {
	c := newConsulClient(m.addr)
	defer c.Close()
	var self struct {
		Stats struct {
			Consul struct{ Leader string } `json:"consul"`
		}
	}
	if err := c.ask(ctx, http.MethodGet, "/v1/agent/self", nil, &self); err != nil {
		return false, err
	}
	return self.Stats.Consul.Leader == "true", nil
}

// consulClient speaks HTTP, a connection for each request in flight.
type consulClient struct {
	addrs   []string
	next    int // of addrs, to ask
	http    *http.Transport
	session string
	index   string // of what is watched
	watched string
}

func newConsulClient(addrs ...string) *consulClient {
	return &consulClient{addrs: addrs, http: &http.Transport{MaxIdleConnsPerHost: mostInFlight}}
}

const consulMaxAnswer = 64 << 20

// ask sends one request and reads its answer, into a value if there is one.
func (c *consulClient) ask(ctx context.Context, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.addrs[c.next%len(c.addrs)]+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := c.http.RoundTrip(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, consulMaxAnswer))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %.200s", method, path, answer.Status, raw)
	}
	c.index = answer.Header.Get("X-Consul-Index")
	if into == nil {
		return nil
	}
	return json.Unmarshal(raw, into)
}

// newValue is one that differs from all before: Consul takes a write of what is
// there already for none.
func newValue(size int) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, size-8), uint64(consulValues.Add(1)))
}

var consulValues atomic.Int64

func (c *consulClient) put(ctx context.Context, path string, data []byte) error {
	return c.ask(ctx, http.MethodPut, "/v1/kv"+path, data, nil)
}

func (c *consulClient) begin(ctx context.Context) error {
	var made struct{ ID string }
	err := c.ask(ctx, http.MethodPut, "/v1/session/create", []byte(`{"TTL":"10s","Behavior":"delete","LockDelay":"0s"}`), &made)
	c.session = made.ID
	return err
}

func (c *consulClient) hold(ctx context.Context, path string) error {
	return c.put(ctx, path+"?acquire="+c.session, nil)
}

func (c *consulClient) renew(ctx context.Context) error {
	return c.ask(ctx, http.MethodPut, "/v1/session/renew/"+c.session, nil, nil)
}

func (c *consulClient) Close() error {
	defer c.http.CloseIdleConnections()
	if c.session == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), sessionLength)
	defer cancel()
	return c.ask(ctx, http.MethodPut, "/v1/session/destroy/"+c.session, nil, nil)
}

// consulCaller makes the calls of many goroutines.
type consulCaller struct{ c *consulClient }

func (a consulCaller) Close() error { return a.c.Close() }

func (a consulCaller) get(ctx context.Context, node int, level protocol.Consistency) error {
	mode := "?stale"
	if level == protocol.Linearizable {
		mode = "?consistent"
	}
	one := *a.c // the index is of one call
	return one.ask(ctx, http.MethodGet, "/v1/kv"+nodePath(node)+mode, nil, nil)
}

func (a consulCaller) set(ctx context.Context, node int) error {
	one := *a.c
	return one.put(ctx, nodePath(node), newValue(valueBytes))
}

func (a consulCaller) create(ctx context.Context, path string, data []byte) error {
	one := *a.c
	return one.put(ctx, path, data)
}

type consulActor struct{ *consulClient }

func (a consulActor) create(path string, data []byte) error {
	return within(func(ctx context.Context) error { return a.put(ctx, path, data) })
}

func (a consulActor) ephemeral(path string) error {
	return within(func(ctx context.Context) error {
		if err := a.begin(ctx); err != nil {
			return err
		}
		return a.hold(ctx, path)
	})
}

func (a consulActor) change(path string) error {
	return within(func(ctx context.Context) error { return a.put(ctx, path, newValue(8)) })
}

func (a consulActor) list(parent string) error { return a.read(parent + "/?keys&stale") }

func (a consulActor) watch(path string) error {
	a.watched = path
	return a.read(path)
}

func (a consulActor) read(what string) error {
	return within(func(ctx context.Context) error { return a.ask(ctx, http.MethodGet, "/v1/kv"+what, nil, nil) })
}

func (consulActor) again() bool   { return false }
func (a consulActor) ping() error { return within(a.renew) }

// event asks for what is newer than the last answer.
func (a consulActor) event() error {
	if _, err := strconv.ParseUint(a.index, 10, 64); err != nil {
		return err
	}
	return a.read(a.watched + "?wait=60s&index=" + a.index)
}

// consulSession is a session that is renewed, with a key that it holds, and
// goes on at the next server when one does not answer.
type consulSession struct {
	*consulClient
	node, goesAway string
	stop           context.CancelFunc
}

var consulNodes atomic.Int64

func (consul) open(ctx context.Context, addrs []string) (session, error) {
	n := consulNodes.Add(1)
	s := &consulSession{consulClient: newConsulClient(addrs...), node: fmt.Sprintf("/failover-%d", n%64), goesAway: fmt.Sprintf("/ephemeral-%d", n)}
	err := s.begin(ctx)
	if err == nil {
		err = s.hold(ctx, s.goesAway)
	}
	if err != nil {
		s.http.CloseIdleConnections()
		return nil, err
	}
	alive, stop := context.WithCancel(context.Background())
	s.stop = stop
	renewing := *s.consulClient
	go func() {
		for {
			select {
			case <-alive.Done():
				return
			case <-time.After(sessionLength / 3):
			}
			try, cancel := context.WithTimeout(alive, time.Second)
			if err := renewing.renew(try); err != nil {
				renewing.next++
			}
			cancel()
		}
	}()
	return s, nil
}

func (s *consulSession) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	err := s.put(ctx, s.node, newValue(valueBytes))
	if err != nil {
		s.next++
	}
	return err
}

func (s *consulSession) survives(ctx context.Context) (session, ephemeral bool, err error) {
	var infos []struct{ ID string }
	if err := s.ask(ctx, http.MethodGet, "/v1/session/info/"+s.session+"?consistent", nil, &infos); err != nil {
		return false, false, err
	}
	err = s.ask(ctx, http.MethodGet, "/v1/kv"+s.goesAway+"?consistent", nil, nil)
	if err != nil && strings.Contains(err.Error(), "404") {
		return len(infos) == 1, false, nil
	}
	return len(infos) == 1, err == nil, err
}

func (s *consulSession) close() {
	s.stop()
	s.consulClient.Close()
}

func dialConsul(addr string) (actor, error) { return consulActor{newConsulClient(addr)}, nil }

func loadConsul(addr string) (loader, error) {
	return callLoader{consulCaller{newConsulClient(addr)}}, nil
}
