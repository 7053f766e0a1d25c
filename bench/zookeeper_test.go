package main

import (
	"bufio"
	"encoding/binary"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

// zkAnswering is a connection of ZooKeeper's protocol to a server that gives each request
// the same code, and the requests, which come from the channel without their length.
func zkAnswering(t *testing.T, code int32) (*zkPipe, <-chan []byte) {
	at, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer at.Close()
	ours, err := net.Dial("tcp", at.Addr().String())
	require.NoError(t, err)
	theirs, err := at.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	asked := make(chan []byte, 1000)
	go func() {
		for in := bufio.NewReader(theirs); ; {
			frame, err := protocol.ReadFrame(in, nil, zkMaxFrame)
			if err != nil {
				return
			}
			asked <- frame
			answer := append(append([]byte{}, frame[:4]...), make([]byte, 8)...)
			theirs.Write(zkBytes(nil, binary.BigEndian.AppendUint32(answer, uint32(code))))
		}
	}()
	return &zkPipe{zkSession: &zkSession{nc: ours, in: bufio.NewReader(ours)}}, asked
}

func TestAWatchOfZooKeeperStays(t *testing.T) {
	p, asked := zkAnswering(t, 0)
	a := zkActor{p}
	require.NoError(t, a.watch("/watched"))
	frame := <-asked
	require.Equal(t, uint32(zkAddWatch), binary.BigEndian.Uint32(frame[4:]))
	require.Equal(t, append(zkString(nil, "/watched"), 0, 0, 0, 0), frame[8:], "persistent, of this node alone")
	require.False(t, a.again())
}

func TestAPingOfZooKeeperIsNoRequestInTurn(t *testing.T) {
	p, asked := zkAnswering(t, 0)
	require.NoError(t, zkActor{p}.ping())
	require.Equal(t, binary.BigEndian.AppendUint32([]byte{0xff, 0xff, 0xff, 0xfe}, zkPing), <-asked)
	require.NoError(t, zkActor{p}.change("/watched"))
	require.Equal(t, uint32(1), binary.BigEndian.Uint32(<-asked), "the first xid")
}

func TestWhatIsThereNeedNotBeCreated(t *testing.T) {
	p, _ := zkAnswering(t, zkNodeExists)
	require.NoError(t, zkActor{p}.create("/bench", nil))
	made, err := pipeLoader{p}.fill(counted(100, nodePath), 1, nil)
	require.NoError(t, err)
	require.Zero(t, made.refused)
	require.Len(t, made.answered, 100)
	require.ErrorIs(t, zkActor{p}.ephemeral("/bench/ephemeral"), zkError(zkNodeExists))
}

func TestZooKeeperHasRoomForAMillionNodes(t *testing.T) {
	const gib = 1 << 20 // in KiB
	require.Equal(t, zookeeper{4}, roomy(zookeeper{}, 3, million, 23*gib))
	require.Equal(t, zookeeper{4}, roomy(zookeeper{}, 1, million, 7*gib))
	require.Equal(t, zookeeper{}, roomy(zookeeper{}, 3, million, 16*gib), "the machine has too little")
	require.Equal(t, zookeeper{}, roomy(zookeeper{}, 3, hundredThousand, 23*gib), "its default is enough")
	require.Equal(t, etcd{}, roomy(etcd{}, 3, million, 23*gib))
}
