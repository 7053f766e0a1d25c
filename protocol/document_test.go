package protocol

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

const (
	documentPath  = "../docs/PROTOCOL.md"
	exchangeBegin = "-rewrite` -->\n```\n"
	exchangeEnd   = "```\n<!-- end of the exchange -->"
)

// TestTheDocumentHoldsTheExchange keeps the bytes in the document true.
func TestTheDocumentHoldsTheExchange(t *testing.T) {
	text, err := os.ReadFile(documentPath)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(text), exchangeBegin)
	require.True(t, ok)
	shown, tail, ok := strings.Cut(rest, exchangeEnd)
	require.True(t, ok)
	want := exchange()
	if *rewrite {
		shown = want
		require.NoError(t, os.WriteFile(documentPath, []byte(head+exchangeBegin+shown+exchangeEnd+tail), 0o644))
	}
	require.Equal(t, want, shown, "run with -rewrite")
}

func TestTheDocumentNamesEverything(t *testing.T) {
	text, err := os.ReadFile(documentPath)
	require.NoError(t, err)
	document := string(text)
	for op, name := range opNames {
		require.Contains(t, document, fmt.Sprintf("\n| %d | %s |", op, name))
	}
	for event, name := range eventNames {
		require.Contains(t, document, fmt.Sprintf("\n| %d | %s |", event, name))
	}
	for _, e := range errorTable {
		require.Contains(t, document, fmt.Sprintf("\n| %d | %s |", e.code, e.name))
	}
	lim := DefaultLimits()
	names := []string{"max_frame", "max_data", "max_outstanding", "max_outcomes", "max_outcome_bytes", "max_multi_ops", "max_watches"}
	for i, v := range lim.fields() {
		require.Contains(t, document, fmt.Sprintf("\n| %s | %s |", names[i], thousands(*v)))
	}
	require.Contains(t, document, thousands(maxResume)+" |") // of a resume's row
	for _, heading := range regexp.MustCompile(`\]\(#([a-z-]+)\)`).FindAllStringSubmatch(document, -1) {
		require.Contains(t, strings.ToLower(regexp.MustCompile(`[,.]`).ReplaceAllString(document, "")),
			"\n## "+strings.ReplaceAll(heading[1], "-", " ")+"\n", "a link to nowhere")
	}
}

func thousands(v uint32) string {
	s := fmt.Sprint(v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// exchange is a whole connection, taken apart.
func exchange() string {
	var g golden
	say := func(title string) { g.title(title) }
	request := func(title string, r Request) {
		say("> " + title)
		frame := AppendRequest(nil, &r)
		g.header(frame, field{4, "length"}, field{1, "op"}, field{1, "flags"}, field{8, "xid"}, field{8, "arg"})
		g.values(frame[lengthBytes+requestHeaderBytes:])
	}
	message := func(title string, m Message) {
		say("< " + title)
		frame := AppendMessage(nil, &m)
		what := "op"
		if m.Kind == Event {
			what = "event"
		}
		g.header(frame, field{4, "length"}, field{1, "kind"}, field{1, what}, field{1, "flags"}, field{1, "unused"},
			field{4, "code"}, field{8, "xid"}, field{8, "zxid"})
		g.values(frame[lengthBytes+messageHeaderBytes:])
	}
	const session, millis = 0x1001, 1_767_225_600_000
	stat := znode.Stat{Czxid: 0x1002, Mzxid: 0x1002, Pzxid: 0x1002, CtimeMs: millis, MtimeMs: millis, DataLength: 5}

	say("> magic and Hello: versions 1 to 1, open, 10 s, no credentials")
	g.header(Magic[:], field{4, "magic"})
	hello := AppendHello(nil, &Hello{MinVersion: 1, MaxVersion: 1, Mode: HelloOpen, Client: "example/1", TimeoutMs: 10_000})
	g.header(hello, field{4, "length"})
	g.values(hello[lengthBytes:])
	say("< Welcome: session 0x1001")
	welcome := AppendWelcome(nil, &Welcome{
		Version: 1, ServerID: 1, Server: "lycaon/0.1", Session: session, Password: []byte("0123456789abcdef"), Generation: 1, TimeoutMs: 10_000,
		Zxid: session, Limits: DefaultLimits(), Identities: []znode.Identity{{Scheme: "ip", ID: "127.0.0.1"}},
	})
	g.header(welcome, field{4, "length"})
	g.values(welcome[lengthBytes:])

	create := znode.CreateOp{Path: "/a", Data: []byte("hello"), ACL: znode.OpenACL}
	request("create /a, open to the world; xid 1 is also the lowest unacknowledged", Request{Op: OpCreate, Xid: 1, Arg: 1, Body: AppendCreate(nil, &create)})
	message("created, with its stat", Message{Op: OpCreate, Xid: 1, Zxid: 0x1002, Path: "/a", Stat: stat})
	request("get /a and watch it", Request{Op: OpGet, Xid: 2, Read: Read{Path: "/a", Watch: true}})
	message("its data and stat", Message{Op: OpGet, Xid: 2, Zxid: 0x1002, Data: []byte("hello"), Stat: stat})
	message("somebody has set /a", Message{Kind: Event, Event: EventDataChanged, Zxid: 0x1003, Path: "/a"})
	request("get /gone, linearizable", Request{Op: OpGet, Consistency: Linearizable, Xid: 3, Read: Read{Path: "/gone"}})
	message("NoNode (-101)", Message{Op: OpGet, Xid: 3, Zxid: 0x1003, Code: NoNode})
	request("ping", Request{Op: OpPing, Xid: 4})
	message("pong", Message{Op: OpPing, Xid: 4, Zxid: 0x1003})
	request("closeSession", Request{Op: OpCloseSession, Xid: 5, Arg: 5})
	message("closed", Message{Op: OpCloseSession, Xid: 5, Zxid: 0x1004})
	message("goodbye: SessionExpired (-112), since the session is no more", Message{Kind: Goodbye, Code: SessionExpired, More: &More{Detail: "closed by the client"}})
	return string(bytes.TrimLeft(g.Bytes(), "\n"))
}
