package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// zookeeper is Debian's ZooKeeper (package zookeeper), at its defaults: every
// transaction synced, a heap of 1 GB, ticks of 2 s, followers given up after 5 of them.
type zookeeper struct{ heapGiB int } // 0: its default

const (
	zookeeperJar     = "/usr/share/java/zookeeper.jar"
	zookeeperClasses = "/usr/share/java/slf4j-nop.jar:" + zookeeperJar
)

func (zookeeper) name() string { return "zookeeper" }

func (zookeeper) picks() bool { return true }

// roomyHeap is what a million nodes want: 1 GB they nearly fill, and it collects all the time.
const roomyHeap = 4 // GiB

// roomy gives servers of ZooKeeper that are to hold so many nodes a larger heap, on a
// machine with so much memory in KiB.
func roomy(s system, servers, count, memory int) system {
	if _, is := s.(zookeeper); is && count >= million && servers*roomyHeap*3/2 <= memory>>20 {
		return zookeeper{roomyHeap}
	}
	return s
}

func (z zookeeper) lay(dir string, n int) ([]*member, error) {
	if _, err := os.Stat(zookeeperJar); err != nil {
		return nil, fmt.Errorf("apt-get install zookeeper: %w", err)
	}
	var servers strings.Builder
	for i := range n {
		addrs, err := freeAddrs(2)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&servers, "server.%d=%s:%s\n", i+1, addrs[0], portOf(addrs[1]))
	}
	all := make([]*member, n)
	for i := range all {
		data := filepath.Join(dir, fmt.Sprint(i+1))
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		config := fmt.Sprintf("tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=%s\nclientPort=%s\nclientPortAddress=127.0.0.1\n"+
			"maxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=srvr\n%s", data, portOf(addr), &servers)
		if err := os.MkdirAll(data, 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(data, "myid"), fmt.Appendln(nil, i+1), 0o644); err != nil {
			return nil, err
		}
		if err := os.WriteFile(data+".cfg", []byte(config), 0o644); err != nil {
			return nil, err
		}
		all[i] = &member{addr: addr, args: []string{"java", fmt.Sprintf("-Xmx%dg", max(1, z.heapGiB)), "-cp", zookeeperClasses,
			"org.apache.zookeeper.server.quorum.QuorumPeerMain", data + ".cfg"}}
	}
	return all, nil
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// leads asks by the four-letter word srvr.
func (zookeeper) leads(ctx context.Context, m *member) (bool, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.addr)
	if err != nil {
		return false, err
	}
	defer nc.Close()
	if end, ok := ctx.Deadline(); ok {
		nc.SetDeadline(end)
	}
	if _, err := nc.Write([]byte("srvr")); err != nil {
		return false, err
	}
	told, err := io.ReadAll(nc)
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(told)) {
		if mode, ok := strings.CutPrefix(line, "Mode: "); ok {
			mode = strings.TrimSpace(mode)
			return mode == "leader" || mode == "standalone", nil
		}
	}
	return false, fmt.Errorf("srvr says %q", told)
}

func (zookeeper) open(ctx context.Context, addrs []string) (session, error) {
	return openZK(ctx, addrs)
}

// zkSealed tells whether a snapshot file is whole, as ZooKeeper itself does: by the
// path "/" at its end, with its length before it.
func zkSealed(name string) bool {
	file, err := os.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	seal := zkString(nil, "/")
	end := make([]byte, len(seal))
	info, err := file.Stat()
	if err != nil {
		return false
	}
	_, err = file.ReadAt(end, info.Size()-int64(len(end)))
	return err == nil && bytes.Equal(end, seal)
}
