package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestZooKeeperHasRoomForAMillionNodes(t *testing.T) {
	const gib = 1 << 20 // in KiB
	require.Equal(t, zookeeper{4}, roomy(zookeeper{}, 3, million, 23*gib))
	require.Equal(t, zookeeper{4}, roomy(zookeeper{}, 1, million, 7*gib))
	require.Equal(t, zookeeper{}, roomy(zookeeper{}, 3, million, 16*gib), "the machine has too little")
	require.Equal(t, zookeeper{}, roomy(zookeeper{}, 3, hundredThousand, 23*gib), "its default is enough")
	require.Equal(t, etcd{}, roomy(etcd{}, 3, million, 23*gib))
}
