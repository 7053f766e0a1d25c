package main

import (
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// leasing is a server that keeps leases alive.
type leasing struct {
	pb.UnimplementedLeaseServer
	streams, signs atomic.Int64
	ended          atomic.Bool
}

func (l *leasing) LeaseKeepAlive(stream pb.Lease_LeaseKeepAliveServer) error {
	l.streams.Add(1)
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		l.signs.Add(1)
		answer := &pb.LeaseKeepAliveResponse{ID: r.ID, TTL: 10}
		if l.ended.Load() {
			answer.TTL = 0
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

func TestAClientOfEtcdGivesSignsOfLifeByOneStream(t *testing.T) {
	l := &leasing{}
	server := grpc.NewServer()
	pb.RegisterLeaseServer(server, l)
	at, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go server.Serve(at)
	defer server.Stop()
	a, err := dialEtcdActor(at.Addr().String())
	require.NoError(t, err)
	for range 5 {
		require.NoError(t, a.ping())
	}
	require.EqualValues(t, 5, l.signs.Load())
	require.EqualValues(t, 1, l.streams.Load())
	l.ended.Store(true)
	require.ErrorContains(t, a.ping(), "has ended")
	require.NoError(t, a.Close())
}
