package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

func TestStatBlockHasTheLinesOfZooKeeper(t *testing.T) {
	var out bytes.Buffer
	stat := client.Stat{Czxid: 0x1f, CtimeMs: 1551957679000, Mzxid: 0x20, MtimeMs: 1551957679123, Pzxid: 0x21,
		Cversion: 3, Version: 2, Aversion: 1, Owner: 0xab, DataLength: 5, NumChildren: 4}
	require.NoError(t, newPrinter(&out).statBlock(stat))
	require.Equal(t, `cZxid = 0x1f
ctime = 2019-03-07T11:21:19.000Z
mZxid = 0x20
mtime = 2019-03-07T11:21:19.123Z
pZxid = 0x21
cversion = 3
dataVersion = 2
aclVersion = 1
ephemeralOwner = 0xab
dataLength = 5
numChildren = 4
`, out.String())

	out.Reset()
	compat := newPrinter(&out)
	compat.form = formCompat
	require.NoError(t, compat.statBlock(stat))
	require.Contains(t, out.String(), time.UnixMilli(1551957679000).Format("ctime = Mon Jan 02 15:04:05 MST 2006\n"))

	out.Reset()
	require.NoError(t, newPrinter(&out).statBlock(client.Stat{Kind: znode.TTL, TTLMs: 1500}))
	require.Contains(t, out.String(), "kind = ttl, 1.5s\n")
}

func TestDataInJSONKeepsEveryByte(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want map[string]any
	}{
		"null is not empty":   {nil, map[string]any{"data": nil}},
		"empty":               {[]byte{}, map[string]any{"data": ""}},
		"text":                {[]byte("é"), map[string]any{"data": "é"}},
		"bytes become base64": {[]byte{0xff, 0x00}, map[string]any{"dataBase64": "/wA="}},
	} {
		require.Equal(t, c.want, dataFields(map[string]any{}, c.data), name)
	}
}

func TestAnErrorIsToldWithWhatHelps(t *testing.T) {
	noServer := func(why ...error) error {
		return &client.Error{Op: "open", Err: errors.Join(append([]error{client.ErrDisconnected, context.DeadlineExceeded}, why...)...)}
	}
	const where = "; is the server running? (-s H:P or LYCAON_SERVER says where)"
	const port = "; is that its client port? (--client-addr of serve, neither --http-addr nor --peer-addr)"
	const hungUp = "; is the server just ending, or is that not its client port? (--client-addr of serve, neither --http-addr nor --peer-addr)"
	const reset = "read tcp 127.0.0.1:4->127.0.0.1:1: read: connection reset by peer"
	for want, err := range map[string]error{
		"open: no connection to a server: context deadline exceeded" + where:                                       noServer(),
		"open: no connection to a server: dial tcp: refused" + where:                                               noServer(errors.New("dial tcp: refused")),
		"open: no connection to a server: TLS with a:1: tls: unknown authority; see --tls, --ca, --cert and --key": noServer(errors.New("TLS with a:1: tls: unknown authority")),
		"open: no connection to a server: a:1: dial tcp: refused; b:2: EOF" + where:                                noServer(errors.New("a:1: dial tcp: refused"), errors.New("b:2: EOF")),
		"open: no connection to a server: a:1: the server did not answer" + port:                                   noServer(errors.New("a:1: the server did not answer")),
		"open: no connection to a server: a:1: awaiting the welcome: EOF" + hungUp:                                 noServer(errors.New("a:1: awaiting the welcome: EOF")),
		"open: no connection to a server: a:1: awaiting the welcome: " + reset + hungUp:                            noServer(errors.New("a:1: awaiting the welcome: " + reset)),
		"open: no connection to a server: a:1: awaiting the welcome: protocol violation: it is \"HTTP\"" + port:    noServer(errors.New(`a:1: awaiting the welcome: protocol violation: it is "HTTP"`)),
		`open: no connection to a server: it begins with "\x15\x03\x01\x00"; see --tls, --ca, --cert and --key`:    noServer(errors.New(`it begins with "\x15\x03\x01\x00"`)),
		"open: no connection to a server: too many connections: 2 are":                                             noServer(errors.New("too many connections: 2 are")),
		"create /a/b: node does not exist: the parent /a (create -p makes missing parents)":                        &client.Error{Op: "create", Path: "/a/b", Err: client.ErrNoNode},
		"create /a: node does not exist: the parent / (create -p makes missing parents)":                           &client.Error{Op: "create", Path: "/a", Err: client.ErrNoNode}, // below a chroot that is not there
		"delete /a: node has children (deleteall deletes it with all below it)":                                    &client.Error{Op: "delete", Path: "/a", Err: client.ErrNotEmpty},
		"get /a/b: node does not exist": &client.Error{Op: "get", Path: "/a/b", Err: client.ErrNoNode},
	} {
		require.Equal(t, want, describe(err))
	}
}

var hiddenTexts = []string{
	"\u009b31m\u202e", "\u2066a: b\u2069", "\ufefffirst", "two\nlines\u200b", "next\u0085line\u202e", "\U000e0001tag", "del\x7f\x1b[m", `\u202e`,
	"# \u202d", "\u00ad'", "- \u061c\n  b\n", strings.Repeat("می\u200cخواهم ", 40),
}

func TestWhatATerminalShowsReadsBackAsJSONAndYAML(t *testing.T) {
	for _, text := range hiddenTexts {
		for form, read := range map[form]func([]byte, any) error{formJSON: json.Unmarshal, formYAML: yaml.Unmarshal} {
			var out bytes.Buffer
			p := newPrinter(&out)
			p.form, p.tty = form, true
			require.NoError(t, p.value(map[string]string{"data": text}))
			requireAllSeen(t, out.String())
			got := map[string]string{}
			require.NoError(t, read(out.Bytes(), &got), "%q", out.String())
			require.Equal(t, text, got["data"], "%q", out.String())
		}
		for _, asJSON := range []bool{true, false} {
			var out bytes.Buffer
			doc := treeDocument{w: visibleWriter{&out}, json: asJSON, tty: true}
			path := "/a\u202e"
			require.NoError(t, doc.write(path, &twig{data: []byte(text), acl: znode.OpenACL}))
			require.NoError(t, doc.end())
			requireAllSeen(t, out.String())
			r := planReader{wishes: map[string]wish{}}
			require.NoError(t, r.read(out.Bytes()), "%q", out.String())
			require.Equal(t, text, string(r.wishes[path].data), "%q", out.String())
		}
	}
}

func requireAllSeen(t *testing.T, out string) {
	t.Helper()
	before := rune(0)
	for _, r := range out {
		require.False(t, isHidden(r) && r != '\n' && !joins(before, r), "%q", out)
		before = r
	}
}

// Persian wants U+200C within words, languages of India and emoji U+200D; Arabic has
// format characters that are signs.
func TestATerminalShowsEveryScriptAsItIsWritten(t *testing.T) {
	for text, want := range map[string]string{
		"می\u200cخواهم": "می\u200cخواهم", "ക്\u200d": "ക്\u200d", "👨\u200d👩\u200d👧": "👨\u200d👩\u200d👧", "❤\ufe0f\u200d🔥": "❤\ufe0f\u200d🔥",
		"\u0600١٢ \u06dd٣": "\u0600١٢ \u06dd٣",
		"a\u200db \u200c":  `a\u200db \u200c`, "а\u200d": `а\u200d`, "\u200dم": `\u200dم`,
		"م\u200c\u200c": "م\u200c" + `\u200c`, "م\u202e\u200c": `م\u202e\u200c`, "\xff\u200c": `\xff\u200c`,
	} {
		require.Equal(t, want, visible(text))
		require.Equal(t, want != text, hides(text), "%q", text)
		cell := want
		if want != text {
			cell = strconv.Quote(text)
		}
		if utf8.ValidString(text) {
			require.Equal(t, cell, tableOf(t, text, true))
			require.Equal(t, text, tableOf(t, text, false))
		}
	}
	require.Equal(t, `"a\n\u202e"`, tableOf(t, "a\n\u202e", true))
	require.Equal(t, `"a\n\u202e"`, tableOf(t, "a\n\u202e", false), "a row has one line")
}

// tableOf is the table of one text.
func tableOf(t *testing.T, text string, tty bool) string {
	var out bytes.Buffer
	p := newPrinter(&out)
	p.form, p.tty = formTable, tty
	require.NoError(t, errors.Join(p.value([]string{text}), p.flush()))
	return strings.TrimSuffix(out.String(), "\n")
}

func TestAPipeAndAFileGetEveryByte(t *testing.T) {
	for _, text := range hiddenTexts {
		var out bytes.Buffer
		require.NoError(t, newPrinter(&out).line("%s", text))
		require.Equal(t, text+"\n", out.String())
	}
	var out bytes.Buffer
	doc := treeDocument{w: &out}
	require.NoError(t, doc.write("/a", &twig{data: []byte("a\u202e"), acl: znode.OpenACL}))
	require.Equal(t, "/a: a\u202e\n", out.String())
}
