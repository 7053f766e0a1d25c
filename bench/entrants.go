package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// The names of the entrants, in the order that they are told in.
const (
	native    = "lycaon"
	throughGo = "lycaon, Go client"
	throughZK = "lycaon as ZooKeeper"
	floorName = "floor"
)

// entrantNames are those that there may be figures of.
func entrantNames() []string {
	return []string{native, throughGo, throughZK, "zookeeper", "etcd", "consul", floorName}
}

// binaries are those of the servers; without one of Consul it is left out.
type binaries struct{ lycaon, etcd, consul string }

// entrants are all that can be compared.
func entrants(b binaries) []entrant {
	zk := func(addr string) (loader, error) {
		p, err := dialZKPipe(addr, wholeBuffer)
		return either[loader](pipeLoader{p}, err)
	}
	actZK := func(addr string) (actor, error) {
		p, err := dialZKPipe(addr, smallBuffer)
		return either[actor](zkActor{p}, err)
	}
	frames := func(addr string) (loader, error) {
		c, err := dial(addr, wholeBuffer)
		return either[loader](pipeLoader{c}, err)
	}
	ours, thirds := signs{3, 6}, signs{3, 3} // at a follower package client gives them twice as often
	l := lycaon{binary: b.lycaon}
	all := []entrant{
		{native, l, dialNative, frames, nativeVisit, ours},
		{throughGo, l, dialGo, func(addr string) (loader, error) {
			c, err := openGo(addr)
			return either[loader](callLoader{c}, err)
		}, nil, ours},
		{throughZK, l, actZK, zk, zkVisit, thirds},
		{"zookeeper", zookeeper{}, actZK, zk, zkVisit, thirds},
		{"etcd", etcd{binary: b.etcd}, dialEtcdActor, func(addr string) (loader, error) {
			c, err := openEtcd(addr)
			return either[loader](callLoader{c}, err)
		}, nil, thirds},
		{floorName, loop{}, dialNative, frames, nil, ours},
	}
	if b.consul != "" {
		all = append(all, entrant{"consul", consul{b.consul}, dialConsul, loadConsul, nil, signs{2, 2}})
	}
	return all
}

// either is what was opened, or nothing and why: what wraps nothing is not nil itself,
// and whoever closes all that he has opened would close it.
func either[T any](opened T, err error) (T, error) {
	if err != nil {
		var nothing T
		return nothing, err
	}
	return opened, nil
}

// entrantsNamed are those of a comma-separated list; all without one.
func entrantsNamed(all []entrant, names string) ([]entrant, error) {
	if names == "" {
		return all, nil
	}
	var chosen []entrant
	for name := range strings.SplitSeq(names, ";") {
		i := slices.IndexFunc(all, func(e entrant) bool { return e.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no entrant %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// nativeActor is a bare connection of the native protocol.
type nativeActor struct{ *conn }

func dialNative(addr string) (actor, error) {
	c, err := dial(addr, smallBuffer)
	return either[actor](nativeActor{c}, err)
}

func (a nativeActor) ask(r *protocol.Request) error {
	a.request(r)
	return errors.Join(a.flush(), a.receive())
}

func (a nativeActor) make(op *znode.CreateOp) error {
	op.ACL = znode.OpenACL
	return a.ask(&protocol.Request{Op: protocol.OpCreate, Body: protocol.AppendCreate(nil, op)})
}

func (a nativeActor) create(path string, data []byte) error {
	return a.make(&znode.CreateOp{Path: path, Data: data, IfAbsent: true})
}

func (a nativeActor) ephemeral(path string) error {
	return a.make(&znode.CreateOp{Path: path, Kind: znode.Ephemeral})
}

func (a nativeActor) change(path string) error {
	return a.ask(&protocol.Request{Op: protocol.OpSet, Body: protocol.AppendSet(nil, path, []byte("changed"), znode.AnyVersion)})
}

func (a nativeActor) list(parent string) error {
	return a.ask(&protocol.Request{Op: protocol.OpChildren, Read: protocol.Read{Op: protocol.OpChildren, Path: parent}})
}

func (a nativeActor) watch(path string) error {
	return a.ask(&protocol.Request{Op: protocol.OpWatch, Watches: []protocol.Watch{{Path: path, Mode: protocol.WatchPersistent}}})
}

func (nativeActor) again() bool { return false }

func (a nativeActor) ping() error { return a.ask(&protocol.Request{Op: protocol.OpPing}) }

func (a nativeActor) event() error {
	_, err := nextFrame(a.in, &a.buf, protocol.DefaultLimits().MaxFrame)
	return err
}

// Close ends the session, as a program would.
func (a nativeActor) Close() error {
	a.request(&protocol.Request{Op: protocol.OpCloseSession})
	return errors.Join(a.flush(), a.receive(), a.conn.Close())
}

// zkActor is a bare connection of ZooKeeper's protocol.
type zkActor struct{ *zkPipe }

func (a zkActor) create(path string, data []byte) error {
	a.zkPipe.create(path, data)
	return errors.Join(a.flush(), a.receive())
}

func (a zkActor) ephemeral(path string) error {
	return a.ask(zkCreate, a.zkSession.create(path, nil, zkEphemeral))
}

func (a zkActor) change(path string) error {
	return a.ask(zkSetData, anyVersion(zkBytes(zkString(nil, path), []byte("changed"))))
}

func (a zkActor) list(parent string) error {
	return a.ask(zkGetChildren, append(zkString(nil, parent), 0))
}

// watch sets a persistent watch, mode 0, as Lycaon's is.
func (a zkActor) watch(path string) error {
	return a.ask(zkAddWatch, binary.BigEndian.AppendUint32(zkString(nil, path), 0))
}

func (zkActor) again() bool { return false }

func (a zkActor) ping() error {
	a.appendAs(zkPingXid, zkPing, nil)
	a.expect(zkAwaited{answers: 1})
	return errors.Join(a.flush(), a.receive())
}

func (a zkActor) event() error { return a.zkPipe.event() }

// goClient is package client, as a program uses it.
type goClient struct {
	c       *client.Client
	watched *client.Watch
	value   []byte
}

func openGo(addr string) (*goClient, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sessionLength)
	defer cancel()
	servers, pinned := only(addr)
	c, err := client.Open(ctx, servers, pinned, client.WithSessionTimeout(sessionLength))
	return &goClient{c: c, value: make([]byte, valueBytes)}, err
}

func (g *goClient) get(ctx context.Context, node int, level protocol.Consistency) error {
	var opts []client.GetOption
	if level == protocol.Linearizable {
		opts = append(opts, client.Linearizable())
	}
	_, err := g.c.Get(ctx, nodePath(node), opts...)
	return err
}

func (g *goClient) set(ctx context.Context, node int) error {
	_, err := g.c.Set(ctx, nodePath(node), g.value)
	return err
}

func (g *goClient) create(ctx context.Context, path string, data []byte) error {
	_, err := g.c.Create(ctx, path, data, client.IfAbsent())
	return err
}

func (g *goClient) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), sessionLength)
	defer cancel()
	return g.c.Close(ctx)
}

type goActor struct{ *goClient }

func dialGo(addr string) (actor, error) {
	g, err := openGo(addr)
	return either[actor](goActor{g}, err)
}

func (a goActor) create(path string, data []byte) error {
	return within(func(ctx context.Context) error { return a.goClient.create(ctx, path, data) })
}

func (a goActor) ephemeral(path string) error {
	return within(func(ctx context.Context) error {
		_, err := a.c.Create(ctx, path, nil, client.Ephemeral())
		return err
	})
}

func (a goActor) change(path string) error {
	return within(func(ctx context.Context) error {
		_, err := a.c.Set(ctx, path, []byte("changed"))
		return err
	})
}

func (a goActor) list(parent string) error {
	return within(func(ctx context.Context) error {
		_, err := a.c.Children(ctx, parent)
		return err
	})
}

func (a goActor) watch(path string) error {
	return within(func(ctx context.Context) (err error) {
		a.watched, err = a.c.Watch(ctx, path)
		return err
	})
}

func (goActor) again() bool { return false }
func (goActor) ping() error { return nil }

func (a goActor) event() error {
	return within(func(ctx context.Context) error {
		_, err := a.watched.Next(ctx)
		return err
	})
}

// etcdClient is etcd's own client. Reads are serializable unless they are to be
// linearizable: those of one server, as ZooKeeper's are.
type etcdClient struct {
	c      *clientv3.Client
	lease  clientv3.LeaseID
	signs  *etcdSigns // from the first ping on
	events clientv3.WatchChan
	told   int // events of the last answer that are not told yet
	value  string
}

func openEtcd(addr string) (*etcdClient, error) {
	c, err := dialEtcd(context.Background(), []string{addr})
	return &etcdClient{c: c, value: string(make([]byte, valueBytes))}, err
}

func (e *etcdClient) get(ctx context.Context, node int, level protocol.Consistency) error {
	opts := []clientv3.OpOption{clientv3.WithSerializable()}
	if level == protocol.Linearizable {
		opts = nil
	}
	_, err := e.c.Get(ctx, nodePath(node), opts...)
	return err
}

func (e *etcdClient) set(ctx context.Context, node int) error {
	_, err := e.c.Put(ctx, nodePath(node), e.value)
	return err
}

func (e *etcdClient) create(ctx context.Context, path string, data []byte) error {
	_, err := e.c.Put(ctx, path, string(data))
	return err
}

func (e *etcdClient) createAll(ctx context.Context, paths []string, data []byte) error {
	puts := make([]clientv3.Op, len(paths))
	for i, path := range paths {
		puts[i] = clientv3.OpPut(path, string(data))
	}
	_, err := e.c.Txn(ctx).Then(puts...).Commit()
	return err
}

func (e *etcdClient) Close() error {
	if e.signs != nil {
		e.signs.end()
	}
	if e.lease != 0 {
		ctx, cancel := context.WithTimeout(context.Background(), sessionLength)
		defer cancel()
		if _, err := e.c.Revoke(ctx, e.lease); err != nil {
			return err
		}
	}
	return e.c.Close()
}

type etcdActor struct{ *etcdClient }

func dialEtcdActor(addr string) (actor, error) {
	e, err := openEtcd(addr)
	return either[actor](etcdActor{e}, err)
}

func (a etcdActor) create(path string, data []byte) error {
	return within(func(ctx context.Context) error { return a.etcdClient.create(ctx, path, data) })
}

func (a etcdActor) ephemeral(path string) error {
	return within(func(ctx context.Context) error {
		grant, err := a.c.Grant(ctx, int64(sessionLength.Seconds()))
		if err != nil {
			return err
		}
		a.lease = grant.ID
		_, err = a.c.Put(ctx, path, "", clientv3.WithLease(grant.ID))
		return err
	})
}

func (a etcdActor) change(path string) error {
	return within(func(ctx context.Context) error {
		_, err := a.c.Put(ctx, path, "changed")
		return err
	})
}

func (a etcdActor) list(parent string) error {
	return within(func(ctx context.Context) error {
		_, err := a.c.Get(ctx, parent+"/", clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithSerializable())
		return err
	})
}

func (a etcdActor) watch(path string) error {
	a.events = a.c.Watch(context.Background(), path, clientv3.WithCreatedNotify())
	_, err := a.next()
	return err
}

func (etcdActor) again() bool { return false }

// ping gives signs of life by one stream, as KeepAlive of its client does: KeepAliveOnce
// would open one for each.
func (a etcdActor) ping() error {
	if a.signs == nil {
		var err error
		if a.signs, err = openEtcdSigns(pb.NewLeaseClient(a.c.ActiveConnection())); err != nil {
			return err
		}
	}
	return a.signs.give(a.lease)
}

type etcdSigns struct {
	stream pb.Lease_LeaseKeepAliveClient
	end    context.CancelFunc
}

func openEtcdSigns(leases pb.LeaseClient) (*etcdSigns, error) {
	ctx, end := context.WithCancel(clientv3.WithRequireLeader(context.Background()))
	stream, err := leases.LeaseKeepAlive(ctx)
	if err != nil {
		end()
		return nil, err
	}
	return &etcdSigns{stream, end}, nil
}

func (s *etcdSigns) give(lease clientv3.LeaseID) error {
	defer time.AfterFunc(answerWithin, s.end).Stop()
	if err := s.stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(lease)}); err != nil {
		return err
	}
	answer, err := s.stream.Recv()
	if err == nil && answer.TTL <= 0 {
		err = fmt.Errorf("lease %x has ended", lease)
	}
	return err
}

func (a etcdActor) event() error {
	if a.told == 0 {
		answer, err := a.next()
		if err != nil {
			return err
		}
		a.told = len(answer.Events)
	}
	a.told--
	return nil
}

// next is what the watch says next.
func (a etcdActor) next() (clientv3.WatchResponse, error) {
	late := time.NewTimer(answerWithin)
	defer late.Stop()
	select {
	case answer, ok := <-a.events:
		if !ok || answer.Err() != nil {
			return answer, errors.Join(errors.New("the watch has ended"), answer.Err())
		}
		return answer, nil
	case <-late.C:
		return clientv3.WatchResponse{}, errNoAnswer
	}
}
