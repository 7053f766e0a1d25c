package client

import (
	"cmp"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// pool is whom a client may turn to: the servers that it was given and those
// it has learned of. It remembers who was found wanting, so that a server that
// is paused or gone is not the first choice. Client.mu guards it.
type pool struct {
	given   []string
	learned []string
	ids     map[string]uint64        // of the servers there: one may have several addresses
	failed  map[string]time.Duration // when, of those that failed lately
	tried   map[string]bool          // since the last connection that was of use, or the last pause
	refused map[string]bool          // of those, who will never have this client
	rounds  int                      // pauses since the last connection that was of use
}

func newPool(given []string) pool {
	return pool{given: dedupe(given), ids: map[string]uint64{}, failed: map[string]time.Duration{}, tried: map[string]bool{}, refused: map[string]bool{}}
}

func dedupe(addrs []string) (unique []string) {
	for _, a := range addrs {
		if !slices.Contains(unique, a) {
			unique = append(unique, a)
		}
	}
	return unique
}

func (p *pool) all() []string { return dedupe(slices.Concat(p.given, p.learned)) }

// untried lists whom to try next, by chance but for those that failed lately,
// who come last, the latest at the very end.
func (p *pool) untried(now time.Duration) []string {
	left := slices.DeleteFunc(p.all(), func(a string) bool { return p.tried[a] })
	p.shuffle(left, now)
	return left
}

func (p *pool) shuffle(addrs []string, now time.Duration) {
	for addr, at := range p.failed {
		if now-at > grudge {
			delete(p.failed, addr)
		}
	}
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	slices.SortStableFunc(addrs, func(a, b string) int { return cmp.Compare(p.failed[a], p.failed[b]) })
}

// rested takes out those that fell silent a moment ago.
func (p *pool) rested(addrs []string, now time.Duration) []string {
	return slices.DeleteFunc(addrs, func(a string) bool { return p.failed[a] > now })
}

// left is told when a connection that was of use has ended: everybody else is
// worth a try.
func (p *pool) left(addr string, now time.Duration) {
	p.again()
	p.rounds = 0
	p.fail(addr, now)
}

// fail marks a server under all its addresses.
func (p *pool) fail(addr string, now time.Duration) {
	for _, a := range append(p.all(), addr) {
		if p.same(a, addr) {
			p.failed[a], p.tried[a] = max(p.failed[a], now), true
		}
	}
}

// shun puts a server behind those that fail from now on, for a while: one that
// is silent may well answer a dial.
func (p *pool) shun(addr string, now time.Duration) { p.fail(addr, now+shunned) }

func (p *pool) same(a, b string) bool { return a == b || p.ids[a] != 0 && p.ids[a] == p.ids[b] }

// met notes which server answered at addr.
func (p *pool) met(addr string, id uint64) { p.ids[addr] = id }

// again makes everybody worth a try, after a pause.
func (p *pool) again() {
	p.rounds++
	clear(p.tried)
	clear(p.refused)
}

// refuse marks a server that does not want this client, under all its
// addresses.
func (p *pool) refuse(addr string) {
	for _, a := range p.all() {
		if p.same(a, addr) {
			p.refused[a] = true
		}
	}
}

func (p *pool) allRefuse() bool {
	return !slices.ContainsFunc(p.all(), func(a string) bool { return !p.refused[a] })
}

func (p *pool) hasOther(addr string) bool {
	return slices.ContainsFunc(p.all(), func(a string) bool { return !p.same(a, addr) })
}

// learn takes over the members that the server at addr told of.
func (p *pool) learn(members []protocol.Member, addr string) {
	near := isLoopback(addr)
	for _, a := range p.learned {
		if !slices.Contains(p.given, a) {
			delete(p.ids, a)
		}
	}
	p.learned = p.learned[:0]
	for _, m := range members {
		if usable(m.ClientAddr) && (near || !isLoopback(m.ClientAddr)) {
			p.learned = append(p.learned, m.ClientAddr)
			p.met(m.ClientAddr, m.ID)
		}
	}
}

// usable tells whether addr says where a server is.
func usable(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || len(host) > maxHost || port == "" || len(port) > maxPort || port == "0" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.IsUnspecified()
}

// isLoopback is of addresses that mean another server, or none, to anybody on
// another machine.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
