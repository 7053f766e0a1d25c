package protocol

// Status answers OpStatus: how this server is.
type Status struct {
	ServerID     uint64
	Role         string // leader, follower, observer, candidate, ...
	Zxid         uint64 // newest applied here
	Term         uint64
	CommitIndex  uint64
	AppliedIndex uint64
	Sessions     int64 // of the whole cluster
	Connections  int64 // of this server, as are the watches
	Watches      int64
	Nodes        int64
	DataBytes    int64
	Digest       uint64 // of the state at Zxid
	Version      string
	UptimeMs     int64
	Ready        bool
	Disk         string // ok, low, full
	LogBytes     int64
	LeaderID     uint64 // 0: none known
	ContactMs    int64  // since this server last heard of the leader; 0 while it leads
	Lag          int64  // entries of the log that the leader is known to have committed and this server has not applied
}

func appendStatus(b []byte, s *Status) []byte {
	if s == nil {
		s = &Status{}
	}
	b = appendArray(b, 20)
	b = appendUint(b, s.ServerID)
	b = appendStr(b, s.Role)
	b = appendUint(b, s.Zxid)
	b = appendUint(b, s.Term)
	b = appendUint(b, s.CommitIndex)
	b = appendUint(b, s.AppliedIndex)
	b = appendInt(b, s.Sessions)
	b = appendInt(b, s.Connections)
	b = appendInt(b, s.Watches)
	b = appendInt(b, s.Nodes)
	b = appendInt(b, s.DataBytes)
	b = appendUint(b, s.Digest)
	b = appendStr(b, s.Version)
	b = appendInt(b, s.UptimeMs)
	b = appendBool(b, s.Ready)
	b = appendStr(b, s.Disk)
	b = appendInt(b, s.LogBytes)
	b = appendUint(b, s.LeaderID)
	b = appendInt(b, s.ContactMs)
	return appendInt(b, s.Lag)
}

func (t *tuple) status() *Status {
	return &Status{
		ServerID:     t.uint(),
		Role:         t.optStr(),
		Zxid:         t.optUint(),
		Term:         t.optUint(),
		CommitIndex:  t.optUint(),
		AppliedIndex: t.optUint(),
		Sessions:     t.optInt(0),
		Connections:  t.optInt(0),
		Watches:      t.optInt(0),
		Nodes:        t.optInt(0),
		DataBytes:    t.optInt(0),
		Digest:       t.optUint(),
		Version:      t.optStr(),
		UptimeMs:     t.optInt(0),
		Ready:        t.optBool(),
		Disk:         t.optStr(),
		LogBytes:     t.optInt(0),
		LeaderID:     t.optUint(),
		ContactMs:    t.optInt(0),
		Lag:          t.optInt(0),
	}
}
