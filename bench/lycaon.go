package main

import (
	"context"
	"errors"
	"fmt"
	"net"
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
		id := fmt.Sprint(i + 1)
		all[i] = &member{addr: addr, args: []string{l.binary, "serve", "--id", id, "--data-dir", filepath.Join(dir, id),
			"--client-addr", addr, "--peer-addr", peers[i], "--http-addr", "off",
			"--initial-cluster", strings.Join(cluster, ","), "--log-level", "info"}}
	}
	return all, nil
}

func (lycaon) leads(ctx context.Context, m *member) (bool, error) {
	c, err := client.OpenGuest(ctx, []string{m.addr}, only(m.addr))
	if err != nil {
		return false, err
	}
	defer c.Close(ctx)
	st, err := c.Status(ctx)
	if err != nil {
		return false, err
	}
	return st.Role == "leader", nil
}

// only dials one server, whatever others the client hears of.
func only(addr string) client.Option {
	return client.WithDialer(func(ctx context.Context, network, to string) (net.Conn, error) {
		if to != addr {
			return nil, errOther
		}
		return (&net.Dialer{}).DialContext(ctx, network, to)
	})
}

// firstly dials the first server alone until that has answered once.
func firstly(addr string) client.Option {
	var found atomic.Bool
	return client.WithDialer(func(ctx context.Context, network, to string) (net.Conn, error) {
		if to != addr && !found.Load() {
			return nil, errOther
		}
		nc, err := (&net.Dialer{}).DialContext(ctx, network, to)
		if err == nil {
			found.Store(true)
		}
		return nc, err
	})
}

var errOther = errors.New("this client begins with another server")

// lycaonSession is the Go client as a program would use it: no timeouts but
// its own, nothing tried again by the caller.
type lycaonSession struct {
	c               *client.Client
	node, ephemeral string
	value           []byte
}

var lycaonNodes atomic.Int64

func (lycaon) open(ctx context.Context, addrs []string) (session, error) {
	dialer := firstly(addrs[0])
	if len(addrs) == 1 {
		dialer = only(addrs[0])
	}
	c, err := client.Open(ctx, addrs, client.WithSessionTimeout(sessionLength), dialer)
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
