package jute

import (
	"bytes"
	"strings"
)

// Auth is what a client proves itself with.
type Auth struct {
	Scheme string
	Data   []byte // nil is null
}

// DecodeAuth decodes the record of an auth into memory of its own.
func DecodeAuth(record []byte) (Auth, error) {
	d := decoder{record: record}
	d.int() // a type, always 0
	a := Auth{Scheme: strings.Clone(d.text()), Data: bytes.Clone(d.buffer())}
	return a, d.err
}

// AppendAuth appends the frame of an auth.
func AppendAuth(b []byte, a *Auth) []byte {
	b, start := beginRequest(b, XidAuth, OpAuth)
	b = appendInt(b, 0)
	b = appendString(b, a.Scheme)
	return endFrame(appendBuffer(b, a.Data), start)
}

// DecodeSASL decodes the record of a sasl, of a request as of a reply, into
// memory of its own; nil is null.
func DecodeSASL(record []byte) (token []byte, err error) {
	d := decoder{record: record}
	return bytes.Clone(d.buffer()), d.err
}

// AppendSASL appends the frame of a client's sasl. The server's is AppendReply
// of a message whose Data is the token.
func AppendSASL(b []byte, xid int32, token []byte) []byte {
	b, start := beginRequest(b, xid, OpSASL)
	return endFrame(appendBuffer(b, token), start)
}

// Reconfig asks for other members. Each list may be absent, which differs from
// empty.
type Reconfig struct {
	Joining, Leaving, NewMembers          string
	HasJoining, HasLeaving, HasNewMembers bool
	CurConfigID                           int64 // -1: whatever it is now
}

// DecodeReconfig decodes the record of a reconfig into memory of its own. The
// answer is AppendReply of a message with Data and Stat of the configuration.
func DecodeReconfig(record []byte) (Reconfig, error) {
	d := decoder{record: bytes.Clone(record)}
	var r Reconfig
	r.Joining, r.HasJoining = d.optional()
	r.Leaving, r.HasLeaving = d.optional()
	r.NewMembers, r.HasNewMembers = d.optional()
	r.CurConfigID = d.long()
	return r, d.err
}

func (d *decoder) optional() (s string, has bool) {
	s, null := d.str()
	return s, !null
}

// AppendReconfig appends the frame of a reconfig.
func AppendReconfig(b []byte, xid int32, r *Reconfig) []byte {
	b, start := beginRequest(b, xid, OpReconfig)
	b = appendOptional(b, r.Joining, r.HasJoining)
	b = appendOptional(b, r.Leaving, r.HasLeaving)
	b = appendOptional(b, r.NewMembers, r.HasNewMembers)
	return endFrame(appendLong(b, r.CurConfigID), start)
}

func appendOptional(b []byte, s string, has bool) []byte {
	if !has {
		return appendInt(b, -1)
	}
	return appendString(b, s)
}
