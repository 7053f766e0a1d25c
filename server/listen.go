package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// listen takes the addresses, before anything else is touched. Who comes early
// waits in the backlog.
func (s *Server) listen() (err error) {
	if s.clients, err = s.listenAt("client-addr", s.cfg.ClientAddr); err != nil {
		return err
	}
	if s.peerPort, err = s.listenPeers(); err != nil {
		return err
	}
	if s.cfg.HTTPAddr == httpOff {
		return nil
	}
	s.web, err = s.listenAt("http-addr", s.cfg.HTTPAddr)
	return err
}

func (s *Server) listenAt(key, addr string) (net.Listener, error) {
	open := listenTCP
	if s.cfg.hooks.listen != nil {
		open = s.cfg.hooks.listen
	}
	return listen(key, addr, open)
}

// listenPeers takes the port for the other servers. What they say to each
// other decides everything, and without TLS anybody who can reach the port
// may say it too.
func (s *Server) listenPeers() (net.Listener, error) {
	if net := s.cfg.hooks.network; net != nil {
		return net.Listen(s.cfg.PeerAddr)
	}
	l, err := listen("peer-addr", s.cfg.PeerAddr, listenTCP)
	if err != nil {
		return nil, err
	}
	if open(l) && s.cfg.PeerCert == "" && !s.cfg.InsecurePeers {
		l.Close()
		return nil, fmt.Errorf("%w: peer-addr %s can be reached from other machines: peer-cert, peer-key and peer-ca must protect it, or insecure-peers must allow it as it is", ErrConfig, s.cfg.PeerAddr)
	}
	return l, nil
}

func listen(key, addr string, open func(key, addr string) (net.Listener, error)) (net.Listener, error) {
	l, err := inherit(syscall.EADDRINUSE, func() (net.Listener, error) { return open(key, addr) })
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%w: %s %s", ErrPortInUse, key, addr)
	case err != nil:
		return nil, fmt.Errorf("%w: %s %s: %w", ErrConfig, key, addr, err)
	}
	return l, nil
}

// keepAlive notices a machine that vanished without a word.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 3 * time.Second, Count: 3}

// warnOpen says loudly what an operator may not have meant. Of the peer port
// package peer does.
func (s *Server) warnOpen() {
	if open(s.clients) {
		// With a certificate too: the port tells TLS by the first byte and goes
		// on serving those who do not speak it.
		s.log.Warn("CLIENTS BEYOND THIS MACHINE CAN CONNECT WITHOUT TLS: their passwords and data cross the network in clear, and no client certificate is asked of them",
			"addr", s.clients.Addr(), "tls", s.cfg.ClientCert != "")
	}
	if s.web != nil && open(s.web) {
		s.log.Warn("metrics can be read from beyond this machine", "addr", s.web.Addr())
	}
}

// open tells whether other machines can reach a listener.
func open(l net.Listener) bool {
	addr, ok := l.Addr().(*net.TCPAddr)
	return ok && !addr.IP.IsLoopback()
}

// peerAddr is where the other servers dial this one.
func (s *Server) peerAddr() string {
	if addr := s.cfg.advertisedPeer(); addr != "" {
		return addr
	}
	return s.peerPort.Addr().String()
}

// announcedClientAddr is where clients are told to dial this server. One that
// listens on every address of its machine knows none that it could tell.
func (s *Server) announcedClientAddr() string {
	if s.cfg.AdvertiseClientAddr != "" {
		return s.cfg.AdvertiseClientAddr
	}
	addr := s.clients.Addr().String()
	if host, _, err := net.SplitHostPort(addr); err != nil || unspecified(host) {
		return ""
	}
	return addr
}

// ownNames are those under which HTTP is asked for beside localhost.
func (s *Server) ownNames() []string {
	configured, _, _ := net.SplitHostPort(s.cfg.HTTPAddr) // checked by Validate
	machine, err := os.Hostname()
	if err != nil {
		return []string{configured}
	}
	short, _, _ := strings.Cut(machine, ".")
	return []string{configured, machine, short}
}
