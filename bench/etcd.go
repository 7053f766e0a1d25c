package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// etcd is built from the version in go.mod and runs at its defaults: every
// entry synced, heartbeats of 100 ms, elections after 1 s.
type etcd struct {
	binary string // built when servers are laid if empty
}

func (etcd) name() string { return "etcd" }

// picks: its client spreads requests over all servers.
func (etcd) picks() bool { return false }

// buildEtcd puts its binary into a folder.
func buildEtcd(dir string) (string, error) {
	binary := filepath.Join(dir, "etcd.bin")
	if out, err := exec.Command("go", "build", "-o", binary, "go.etcd.io/etcd/server/v3").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building etcd, which wants the folder of this program: %w: %s", err, out)
	}
	return binary, nil
}

func (e etcd) lay(dir string, n int) ([]*member, error) {
	binary := e.binary
	if binary == "" {
		var err error
		if binary, err = buildEtcd(dir); err != nil {
			return nil, err
		}
	}
	peers, err := freeAddrs(n)
	if err != nil {
		return nil, err
	}
	var cluster []string
	for i, p := range peers {
		cluster = append(cluster, fmt.Sprintf("m%d=http://%s", i+1, p))
	}
	all := make([]*member, n)
	for i := range all {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("m%d", i+1)
		all[i] = &member{addr: addr, args: []string{binary, "--name", name, "--data-dir", filepath.Join(dir, name),
			"--listen-client-urls", "http://" + addr, "--advertise-client-urls", "http://" + addr,
			"--listen-peer-urls", "http://" + peers[i], "--initial-advertise-peer-urls", "http://" + peers[i],
			"--initial-cluster", strings.Join(cluster, ","), "--log-level", "warn"}}
	}
	return all, nil
}

func dialEtcd(ctx context.Context, addrs []string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: addrs, DialTimeout: sessionLength, Logger: zap.NewNop()})
}

func (etcd) leads(ctx context.Context, m *member) (bool, error) {
	c, err := dialEtcd(ctx, []string{m.addr})
	if err != nil {
		return false, err
	}
	defer c.Close()
	st, err := c.Status(ctx, m.addr)
	if err != nil {
		return false, err
	}
	return st.Leader == st.Header.MemberId, nil
}

// etcdSession is a lease kept alive, and a key that goes with it.
type etcdSession struct {
	c              *clientv3.Client
	lease          clientv3.LeaseID
	cancel         context.CancelFunc
	node, goesAway string
	value          string
}

var etcdNodes atomic.Int64

func (etcd) open(ctx context.Context, addrs []string) (session, error) {
	c, err := dialEtcd(ctx, addrs)
	if err != nil {
		return nil, err
	}
	n := etcdNodes.Add(1)
	alive, cancel := context.WithCancel(context.Background())
	s := &etcdSession{c: c, cancel: cancel, node: fmt.Sprintf("/failover-%d", n%64),
		goesAway: fmt.Sprintf("/ephemeral-%d", n), value: string(make([]byte, valueBytes))}
	grant, err := c.Grant(ctx, int64(sessionLength/time.Second))
	if err == nil {
		s.lease = grant.ID
		_, err = c.Put(ctx, s.goesAway, "", clientv3.WithLease(grant.ID))
	}
	if err == nil {
		var answers <-chan *clientv3.LeaseKeepAliveResponse
		if answers, err = c.KeepAlive(alive, grant.ID); err == nil {
			go func() { // a full channel is only warned of, but at each answer
				for range answers {
				}
			}()
		}
	}
	if err != nil {
		cancel()
		c.Close()
		return nil, err
	}
	return s, nil
}

func (s *etcdSession) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	_, err := s.c.Put(ctx, s.node, s.value)
	return err
}

func (s *etcdSession) survives(ctx context.Context) (session, ephemeral bool, err error) {
	lease, err := s.c.TimeToLive(ctx, s.lease)
	if err != nil {
		return false, false, err
	}
	got, err := s.c.Get(ctx, s.goesAway)
	if err != nil {
		return false, false, err
	}
	return lease.TTL > 0, len(got.Kvs) == 1, nil
}

func (s *etcdSession) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.c.Revoke(ctx, s.lease)
	s.cancel()
	s.c.Close()
}
