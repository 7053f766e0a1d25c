package rig

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Ports lie below those that the kernel gives to outgoing connections: a client
// that dials a dead server again and again would else meet itself there one day.
const (
	lowestPort, highestPort = 12_000, 31_999
	portTries               = 1_000
)

// given are the ports that this program has handed out: one that nobody listens
// on may be that of a server which is about to start, or is down for a while.
var given sync.Map

// Ports returns n free ports of loopback. No two of one run are the same.
func Ports(t testing.TB, n int) []int {
	t.Helper()
	var found []int
	for range portTries {
		if len(found) == n {
			return found
		}
		port := lowestPort + rand.IntN(highestPort-lowestPort+1)
		l, err := net.Listen("tcp", local(port))
		if err != nil {
			continue
		}
		l.Close()
		if _, taken := given.LoadOrStore(port, true); !taken {
			found = append(found, port)
		}
	}
	t.Fatalf("no %d free ports among %d to %d", n, lowestPort, highestPort)
	return nil
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func locals(ports []int) []string {
	addrs := make([]string, len(ports))
	for i, p := range ports {
		addrs[i] = local(p)
	}
	return addrs
}

const (
	wordWithin = 2 * time.Second
	wordBytes  = 1 << 20 // of an answer
)

// FourLetter sends a word as `srvr` to a client port and returns the answer.
func FourLetter(addr, word string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, wordWithin)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(wordWithin)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, word); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, wordBytes))
	if err != nil {
		return string(answer), fmt.Errorf("%s at %s: %w", word, addr, err)
	}
	return string(answer), nil
}
