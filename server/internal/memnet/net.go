package memnet

import (
	"net"
	"strconv"
	"sync"
	"time"
)

// Net holds the hosts and the faults between them.
type Net struct {
	mu    sync.Mutex // guards everything of the network
	moved *sync.Cond // dialers and listeners may have news
	hosts map[string]*Host
	links map[way]*link
	conns map[*conn]struct{}
}

// way is an ordered pair of hosts.
type way struct{ from, to string }

// link is the state of one way.
type link struct {
	cut, refuse bool
	delay       time.Duration
}

// New makes a network without faults.
func New() *Net {
	n := &Net{hosts: map[string]*Host{}, links: map[way]*link{}, conns: map[*conn]struct{}{}}
	n.moved = sync.NewCond(&n.mu)
	return n
}

// Host gives the host of a name, which is the host part of its addresses. A
// name that is an IP address makes addresses of type *net.TCPAddr.
func (n *Net) Host(name string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.host(name)
}

func (n *Net) host(name string) *Host {
	h := n.hosts[name]
	if h == nil {
		h = &Host{net: n, name: name, listeners: map[int]*listener{}, port: 40000}
		n.hosts[name] = h
	}
	return h
}

// Cut holds back everything that goes from one host to another. The other way
// stays open, though its sender soon has no room, for want of acknowledgements.
func (n *Net) Cut(from, to string) { n.change(from, to, func(l *link) { l.cut = true }) }

// Heal ends a cut, and what was held back arrives.
func (n *Net) Heal(from, to string) { n.change(from, to, func(l *link) { l.cut = false }) }

// Refuse has connections from one host to another refused; open ones live on.
func (n *Net) Refuse(from, to string, on bool) {
	n.change(from, to, func(l *link) { l.refuse = on })
}

// Delay is how long bytes take from one host to another, from now on.
func (n *Net) Delay(from, to string, d time.Duration) {
	n.change(from, to, func(l *link) { l.delay = d })
}

// Isolate cuts a host from others, both ways.
func (n *Net) Isolate(host string, others ...string) {
	for _, o := range others {
		n.Cut(host, o)
		n.Cut(o, host)
	}
}

// HealAll ends all cuts and refusals. Delays stay, and paused hosts too.
func (n *Net) HealAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.links {
		l.cut, l.refuse = false, false
	}
	n.pumpAll()
}

// Pause stops a host as a stopped process is: its calls hang, and what is sent
// to it gathers.
func (n *Net) Pause(host string) { n.setPaused(host, true) }

// Resume ends a pause.
func (n *Net) Resume(host string) { n.setPaused(host, false) }

// Reset breaks all connections of a host. The other ends hear of it as far as
// the ways are open.
func (n *Net) Reset(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		if c.host.name == host {
			c.abort()
		}
	}
}

// Crash ends everything that was opened through a host so far, as the death of
// its process does: connections break as in Reset, listeners are gone, and the
// Host that was given fails from now on. Ask for it again to live anew.
func (n *Net) Crash(host string) {
	n.Reset(host)
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[host]
	if h == nil {
		return
	}
	delete(n.hosts, host)
	h.dead, h.paused = true, false
	for _, l := range h.listeners {
		l.end()
	}
	for c := range n.conns {
		c.moved.Broadcast()
	}
	n.moved.Broadcast()
}

// Conns counts the open ends of connections at a host.
func (n *Net) Conns(host string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for c := range n.conns {
		if c.host.name == host {
			count++
		}
	}
	return count
}

func (n *Net) setPaused(host string, on bool) {
	h := n.Host(host)
	n.mu.Lock()
	defer n.mu.Unlock()
	h.paused = on
	for c := range n.conns {
		c.moved.Broadcast()
	}
	n.moved.Broadcast()
}

func (n *Net) change(from, to string, f func(*link)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := way{from, to}
	l := n.links[w]
	if l == nil {
		l = &link{}
		n.links[w] = l
	}
	f(l)
	n.pumpAll()
}

// pumpAll lets arrive what may, after a change of faults.
func (n *Net) pumpAll() {
	for c := range n.conns {
		c.in.pump()
		c.in.acknowledge()
		c.out.pump()
		c.out.acknowledge()
	}
	n.moved.Broadcast()
}

func (n *Net) link(from, to *Host) link {
	if l := n.links[way{from.name, to.name}]; l != nil {
		return *l
	}
	return link{}
}

// address of a host that is named by an IP is what code under test may take
// apart; any other is a name.
type address struct{ name string }

func (address) Network() string  { return "tcp" }
func (a address) String() string { return a.name }

func addressOf(host string, port int) net.Addr {
	if ip := net.ParseIP(host); ip != nil {
		return &net.TCPAddr{IP: ip, Port: port}
	}
	return address{net.JoinHostPort(host, strconv.Itoa(port))}
}
