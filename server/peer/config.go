package peer

import (
	"log/slog"
	"net"
)

// Config of a Mux.
type Config struct {
	Self Identity
	Addr string // to listen on

	Network  Network      // nil: TCP
	Listener net.Listener // bound already, by TCP or the Network, and then Addr is not asked; nil: Open binds

	TLS      *TLSConfig // nil: plain, and then Addr must be loopback unless Insecure
	Insecure bool

	// Admit is the rule of membership. It is asked for each accepted stream,
	// after cluster, id and data have been compared, without any lock held.
	Admit func(k Kind, remote Identity) error

	Logger *slog.Logger
}

// TLSConfig names PEM files. They are read again when they change, so
// certificates are renewed without a restart. A peer's certificate must be
// signed by CAFile and carry the role of a server: the URI lycaon:server among
// its alternative names, or the organizational unit lycaon-server. The name
// dialed must be among the alternative names of the server that answers.
type TLSConfig struct {
	CertFile, KeyFile, CAFile string
}
