package jute

import "bytes"

// Header begins every frame of a server.
type Header struct {
	Xid  int32
	Zxid int64
	Err  int32 // 0 or the number of one of ZooKeeper's errors
}

// Stat describes a node as ZooKeeper does. Versions count changes and may have
// wrapped; EphemeralOwner is 0 but for an ephemeral.
type Stat struct {
	Czxid, Mzxid, Ctime, Mtime  int64
	Version, Cversion, Aversion int32
	EphemeralOwner              int64
	DataLength, NumChildren     int32
	Pzxid                       int64
}

// Answer is a server's answer to a Call. Which fields are filled depends on the
// operation; after an error none is, save Results of a multi that failed. Of a
// vector nil is null.
type Answer struct {
	Header
	Path       string // create, sync
	Data       []byte // getData, reconfig, sasl; nil is null
	Stat       Stat
	ACL        []ACL
	Names      []string // getChildren, getEphemerals
	Count      int32    // getAllChildrenNumber
	Identities []User
	Results    []Result // multi, multiRead: one for each operation
}

// User is who a client is to the server.
type User struct{ Scheme, Name string }

// Result is the outcome of one operation of a multi; Err is 0 or its error.
type Result struct {
	Op   OpCode // of the answer: create2 if a create answers a Stat, -1 for an error
	Err  int32
	Path string
	Data []byte
	Stat Stat
	// Names of the children, of a getChildren.
	Names []string
}

// Event is what a watch tells. Type is one of ZooKeeper's EventType.
type Event struct {
	Zxid        int64 // of the event, -1 if the server does not tell
	Type, State int32
	Path        string
}

// DecodeReplyHeader decodes the header of a frame without its length; an Xid
// of XidEvent says that DecodeEvent decodes the rest, else DecodeAnswer with the
// operation that the client asked for.
func DecodeReplyHeader(frame []byte) (Header, error) {
	d := decoder{record: frame}
	h := d.header()
	return h, d.err
}

// DecodeEvent decodes the frame of an event without its length, into memory of
// its own.
func DecodeEvent(frame []byte) (Event, error) {
	d := decoder{record: bytes.Clone(frame)}
	h := d.header()
	e := Event{Zxid: h.Zxid, Type: d.int(), State: d.int(), Path: d.text()}
	return e, d.err
}

// DecodeAnswer decodes the frame of the answer to op without its length, into
// memory of its own: one copy of the frame, which its strings and data share.
func DecodeAnswer(frame []byte, op OpCode) (Answer, error) {
	d := decoder{record: bytes.Clone(frame)}
	a := Answer{Header: d.header()}
	if a.Err == 0 && d.err == nil {
		d.answer(op, &a)
	}
	return a, d.err
}

func (d *decoder) header() Header { return Header{d.int(), d.long(), d.int()} }

func (d *decoder) answer(op OpCode, a *Answer) {
	switch op {
	case OpCreate, OpSync:
		a.Path = d.text()
	case OpCreate2, OpCreateContainer, OpCreateTTL:
		a.Path, a.Stat = d.text(), d.stat()
	case OpExists, OpSetData, OpSetACL:
		a.Stat = d.stat()
	case OpGetData, OpReconfig:
		a.Data, a.Stat = d.buffer(), d.stat()
	case OpGetACL:
		a.ACL, a.Stat = d.entries(), d.stat()
	case OpGetChildren, OpGetEphemerals:
		a.Names = d.strings()
	case OpGetChildren2:
		a.Names, a.Stat = d.strings(), d.stat()
	case OpGetAllChildrenNumber:
		a.Count = d.int()
	case OpAddWatch:
		a.Err = d.int()
	case OpWhoAmI:
		a.Identities = d.users()
	case OpSASL:
		a.Data = d.buffer()
	case OpMulti, OpMultiRead:
		a.Results = d.results()
	}
}

func (d *decoder) stat() Stat {
	return Stat{
		Czxid: d.long(), Mzxid: d.long(), Ctime: d.long(), Mtime: d.long(),
		Version: d.int(), Cversion: d.int(), Aversion: d.int(),
		EphemeralOwner: d.long(),
		DataLength:     d.int(), NumChildren: d.int(),
		Pzxid: d.long(),
	}
}

func (d *decoder) strings() (all []string) {
	n, null := d.vector(minString)
	if null {
		return nil
	}
	all = make([]string, 0, n) // four times the bytes that n strings take at least
	for ; n > 0 && d.err == nil; n-- {
		all = append(all, d.text())
	}
	return all
}

func (d *decoder) entries() (acl []ACL) {
	n, null := d.vector(minEntry)
	if !null {
		acl = []ACL{}
	}
	for ; n > 0 && d.err == nil; n-- {
		acl = append(acl, ACL{d.int(), d.text(), d.text()})
	}
	return acl
}

func (d *decoder) users() (all []User) {
	n, null := d.vector(minUser)
	if !null {
		all = []User{}
	}
	for ; n > 0 && d.err == nil; n-- {
		all = append(all, User{d.text(), d.text()})
	}
	return all
}

func (d *decoder) results() (all []Result) {
	for op, more := d.next(); more; op, more = d.next() {
		r := Result{Op: op}
		switch op {
		case opError:
			r.Err = d.int()
		case OpCreate, OpCreate2, OpSetData, OpGetData, OpGetChildren:
			var a Answer
			d.answer(op, &a)
			r.Path, r.Data, r.Stat, r.Names = a.Path, a.Data, a.Stat, a.Names
		case OpDelete, OpCheck:
		default:
			d.fail("an unknown result of a multi")
		}
		all = append(all, r)
	}
	return all
}
