package server

import (
	"math"

	"golang.org/x/sys/unix"
)

// ownDescriptors are kept from clients, for the log, the other servers, HTTP and those
// who are told that there are too many: a log that cannot begin its next file stops
// the server, and nobody who only connects is to bring that about. Where few files
// may be open half of them are, which may be too few: that is warned of.
const ownDescriptors = 256

// mostConnections is how many clients may connect, of so many asked for (0: as many as
// can), where so many files may be open.
func mostConnections(asked int, files uint64) int {
	room := int(min(files-min(ownDescriptors, files/2), math.MaxInt32))
	if asked == 0 {
		return room
	}
	return min(asked, room)
}

func (s *Server) maxConnections() int {
	files := s.cfg.hooks.files
	if files == 0 {
		files = openFiles()
	}
	most := mostConnections(s.cfg.MaxConnections, files)
	if most < s.cfg.MaxConnections {
		s.log.Warn("fewer clients can connect than max-connections says: this process may not have so many files open (ulimit -n)",
			"max-connections", s.cfg.MaxConnections, "clients", most, "files", files)
	}
	if kept := files - uint64(most); kept < ownDescriptors {
		want := 2 * ownDescriptors
		if asked := s.cfg.MaxConnections; asked > 0 {
			want = min(want, asked+ownDescriptors)
		}
		s.log.Warn("few files may be open (ulimit -n): connections can leave too few for the log, and the server would stop",
			"files", files, "kept", kept, "want", want, "clients", most)
	}
	return most
}

// openFiles is how many files this process may have open; Go has raised that as far
// as it may.
func openFiles() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxUint64
	}
	return uint64(limit.Cur)
}
