package jute

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/compat/rig"
	"github.com/lycaon-io/lycaon/znode"
)

// The golden file holds what a ZooKeeper 3.8 was asked and what it answered,
// frame by frame. With LYCAON_CAPTURE set, it is made anew from the Debian
// package's server.
const (
	goldenFile    = "testdata/zookeeper-3.8.txt"
	captureWithin = 30 * time.Second
)

// exchange is one line of the story: a request and every frame that came up to
// its answer. A server that closes instead leaves no answer.
type exchange struct {
	name    string
	request []byte   // without its length, as are the frames
	frames  [][]byte // events, then the answer
}

func (e *exchange) answer(t *testing.T) []byte {
	require.NotEmpty(t, e.frames, "%s: the server closed", e.name)
	return e.frames[len(e.frames)-1]
}

func readGolden(t testing.TB) (all []exchange) {
	file, err := os.Open(goldenFile)
	require.NoError(t, err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4*MaxFrame)
	for lines.Scan() {
		kind, rest, _ := strings.Cut(lines.Text(), " ")
		raw, err := hex.DecodeString(rest)
		switch kind {
		case "#":
			all = append(all, exchange{name: rest})
			continue
		case ">":
			all[len(all)-1].request = raw
		case "<":
			all[len(all)-1].frames = append(all[len(all)-1].frames, raw)
		}
		require.NoError(t, err)
	}
	require.NoError(t, lines.Err())
	return all
}

// deviations are the exchanges whose answer is ours by intent.
var deviations = map[string]protocol.Code{
	"create with unknown permission bits":     protocol.InvalidACL,   // there: stored as they are
	"create at an impossible path":            protocol.BadArguments, // there: its missing parent first
	"create at a path longer than ours":       protocol.BadArguments,
	"getData of a path longer than ours":      protocol.NoNode,
	"setData at a null path":                  protocol.Marshalling,  // there: BadArguments
	"removeWatches at a null path":            protocol.Marshalling,  // there: NoWatcher
	"checkWatches at a path without a slash":  protocol.NoWatcher,    // there: Marshalling
	"addWatch at an impossible path":          protocol.BadArguments, // there: it stays and never fires
	"checkWatches at an impossible path":      protocol.NoWatcher,    // there: the watch that never fires
	"addWatch at an empty path":               protocol.OK,
	"checkWatches, persistent":                protocol.OK, // newer servers know it
	"removeWatches, recursive":                protocol.OK,
	"setACL with an unknown permission bit":   protocol.InvalidACL,
	"multi that begins with an unknown flag":  protocol.BadArguments,
	"createSession":                           protocol.Unimplemented,
	"deleteContainer":                         protocol.Unimplemented,
	"create of a sequential container":        protocol.BadArguments,
	"createContainer of a sequential one":     protocol.BadArguments,
	"getACL of a path longer than ours":       protocol.NoNode,
	"multi with a path longer than ours":      protocol.BadArguments,
	"create with too many entries in its ACL": protocol.InvalidACL,
}

func TestRequestsAreRefusedAsZooKeeperRefusesThem(t *testing.T) {
	refused := 0
	for _, e := range readGolden(t) {
		xid, op, record, err := DecodeHeader(e.request)
		require.NoError(t, err, e.name)
		if op == OpAuth || op == OpSASL || op == OpReconfig {
			continue
		}
		var req protocol.Request
		lim := protocol.DefaultLimits()
		_, _, err = DecodeRequest(xid, op, record, &lim, &req, nil)
		if code, known := deviations[e.name]; known {
			require.Equal(t, code, protocol.CodeOf(err), "%s: %v", e.name, err)
			continue
		}
		want, err2 := DecodeReplyHeader(e.answer(t))
		require.NoError(t, err2, e.name)
		if err == nil {
			require.NotContains(t, []int32{errMarshalling, int32(protocol.Unimplemented)}, want.Err, "%s: it is not refused", e.name)
			continue
		}
		refused++
		m := Refusal(&req, err)
		m.Zxid = uint64(want.Zxid)
		if len(e.answer(t)) == replyHeaderBytes {
			require.Equal(t, hex.EncodeToString(e.answer(t)), hex.EncodeToString(AppendReply(nil, &m, nil)[lengthBytes:]), "%s: %v", e.name, err)
		} else if want.Err == 0 {
			require.Equal(t, OpMulti, op, e.name)
			require.Equal(t, hex.EncodeToString(e.answer(t)), hex.EncodeToString(AppendReply(nil, &m, nil)[lengthBytes:]), "%s: %v", e.name, err)
		} else { // an error with a record that no client reads
			require.Equal(t, want.Err, Code(m.Code), e.name)
		}
	}
	require.Greater(t, refused, 30)
}

// Every answer of the real server is decoded as a client does, turned into the
// pipeline's message, and encoded as the server does: the bytes are the same.
func TestAnswersAreZooKeepersToTheByte(t *testing.T) {
	lim := protocol.DefaultLimits()
	for _, e := range readGolden(t) {
		if len(e.frames) == 0 {
			continue
		}
		xid, op, record, err := DecodeHeader(e.request)
		require.NoError(t, err, e.name)
		a, err := DecodeAnswer(e.answer(t), op)
		require.NoError(t, err, e.name)
		require.Equal(t, xid, a.Xid, e.name)
		if a.Err != 0 && len(e.answer(t)) > replyHeaderBytes {
			continue // an error with a record that no client reads
		}
		var req protocol.Request
		_, forms, err := DecodeRequest(xid, op, record, &lim, &req, nil)
		if err != nil {
			req.Xid = Tag(xid, op)
		}
		m := messageOf(&a, req.Xid, forms)
		got := AppendReply(nil, &m, forms)
		require.Equal(t, hex.EncodeToString(e.answer(t)), hex.EncodeToString(got[lengthBytes:]), e.name)
		require.EqualValues(t, len(got)-lengthBytes, binary.BigEndian.Uint32(got), e.name)
		for _, frame := range e.frames[:len(e.frames)-1] {
			ev, err := DecodeEvent(frame)
			require.NoError(t, err, e.name)
			got := AppendEvent(nil, &protocol.Message{Kind: protocol.Event, Event: protocol.EventType(ev.Type), Path: ev.Path, Zxid: uint64(ev.Zxid)})
			require.Equal(t, hex.EncodeToString(frame), hex.EncodeToString(got[lengthBytes:]), e.name)
		}
	}
}

// messageOf is the message whose encoding would be a.
func messageOf(a *Answer, tag uint64, forms []Form) protocol.Message {
	_, form := formOfTag(tag)
	m := protocol.Message{
		Xid: tag, Zxid: uint64(a.Zxid), Code: protocol.Code(a.Err), Path: a.Path, Data: a.Data,
		Stat: statOf(&a.Stat, form), More: &protocol.More{Names: a.Names, Count: int64(a.Count)},
	}
	for _, e := range a.ACL {
		m.More.ACL = append(m.More.ACL, znode.Entry{Perms: znode.Perm(e.Perms), Scheme: e.Scheme, ID: e.ID})
	}
	for _, id := range a.Identities {
		m.More.Identities = append(m.More.Identities, znode.Identity{Scheme: id.Scheme, ID: id.Name})
	}
	for i, r := range a.Results {
		form := Form{}
		if i < len(forms) {
			form = forms[i]
		}
		m.More.Results = append(m.More.Results, protocol.Message{
			Code: protocol.Code(r.Err), Path: r.Path, Data: r.Data, Stat: statOf(&r.Stat, form), More: &protocol.More{Names: r.Names},
		})
	}
	return m
}

func statOf(s *Stat, f Form) znode.Stat {
	return znode.Stat{
		Czxid: uint64(s.Czxid), Mzxid: uint64(s.Mzxid), Pzxid: uint64(s.Pzxid), CtimeMs: s.Ctime, MtimeMs: s.Mtime,
		Version: int64(s.Version), Cversion: int64(s.Cversion) + int64(f.atStart), Aversion: int64(s.Aversion),
		Owner: uint64(s.EphemeralOwner), DataLength: int(s.DataLength), NumChildren: int(s.NumChildren),
	}
}

func TestTheStoryIsToldAgain(t *testing.T) {
	story := tell()
	golden := readGolden(t)
	require.Len(t, golden, len(story))
	for i, s := range story {
		require.Equal(t, s.name, golden[i].name)
		require.Equal(t, hex.EncodeToString(s.request), hex.EncodeToString(golden[i].request), s.name)
	}
}

func TestCaptureFromZooKeeper(t *testing.T) {
	if os.Getenv("LYCAON_CAPTURE") == "" {
		t.Skip("set LYCAON_CAPTURE to ask a real ZooKeeper anew")
	}
	s := dialZooKeeper(t)
	var b strings.Builder
	for _, e := range tell() {
		fmt.Fprintf(&b, "# %s\n> %x\n", e.name, e.request)
		for _, frame := range s.ask(t, e.request) {
			fmt.Fprintf(&b, "< %x\n", frame)
		}
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(goldenFile), 0o755))
	require.NoError(t, os.WriteFile(goldenFile, []byte(b.String()), 0o644))
}

// speaker is a connection to a real ZooKeeper. It makes a new one when the
// server has closed it.
type speaker struct {
	addr string
	conn net.Conn
}

func dialZooKeeper(t *testing.T) *speaker {
	s := &speaker{addr: rig.ZooKeeper(t, 1, rig.Options{}).Addrs[0]}
	require.NoError(t, s.connect())
	return s
}

func (s *speaker) connect() (err error) {
	if s.conn, err = net.Dial("tcp", s.addr); err != nil {
		return err
	}
	if err := s.conn.SetDeadline(time.Now().Add(captureWithin)); err != nil {
		return err
	}
	if _, err := s.conn.Write(AppendConnectRequest(nil, &ConnectRequest{TimeoutMs: 30_000, Password: make([]byte, 16)})); err != nil {
		return err
	}
	frame, err := s.receive()
	if err == nil {
		_, err = DecodeConnectResponse(frame)
	}
	return err
}

func (s *speaker) receive() ([]byte, error) {
	var length [lengthBytes]byte
	if _, err := io.ReadFull(s.conn, length[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err := io.ReadFull(s.conn, frame)
	return frame, err
}

func (s *speaker) ask(t *testing.T, request []byte) (frames [][]byte) {
	if s.conn == nil {
		require.NoError(t, s.connect())
	}
	_, err := s.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(request))), request...))
	require.NoError(t, err)
	for {
		frame, err := s.receive()
		require.NoError(t, err)
		frames = append(frames, frame)
		h, err := DecodeReplyHeader(frame)
		require.NoError(t, err)
		if h.Xid == XidEvent {
			continue
		}
		if h.Err == int32(protocol.Unimplemented) || h.Err == int32(protocol.AuthFailed) {
			require.NoError(t, s.conn.Close())
			s.conn = nil
		}
		return frames
	}
}
