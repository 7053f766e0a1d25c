package pipeline

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

var rewrite = flag.Bool("rewrite", false, "write the scripts under testdata anew with what happens now")

// TestScripts runs each script under testdata: lines that begin with "> " are
// commands, lines with "#" say what to see, and all else is what happened.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			got := runScript(t, want)
			if *rewrite {
				require.NoError(t, os.WriteFile(file, got, 0o644))
				return
			}
			require.Equal(t, string(want), string(got), "run with -rewrite and review the difference")
		})
	}
}

func runScript(t *testing.T, script []byte) []byte {
	s := &scripted{t: t, lanes: map[string]*Lane{}, sinks: map[string]*heldSink{}, sessions: map[string]uint64{}, cancels: map[string]Cancel{}}
	s.cfg = Config{}
	lines := bufio.NewScanner(bytes.NewReader(script))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "", strings.HasPrefix(line, "#"):
			s.out.WriteString(line + "\n")
		case strings.HasPrefix(line, "> "):
			s.out.WriteString(line + "\n")
			s.command(strings.Fields(line[2:]))
		}
	}
	return []byte(s.out.String())
}

// scripted is one Core with the clients of a script, known by name.
type scripted struct {
	t        *testing.T
	cfg      Config
	core     *Core
	log      *heldLog
	out      strings.Builder
	lanes    map[string]*Lane
	sinks    map[string]*heldSink
	sessions map[string]uint64
	cancels  map[string]Cancel
	stampMs  int64
}

func (s *scripted) command(words []string) {
	if words[0] == "config" {
		s.configure(words[1:])
		return
	}
	if s.core == nil {
		s.core, s.log = newTestCore(s.t, s.cfg)
	}
	name := ""
	if len(words) > 1 {
		name = words[1]
	}
	switch words[0] {
	case "open":
		s.cancels[name] = s.core.Open(OpenParams{PasswordHash: passwordHash(name), TimeoutMs: timeoutOf(words)}, s.sink(name), s.done(name))
	case "attach": // attach LANE SESSION-OF ATTEMPT|uncounted [last zxid]
		p := AttachParams{Session: s.sessions[words[2]], PasswordHash: passwordHash(words[2]), TimeoutMs: 10_000}
		if p.Uncounted = words[3] == "uncounted"; !p.Uncounted {
			p.Attempt = number(words[3])
		}
		if len(words) > 4 {
			p.LastZxid = number(words[4])
		}
		s.cancels[name] = s.core.Attach(p, s.sink(name), s.done(name))
		s.sessions[name] = p.Session
	case "cancel":
		s.say("cancelled: %v", s.cancels[name]())
	case "guest":
		s.lanes[name] = s.core.Guest(s.sink(name), nil)
		s.say("%s: guest %v", name, s.lanes[name] != nil)
	case "detach":
		s.lanes[name].Detach()
	case "ping":
		s.lanes[name].TrySubmit(&protocol.Request{Op: protocol.OpPing, Xid: number(words[2])})
	case "auth":
		s.say("%v", s.lanes[name].Authorize(&protocol.Message{Op: protocol.OpAuth, Xid: number(words[2])}, []znode.Identity{{Scheme: "digest", ID: words[3]}}))
	case "answer":
		m := refused(&protocol.Request{Op: protocol.OpSet, Xid: number(words[2])}, protocol.BadArguments, "refused by the front")
		s.say("answer: %v", s.lanes[name].Answer(m))
	case "refuse":
		s.core.RefuseWrites(protocol.DiskFull, "the disk is full")
	case "accept":
		s.core.RefuseWrites(protocol.OK, "")
	case "halt":
		s.core.HaltWrites("the replicas differ")
	case "unhalt":
		s.core.HaltWrites("")
	case "cutoff":
		silence, err := time.ParseDuration(words[1])
		require.NoError(s.t, err)
		s.say("cut off: %d", s.core.CutOff(silence))
	case "closeall":
		s.core.CloseAll(protocol.NotReady, "begins anew")
	case "image":
		s.install()
	case "resend":
		s.core.Resend()
	case "touched":
		s.say("touched: %v", s.core.Touched())
	case "log":
		for i := range s.log.txns {
			s.say("log: %s", describeTxn(&s.log.txns[i]))
		}
	case "apply":
		s.apply(words[1:])
	case "lose":
		s.log.take(int(number(name)))
	case "repeat": // the first n once more, behind all
		s.log.txns = append(s.log.txns, s.log.txns[:number(name)]...)
	case "foreign": // another server's attach of NAME's session
		s.log.Append(&state.Txn{Kind: state.TxnAttach, Origin: 99, Ticket: 1, Session: s.sessions[name], PasswordHash: passwordHash(name), Attempt: number(words[2]), TimeoutMs: 10_000})
	case "expire":
		s.log.Append(&state.Txn{Kind: state.TxnExpire, Session: s.sessions[name], Generation: number(words[2]), Cause: "no sign of life"})
	case "stats":
		st := s.core.Stats()
		s.say("stats: requests %d, lane bytes %d, parked %d, arrivals %d, noop %v, noops %d, watches %d", st.Requests, st.LaneBytes, st.Parked, st.Arrivals, st.NoopInFlight, st.Noops, st.Watches)
		s.say("stats: resent %d, duplicates %d, gaps %d, fenced %d, repeated %d, lanes fenced %d, lane full %d, server full %d", st.Resent, st.Duplicates, st.Gaps, st.Fenced, st.Repeated, st.FencedLanes, st.LaneFull, st.ServerFull)
	default:
		s.request(words)
	}
}

// request is OP LANE XID PATH [DATA] [watch] [linearizable] [atleast=N].
func (s *scripted) request(words []string) {
	xid, path := number(words[2]), ""
	if len(words) > 3 {
		path = words[3]
	}
	var r *protocol.Request
	switch words[0] {
	case "create":
		r = createRequest(xid, path, words[4])
	case "ephemeral":
		op := znode.CreateOp{Path: path, ACL: znode.OpenACL, Kind: znode.Ephemeral}
		r = &protocol.Request{Op: protocol.OpCreate, Xid: xid, Arg: xid, Body: protocol.AppendCreate(nil, &op)}
	case "set":
		r = setRequest(xid, path, words[4])
	case "delete":
		r = &protocol.Request{Op: protocol.OpDelete, Xid: xid, Arg: xid, Body: protocol.AppendDelete(nil, path, -1, false)}
	case "close":
		r = &protocol.Request{Op: protocol.OpCloseSession, Xid: xid, Arg: xid, Body: protocol.AppendCloseSession(nil)}
	case "get":
		r = readRequest(protocol.OpGet, xid, path)
	case "exists":
		r = readRequest(protocol.OpExists, xid, path)
	case "children":
		r = readRequest(protocol.OpChildren, xid, path)
	case "sync":
		r = readRequest(protocol.OpSync, xid, "")
	case "whoami":
		r = readRequest(protocol.OpWhoAmI, xid, "")
	case "watch", "unwatch", "resume":
		op := map[string]protocol.Op{"watch": protocol.OpWatch, "unwatch": protocol.OpUnwatch, "resume": protocol.OpResume}[words[0]]
		r = &protocol.Request{Op: op, Xid: xid, Watches: []protocol.Watch{watchOf(path, words[4:])}}
	default:
		s.t.Fatalf("no such command: %v", words)
	}
	for _, w := range words {
		switch {
		case w == "watch" && r.Op.IsRead():
			r.Read.Watch = true
		case w == "linearizable":
			r.Consistency = protocol.Linearizable
		case strings.HasPrefix(w, "atleast="):
			r.Consistency, r.Arg = protocol.AtLeast, number(w[8:])
		}
	}
	if !s.lanes[words[1]].TrySubmit(r) {
		s.say("%s: no credit", words[1])
	}
}

// timeoutOf is of OPEN NAME [MILLISECONDS].
func timeoutOf(words []string) int64 {
	if len(words) > 2 {
		return int64(number(words[2]))
	}
	return 10_000
}

func watchOf(path string, words []string) protocol.Watch {
	modes := map[string]protocol.WatchMode{
		"data": protocol.WatchData, "exists": protocol.WatchExists, "children": protocol.WatchChildren,
		"persistent": protocol.WatchPersistent, "recursive": protocol.WatchRecursive,
	}
	w := protocol.Watch{Path: path, Mode: modes[words[0]]}
	if len(words) > 1 {
		w.Since = number(words[1])
	}
	return w
}

func (s *scripted) configure(words []string) {
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		n := int(number(value))
		switch key {
		case "lane-requests":
			s.cfg.MaxLaneRequests = n
		case "lane-bytes":
			s.cfg.MaxLaneBytes = int64(n)
		case "lanes-bytes":
			s.cfg.MaxLanesBytes = int64(n)
		case "watches":
			s.cfg.MaxWatches = n
		case "sessions":
			s.cfg.MaxSessions = n
		case "ring":
			s.cfg.RingEffects = n
		default:
			s.t.Fatalf("no such setting: %s", key)
		}
	}
}

// apply applies the next n transactions of the log as one entry, else all.
func (s *scripted) apply(words []string) {
	n := len(s.log.txns)
	if len(words) > 0 {
		n = int(number(words[0]))
	}
	s.stampMs += 10
	require.NoError(s.t, s.core.Apply(batchOf(s.stampMs, s.log.take(n)...)))
}

func (s *scripted) install() {
	var b bytes.Buffer
	require.NoError(s.t, state.WriteImage(&b, s.core.Freeze(), nil))
	m, _, err := state.ReadImage(&b)
	require.NoError(s.t, err)
	s.core.Install(m)
}

func (s *scripted) sink(name string) Sink {
	s.sinks[name] = &heldSink{name: name, out: &s.out}
	return s.sinks[name]
}

func (s *scripted) done(name string) Done {
	return func(l *Lane, o Opened, code protocol.Code, detail string) {
		if l == nil {
			s.say("%s: refused %v (%s)", name, code, detail)
			return
		}
		s.lanes[name], s.sessions[name] = l, o.Session
		s.say("%s: session %d generation %d zxid %d", name, o.Session, o.Generation, o.Zxid)
	}
}

func (s *scripted) say(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func describeTxn(t *state.Txn) string {
	switch t.Kind {
	case state.TxnWrite:
		return fmt.Sprintf("write %v session %d generation %d seq %d xid %d", t.Op, t.Session, t.Generation, t.Seq, t.Xid)
	case state.TxnOpen:
		return fmt.Sprintf("open ticket %d", t.Ticket)
	case state.TxnAttach:
		return fmt.Sprintf("attach session %d attempt %d ticket %d", t.Session, t.Attempt, t.Ticket)
	case state.TxnNoop:
		return fmt.Sprintf("noop ticket %d", t.Ticket)
	case state.TxnExpire:
		return fmt.Sprintf("expire session %d generation %d", t.Session, t.Generation)
	}
	return fmt.Sprint(t.Kind)
}

func number(word string) uint64 {
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}
