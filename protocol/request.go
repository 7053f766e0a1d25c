package protocol

import (
	"encoding/binary"
	"fmt"

	"github.com/lycaon-io/lycaon/znode"
)

// Bits of a request's flags byte. A bit that is not known is refused.
const flagConsistency = 0b11

// AppendRequest appends the frame of r: a read's body from Read, a watch's
// from Watches, any other's is Body, where nil says nothing. Of all of them a ping
// alone is as short as PingBytes.
func AppendRequest(b []byte, r *Request) []byte {
	b, start := beginFrame(b)
	b = append(b, byte(r.Op), byte(r.Consistency))
	b = binary.BigEndian.AppendUint64(b, r.Xid)
	b = binary.BigEndian.AppendUint64(b, r.Arg)
	switch {
	case r.Op.IsRead():
		b = appendRead(b, r.Op, &r.Read)
	case r.Op == OpResume:
		b = appendResume(b, r.Watches)
	case r.Op == OpWatch || r.Op == OpUnwatch:
		b = appendWatch(b, &r.Watches[0])
	case r.Op == OpPing:
		b = appendArray(b, 0)
	case r.Body == nil:
		b = appendNothing(b)
	default:
		b = append(b, r.Body...)
	}
	return endFrame(b, start)
}

// DecodeRequest decodes what ReadFrame returned into r. Reads and watches come
// decoded and checked, in memory of their own; every other Body aliases frame
// and has yet to be decoded (ValidateWrite, DecodeAuth, DecodeExpireSession, ...).
// If the header could be read, r has Op and Xid also with an error, which
// CodeOf turns into the code of the reply.
func DecodeRequest(frame []byte, r *Request) error {
	if len(frame) < requestHeaderBytes {
		*r = Request{}
		return errShortFrame
	}
	flags := frame[1]
	*r = Request{
		Op:          Op(frame[0]),
		Consistency: Consistency(flags & flagConsistency),
		Xid:         binary.BigEndian.Uint64(frame[2:]),
		Arg:         binary.BigEndian.Uint64(frame[10:]),
	}
	if err := r.checkFlags(flags); err != nil {
		return err
	}
	if r.Op.IsWrite() && max(r.Xid, r.Arg) > MaxXid {
		return fmt.Errorf("%v: %w: xid %d or the lowest unacknowledged one, %d, is above 2^63", r.Op, znode.ErrBadArguments, r.Xid, r.Arg)
	}
	if err := r.decodeBody(frame[requestHeaderBytes:]); err != nil {
		return fmt.Errorf("%v: %w", r.Op, err)
	}
	return nil
}

func (r *Request) checkFlags(flags byte) error {
	switch {
	case flags&^flagConsistency != 0:
		return fmt.Errorf("%v: %w: flags %#x", r.Op, ErrUnimplemented, flags)
	case r.Consistency > Linearizable:
		return fmt.Errorf("%v: %w: consistency %d", r.Op, ErrUnimplemented, r.Consistency)
	case r.Consistency != Local && !r.Op.IsRead():
		return fmt.Errorf("%v: %w: only a read has a consistency", r.Op, znode.ErrBadArguments)
	}
	return nil
}

func (r *Request) decodeBody(body []byte) error {
	switch {
	case r.Op.IsRead():
		d := newOwnedDecoder(body)
		d.read(r.Op, &r.Read)
		return d.done()
	case r.Op == OpWatch || r.Op == OpUnwatch || r.Op == OpResume:
		d := newOwnedDecoder(body)
		r.Watches = d.watches(r.Op)
		return d.done()
	case r.Op == OpPing || r.Op == OpSnapshot || r.Op == OpStatus || r.Op == OpMembers || r.Op == OpClusterStatus:
		return decodeNothing(body)
	case r.Op.IsWrite() || r.Op == OpAuth || r.Op == OpExpireSession || r.Op == OpMemberChange || r.Op == OpTransferLeader || r.Op == OpSessions:
		r.Body = body
		return nil
	}
	return ErrUnimplemented
}

// decodeNothing decodes a body without fields that we know.
func decodeNothing(body []byte) error {
	d := newDecoder(body)
	t := d.tuple()
	t.end()
	return d.done()
}

// AppendAuth appends the body of an auth.
func AppendAuth(b []byte, c Credential) []byte { return appendCredential(b, c) }

// DecodeAuth decodes the body of an auth into memory of its own.
func DecodeAuth(body []byte) (Credential, error) {
	d := newOwnedDecoder(body)
	c := d.credential()
	return c, d.done()
}

// AppendExpireSession appends the body of an expireSession; the cause is what
// the session's client will be told.
func AppendExpireSession(b []byte, session uint64, cause string) []byte {
	b = appendArray(b, 2)
	b = appendUint(b, session)
	return appendText(b, cause, maxCauseBytes)
}

// DecodeExpireSession decodes the body of an expireSession into memory of its
// own.
func DecodeExpireSession(body []byte) (session uint64, cause string, err error) {
	d := newOwnedDecoder(body)
	t := d.tuple()
	session = t.uint()
	cause = t.optStr()
	if len(cause) > maxCauseBytes {
		d.fail("a cause that is too long")
	}
	t.end()
	return session, cause, d.done()
}
