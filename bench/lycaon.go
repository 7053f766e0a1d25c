package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/lycaon-io/lycaon/client"
)

// lycaon is the binary under test, at its defaults.
type lycaon struct{ binary string }

func (lycaon) name() string { return "lycaon" }

func (lycaon) picks() bool { return true }

func (l lycaon) lay(dir string, n int) ([]*member, error) {
	peers, err := freeAddrs(n)
	if err != nil {
		return nil, err
	}
	var cluster []string
	for i, p := range peers {
		cluster = append(cluster, fmt.Sprintf("%d=%s", i+1, p))
	}
	all := make([]*member, n)
	for i := range all {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		web, err := freeAddr()
		if err != nil {
			return nil, err
		}
		id := fmt.Sprint(i + 1)
		all[i] = &member{addr: addr, web: web, args: []string{l.binary, "serve", "--id", id, "--data-dir", filepath.Join(dir, id),
			"--client-addr", addr, "--peer-addr", peers[i], "--http-addr", web,
			"--initial-cluster", strings.Join(cluster, ","), "--log-level", "info"}}
	}
	return all, nil
}

func (l lycaon) leads(ctx context.Context, m *member) (bool, error) {
	st, err := l.status(ctx, m.addr)
	if err != nil {
		return false, err
	}
	return st.Role == "leader", nil
}

// only keeps a client at one server.
func only(addr string) ([]string, client.Option) {
	return []string{addr}, client.WithOnlyGivenServers()
}

func (lycaon) status(ctx context.Context, addr string) (*client.ServerStatus, error) {
	servers, pinned := only(addr)
	c, err := client.OpenGuest(ctx, servers, pinned)
	if err != nil {
		return nil, err
	}
	defer c.Close(ctx)
	return c.Status(ctx)
}

// dial opens clients until chance has connected one to the first of addrs.
func (l lycaon) dial(ctx context.Context, addrs []string) (*client.Client, error) {
	if len(addrs) == 1 {
		servers, pinned := only(addrs[0])
		return client.Open(ctx, servers, client.WithSessionTimeout(sessionLength), pinned)
	}
	wanted, err := l.status(ctx, addrs[0])
	if err != nil {
		return nil, err
	}
	for {
		c, err := client.Open(ctx, addrs, client.WithSessionTimeout(sessionLength))
		if err != nil {
			return nil, err
		}
		at, err := c.Status(ctx)
		if err == nil && at.ServerID == wanted.ServerID {
			return c, nil
		}
		if err := errors.Join(err, c.Close(ctx)); err != nil {
			return nil, err
		}
	}
}

// lycaonSession is the Go client as a program would use it: no timeouts but
// its own, nothing tried again by the caller.
type lycaonSession struct {
	c               *client.Client
	node, ephemeral string
	value           []byte
}

var lycaonNodes atomic.Int64

func (l lycaon) open(ctx context.Context, addrs []string) (session, error) {
	c, err := l.dial(ctx, addrs)
	if err != nil {
		return nil, err
	}
	n := lycaonNodes.Add(1)
	s := &lycaonSession{c: c, node: fmt.Sprintf("/failover-%d", n%64), ephemeral: fmt.Sprintf("/ephemeral-%d", n), value: make([]byte, valueBytes)}
	if _, err = c.Create(ctx, s.node, s.value); errors.Is(err, client.ErrNodeExists) {
		err = nil
	}
	if err == nil {
		_, err = c.Create(ctx, s.ephemeral, nil, client.Ephemeral())
	}
	if err != nil {
		c.Close(ctx)
		return nil, err
	}
	return s, nil
}

func (s *lycaonSession) write(ctx context.Context) error {
	_, err := s.c.Set(ctx, s.node, s.value)
	return err
}

func (s *lycaonSession) survives(ctx context.Context) (session, ephemeral bool, err error) {
	if s.c.Session().Context().Err() != nil {
		return false, false, nil
	}
	st, err := s.c.Exists(ctx, s.ephemeral)
	if errors.Is(err, client.ErrSessionExpired) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	return true, st != nil, nil
}

func (s *lycaonSession) close() {
	ctx, cancel := context.WithTimeout(context.Background(), sessionLength)
	defer cancel()
	s.c.Close(ctx)
}
