package protocol

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// The golden files are the format: a client or server of another day must read
// what this one wrote. A difference is a new version of the protocol.

func TestGoldenRequests(t *testing.T) {
	var file golden
	for _, s := range requestSamples() {
		frame := AppendRequest(nil, &s.req)
		file.title(s.name)
		file.header(frame, field{4, "length"}, field{1, "op " + s.req.Op.String()}, field{1, "flags"}, field{8, "xid"}, field{8, "arg"})
		file.values(frame[lengthBytes+requestHeaderBytes:])
	}
	file.check(t, "requests.txt")
}

func TestGoldenMessages(t *testing.T) {
	var file golden
	for _, s := range messageSamples() {
		what := []string{"op " + s.msg.Op.String(), s.msg.Event.String(), "unused"}[s.msg.Kind]
		kind := []string{"reply", "event", "goodbye"}[s.msg.Kind]
		frame := AppendMessage(nil, &s.msg)
		file.title(kind + ": " + s.name)
		file.header(frame, field{4, "length"}, field{1, "kind " + kind}, field{1, what}, field{1, "flags"}, field{1, "unused"},
			field{4, "code " + s.msg.Code.String()}, field{8, "xid"}, field{8, "zxid"})
		file.values(frame[lengthBytes+messageHeaderBytes:])
	}
	file.check(t, "messages.txt")
}

func TestGoldenHello(t *testing.T) {
	var file golden
	for i, h := range helloSamples() {
		file.title(fmt.Sprintf("hello %d", i+1))
		file.header(Magic[:], field{4, "magic"})
		frame := AppendHello(nil, &h)
		file.header(frame, field{4, "length"})
		file.values(frame[lengthBytes:])
	}
	for i, w := range welcomeSamples() {
		file.title(fmt.Sprintf("welcome %d", i+1))
		frame := AppendWelcome(nil, &w)
		file.header(frame, field{4, "length"})
		file.values(frame[lengthBytes:])
	}
	file.title("identities of a transaction")
	file.values(AppendIdentities(nil, sampleIDs))
	file.check(t, "hello.txt")
}

// golden is a text of annotated bytes.
type golden struct{ bytes.Buffer }

type field struct {
	width int
	name  string
}

func (g *golden) title(s string) { fmt.Fprintf(g, "\n%s\n", s) }

func (g *golden) header(b []byte, fields ...field) {
	for _, f := range fields {
		fmt.Fprintf(g, "  %-24x %s\n", b[:f.width], f.name)
		b = b[f.width:]
	}
}

// values writes one line for each value of a msgpack text, indented by depth.
func (g *golden) values(b []byte) {
	d := newDecoder(b)
	for left := []int{1}; len(left) > 0; {
		depth := len(left)
		if left[depth-1] == 0 {
			left = left[:depth-1]
			continue
		}
		left[depth-1]--
		start := d.at
		inner := d.skipHead()
		if d.err != nil {
			panic(d.err)
		}
		head := b[start:d.at]
		fmt.Fprintf(g, "  %s%s\n", strings.Repeat("  ", depth-1), annotate(head, inner))
		if isArray(head[0]) {
			left = append(left, int(inner))
		}
	}
	if d.left() != 0 {
		panic("bytes after the value")
	}
}

func isArray(mark byte) bool {
	return mark&0xf0 == mpFixArray || mark == mpArray16 || mark == mpArray32
}

func annotate(b []byte, inner uint64) string {
	d := newDecoder(b)
	var what string
	switch mark := b[0]; {
	case isArray(mark):
		what = fmt.Sprintf("array of %d", inner)
	case mark == mpNil:
		what = "null"
	case mark == mpTrue || mark == mpFalse:
		what = fmt.Sprint(d.bool())
	case mark >= mpBin8 && mark <= mpBin32:
		what = fmt.Sprintf("%d bytes", len(d.bin()))
	case mark&0xe0 == mpFixStr || mark >= mpStr8 && mark <= mpStr32:
		what = fmt.Sprintf("%q", d.str())
	case mark == mpUint64:
		what = fmt.Sprint(d.uint())
	default:
		what = fmt.Sprint(d.int())
	}
	return fmt.Sprintf("%x  %s", b, what)
}

func (g *golden) check(t *testing.T, name string) {
	path := filepath.Join("testdata", name)
	if *rewrite {
		require.NoError(t, os.WriteFile(path, g.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), g.String(), "the bytes on the wire have changed; -rewrite only for a new version")
}

// TestGoldenBytesDecode reads the bytes back from the files, so that what
// decodes is what is written down and not only what is appended today.
func TestGoldenBytesDecode(t *testing.T) {
	requests, messages := goldenFrames(t, "requests.txt"), goldenFrames(t, "messages.txt")
	for i, s := range requestSamples() {
		var got Request
		require.NoError(t, DecodeRequest(requests[i][lengthBytes:], &got), s.name)
		require.Equal(t, requests[i], AppendRequest(nil, &got), s.name)
	}
	for i, s := range messageSamples() {
		got, err := DecodeMessage(messages[i][lengthBytes:])
		require.NoError(t, err, s.name)
		require.Equal(t, s.msg, got, s.name)
	}
	require.Len(t, requests, len(requestSamples()))
	require.Len(t, messages, len(messageSamples()))
}

func goldenFrames(t *testing.T, name string) (frames [][]byte) {
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "  "):
			digits, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			b, err := hex.DecodeString(digits)
			require.NoError(t, err, line)
			frames[len(frames)-1] = append(frames[len(frames)-1], b...)
		case line != "":
			frames = append(frames, nil)
		}
	}
	for _, f := range frames {
		require.EqualValues(t, len(f)-lengthBytes, binary.BigEndian.Uint32(f))
	}
	return frames
}
