package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

// printer writes what a command found: as text for people, or as values for
// programs.
type printer struct {
	w    io.Writer
	form form
	page *page
	tty  bool // w is a terminal, or the prompt between
}

func newPrinter(w io.Writer) printer {
	return printer{w: w, form: formText, page: &page{}, tty: isTerminal(w)}
}

// isTerminal tells whether a person is at the other end of a stream.
func isTerminal(stream any) bool {
	file, isFile := stream.(*os.File)
	return isFile && term.IsTerminal(int(file.Fd()))
}

// structured tells that the command is to give values, not text.
func (p printer) structured() bool {
	return p.form == formJSON || p.form == formYAML || p.form == formTable
}

// compat tells that the text is to be that of ZooKeeper's shell.
func (p printer) compat() bool { return p.form == formCompat }

// value gives one value. A table of values comes out with flush.
func (p printer) value(v any) error {
	encoded, err := marshal(v)
	if err != nil {
		return err
	}
	switch p.form {
	case formYAML:
		if p.page.documents++; p.page.documents > 1 {
			if err := p.line("---"); err != nil {
				return err
			}
		}
		return asYAML(p.whole(), encoded, p.tty)
	case formTable:
		p.page.tty = p.tty
		return p.page.add(p.whole(), encoded)
	}
	return p.text(string(encoded))
}

// flush prints what a table has gathered.
func (p printer) flush() error { return p.page.flush(p.whole()) }

// now gives a value of which the next may be long in coming.
func (p printer) now(v any) error {
	p.page.live = true
	return errors.Join(p.value(v), p.flush())
}

// apart is a printer of the same form for what goes on beside the command.
func (p printer) apart() printer {
	p.page = &page{}
	return p
}

func (p printer) line(format string, args ...any) error {
	return p.text(fmt.Sprintf(format+"\n", args...))
}

// text shows what a terminal would obey in place of having it obeyed: data is of
// whoever may write the node.
func (p printer) text(text string) error {
	_, err := io.WriteString(p.whole(), text)
	return err
}

// whole is text for a writer. Each Write must end with a whole character.
func (p printer) whole() io.Writer {
	if p.tty {
		return visibleWriter{p.w}
	}
	return p.w
}

type visibleWriter struct{ w io.Writer }

func (v visibleWriter) Write(b []byte) (int, error) {
	if _, err := io.WriteString(v.w, visible(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// visible escapes what is not UTF-8, and what is hidden but for the ends of lines
// and tabs, so that JSON stays JSON.
func visible(text string) string {
	var b strings.Builder
	before := rune(0)
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case isHidden(r) && r != '\n' && r != '\t' && !joins(before, r):
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		default:
			b.WriteString(text[:size])
		}
		before, text = r, text[size:]
	}
	return b.String()
}

// hides tells that a text is not shown as it is on one line.
func hides(text string) bool {
	return strings.ContainsFunc(text, unicode.IsControl) || visible(text) != text
}

// isHidden tells that a character is no sign itself but says something to who shows
// it: a control character, or a format character, of which some turn the order of
// what is read. Those that stand before a number in Arabic and the like are signs.
func isHidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// joins tells that r joins or parts letters where that is how they are written: in
// the scripts from Hebrew on, and in emoji. Behind a letter of Latin, Greek or Cyrillic
// it would only make a name that looks like another.
func joins(before, r rune) bool {
	return (r == zeroWidthNonJoiner || r == zeroWidthJoiner) && before >= firstJoined && before != utf8.RuneError && !isHidden(before)
}

const (
	firstJoined        = 0x590 // the first character of Hebrew
	zeroWidthNonJoiner = 0x200c
	zeroWidthJoiner    = 0x200d
)

// statJSON is the form of a Stat in JSON output.
type statJSON struct {
	Czxid    uint64 `json:"czxid"`
	Mzxid    uint64 `json:"mzxid"`
	Pzxid    uint64 `json:"pzxid"`
	CtimeMs  int64  `json:"ctimeMs"`
	MtimeMs  int64  `json:"mtimeMs"`
	Version  int64  `json:"version"`
	Cversion int64  `json:"cversion"`
	Aversion int64  `json:"aversion"`
	Owner    uint64 `json:"ephemeralOwner"`
	Length   int    `json:"dataLength"`
	Children int    `json:"numChildren"`
	Kind     string `json:"kind"`
	TTLMs    int64  `json:"ttlMs,omitempty"`
}

var kindNames = map[znode.Kind]string{
	znode.Persistent: "persistent",
	znode.Ephemeral:  "ephemeral",
	znode.Container:  "container",
	znode.TTL:        "ttl",
}

func statValue(s client.Stat) statJSON {
	return statJSON{
		Czxid: s.Czxid, Mzxid: s.Mzxid, Pzxid: s.Pzxid, CtimeMs: s.CtimeMs, MtimeMs: s.MtimeMs,
		Version: s.Version, Cversion: s.Cversion, Aversion: s.Aversion,
		Owner: s.Owner, Length: s.DataLength, Children: s.NumChildren, Kind: kindNames[s.Kind], TTLMs: s.TTLMs,
	}
}

// statBlock prints the eleven lines that ZooKeeper users know, and the kind
// where it is neither persistent nor ephemeral.
func (p printer) statBlock(s client.Stat) error {
	var b strings.Builder
	fmt.Fprintf(&b, "cZxid = 0x%x\nctime = %s\nmZxid = 0x%x\nmtime = %s\npZxid = 0x%x\n",
		s.Czxid, p.time(s.CtimeMs), s.Mzxid, p.time(s.MtimeMs), s.Pzxid)
	fmt.Fprintf(&b, "cversion = %d\ndataVersion = %d\naclVersion = %d\nephemeralOwner = 0x%x\ndataLength = %d\nnumChildren = %d\n",
		s.Cversion, s.Version, s.Aversion, s.Owner, s.DataLength, s.NumChildren)
	switch {
	case p.compat():
	case s.Kind == znode.Container:
		b.WriteString("kind = container\n")
	case s.Kind == znode.TTL:
		fmt.Fprintf(&b, "kind = ttl, %s\n", msDuration(s.TTLMs))
	}
	return p.text(b.String())
}

// javaTime is how ZooKeeper's shell prints a time, in the local zone.
const javaTime = "Mon Jan 02 15:04:05 MST 2006"

func (p printer) time(ms int64) string {
	if p.compat() {
		return time.UnixMilli(ms).Format(javaTime)
	}
	return timeText(ms)
}

func timeText(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// dataFields puts data into a JSON object: "data" as text where it is UTF-8,
// else "dataBase64"; null data is null.
func dataFields(into map[string]any, data []byte) map[string]any {
	switch {
	case data == nil:
		into["data"] = nil
	case utf8.Valid(data):
		into["data"] = string(data)
	default:
		into["dataBase64"] = base64.StdEncoding.EncodeToString(data)
	}
	return into
}

// names prints a listing the way its reader wants it: [a, b] on one line as
// ZooKeeper's shell does.
func (p printer) names(names []string) error {
	if p.structured() {
		if names == nil {
			names = []string{}
		}
		return p.value(names)
	}
	return p.line("[%s]", strings.Join(names, ", "))
}
