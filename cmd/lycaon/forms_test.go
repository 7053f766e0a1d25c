package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func printed(t *testing.T, f form, values ...any) string {
	var out bytes.Buffer
	p := newPrinter(&out)
	p.form = f
	for _, v := range values {
		require.NoError(t, p.value(v))
	}
	require.NoError(t, p.flush())
	return out.String()
}

type shape struct {
	Path string    `json:"path"`
	Stat shapeStat `json:"stat"`
	Tags []string  `json:"tags,omitempty"`
}

type shapeStat struct {
	Zxid uint64 `json:"zxid"`
	Kind string `json:"kind"`
}

func TestOneValueInEachForm(t *testing.T) {
	v := shape{"/a b", shapeStat{1<<64 - 1, "true"}, []string{"x", "1"}}
	require.Equal(t, `{"path":"/a b","stat":{"zxid":18446744073709551615,"kind":"true"},"tags":["x","1"]}`+"\n", printed(t, formJSON, v))
	require.Equal(t, `path: /a b
stat:
  zxid: 18446744073709551615
  kind: "true"
tags:
  - x
  - "1"
`, printed(t, formYAML, v))
	require.Equal(t, `path       /a b
stat.zxid  18446744073709551615
stat.kind  true
tags       x, 1
`, printed(t, formTable, v))
}

func TestSeveralValuesAreDocumentsAndRows(t *testing.T) {
	a, b := shape{Path: "/a", Stat: shapeStat{1, "ttl"}}, shape{Path: "/longer", Stat: shapeStat{20, "持久"}, Tags: []string{"é"}}
	require.Equal(t, "path: /a\nstat:\n  zxid: 1\n  kind: ttl\n---\npath: /longer\nstat:\n  zxid: 20\n  kind: 持久\ntags:\n  - é\n", printed(t, formYAML, a, b))
	table := `PATH     STAT.ZXID  STAT.KIND  TAGS
/a       1          ttl
/longer  20         持久       é
`
	require.Equal(t, table, printed(t, formTable, a, b))
	require.Equal(t, table, printed(t, formTable, []shape{a, b}))
	require.Equal(t, table, printed(t, formTable, map[string]any{"shapes": []shape{a, b}}), "a list under a name alone")
	require.Equal(t, "/a\n/b\n", printed(t, formTable, []string{"/a", "/b"}))
	require.Empty(t, printed(t, formTable, []string{}))
	require.Equal(t, "[]\n", printed(t, formYAML, []string{}))
}

func TestACellIsOnOneLineAndNotTooLong(t *testing.T) {
	long := strings.Repeat("語", cellMost)
	got := printed(t, formTable, map[string]string{"a": "two\nlines", "b": long, "c": "\x1b[31m"})
	require.Equal(t, `a  "two\nlines"`+"\nb  "+strings.Repeat("語", cellMost/2-1)+"…\n"+`c  "\x1b[31m"`+"\n", got)
}

func TestALongTableKeepsItsColumns(t *testing.T) {
	var values []any
	for i := range 2*pageRows + 1 {
		values = append(values, map[string]any{"path": fmt.Sprintf("/%d", i), "zxid": i})
	}
	lines := strings.Split(strings.TrimSuffix(printed(t, formTable, values...), "\n"), "\n")
	require.Len(t, lines, 1+len(values), "one header")
	for i, line := range lines[1:] {
		require.Equal(t, strings.Fields(line), []string{fmt.Sprintf("/%d", i), fmt.Sprint(i)})
	}
}

func TestWhatHappensIsARowAtOnce(t *testing.T) {
	var out bytes.Buffer
	p := newPrinter(&out)
	p.form = formTable
	require.NoError(t, p.now(map[string]any{"type": "created", "zxid": 1}))
	require.Equal(t, "TYPE     ZXID\ncreated  1\n", out.String())
	out.Reset()
	require.NoError(t, p.now(map[string]any{"type": "gap", "zxid": 22}))
	require.Equal(t, "gap      22\n", out.String())
}

func FuzzYAMLSaysWhatJSONSays(f *testing.F) {
	for _, s := range []string{"", "true", "1", "~", "- a", "a: b", "a\nb", "\u2028", "\x00", "'", `"`, "#", " a", "a ", "0x1f", "1e3", "2026-01-01", "\ufeff", "\u0085", "😀"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, key, text string) {
		v := map[string]any{key: text}
		encoded, err := marshal(v)
		require.NoError(t, err)
		var want, got map[string]string
		require.NoError(t, json.Unmarshal(encoded, &want))
		require.NoError(t, yaml.Unmarshal([]byte(printed(t, formYAML, v)), &got))
		require.Equal(t, want, got)
	})
}
