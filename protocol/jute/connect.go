package jute

import "bytes"

// ConnectRequest is the first frame of a client.
type ConnectRequest struct {
	ProtocolVersion int32
	LastZxid        int64 // newest one the client has seen
	TimeoutMs       int32 // asked for
	Session         int64 // 0: a new one
	Password        []byte
	ReadOnly        bool // would take a server that serves reads alone
	HasReadOnly     bool // the client knows of ReadOnly, which the oldest do not
}

// ConnectResponse is the first frame of a server. A TimeoutMs of 0 says that the
// session is no more.
type ConnectResponse struct {
	ProtocolVersion int32
	TimeoutMs       int32 // negotiated
	Session         int64
	Password        []byte
	ReadOnly        bool // the server serves reads alone
}

// DecodeConnectRequest decodes a frame without its length, into memory of its
// own.
func DecodeConnectRequest(frame []byte) (ConnectRequest, error) {
	d := decoder{record: frame}
	r := ConnectRequest{
		ProtocolVersion: d.int(),
		LastZxid:        d.long(),
		TimeoutMs:       d.int(),
		Session:         d.long(),
		Password:        bytes.Clone(d.buffer()),
	}
	if r.HasReadOnly = d.left() > 0; r.HasReadOnly {
		r.ReadOnly = d.bool()
	}
	return r, d.err
}

// AppendConnectRequest appends the frame of r.
func AppendConnectRequest(b []byte, r *ConnectRequest) []byte {
	b, start := beginFrame(b)
	b = appendInt(b, r.ProtocolVersion)
	b = appendLong(b, r.LastZxid)
	b = appendInt(b, r.TimeoutMs)
	b = appendLong(b, r.Session)
	b = appendBuffer(b, r.Password)
	if r.HasReadOnly {
		b = appendBool(b, r.ReadOnly)
	}
	return endFrame(b, start)
}

// AppendConnectResponse appends the frame of r, with ReadOnly for a client that
// knows of it.
func AppendConnectResponse(b []byte, r *ConnectResponse, withReadOnly bool) []byte {
	b, start := beginFrame(b)
	b = appendInt(b, r.ProtocolVersion)
	b = appendInt(b, r.TimeoutMs)
	b = appendLong(b, r.Session)
	b = appendBuffer(b, r.Password)
	if withReadOnly {
		b = appendBool(b, r.ReadOnly)
	}
	return endFrame(b, start)
}

// DecodeConnectResponse decodes a frame without its length, into memory of its
// own.
func DecodeConnectResponse(frame []byte) (ConnectResponse, error) {
	d := decoder{record: frame}
	r := ConnectResponse{
		ProtocolVersion: d.int(),
		TimeoutMs:       d.int(),
		Session:         d.long(),
		Password:        bytes.Clone(d.buffer()),
	}
	if d.left() > 0 {
		r.ReadOnly = d.bool()
	}
	return r, d.err
}
