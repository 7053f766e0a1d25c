package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

// printer writes what a command found, as text for people or as one JSON
// value a line for programs.
type printer struct {
	w    io.Writer
	json bool
}

func (p printer) value(v any) error {
	enc := json.NewEncoder(p.w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (p printer) line(format string, args ...any) error {
	_, err := fmt.Fprintf(p.w, format+"\n", args...)
	return err
}

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
		s.Czxid, timeText(s.CtimeMs), s.Mzxid, timeText(s.MtimeMs), s.Pzxid)
	fmt.Fprintf(&b, "cversion = %d\ndataVersion = %d\naclVersion = %d\nephemeralOwner = 0x%x\ndataLength = %d\nnumChildren = %d\n",
		s.Cversion, s.Version, s.Aversion, s.Owner, s.DataLength, s.NumChildren)
	switch s.Kind {
	case znode.Container:
		b.WriteString("kind = container\n")
	case znode.TTL:
		fmt.Fprintf(&b, "kind = ttl, %s\n", time.Duration(s.TTLMs)*time.Millisecond)
	}
	_, err := io.WriteString(p.w, b.String())
	return err
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
	if p.json {
		if names == nil {
			names = []string{}
		}
		return p.value(names)
	}
	return p.line("[%s]", strings.Join(names, ", "))
}
