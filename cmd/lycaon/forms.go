package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
	"go.yaml.in/yaml/v3"
)

// form is how output looks.
type form string

const (
	formText   form = "text"   // for people
	formJSON   form = "json"   // one value a line
	formYAML   form = "yaml"   // one document a value
	formTable  form = "table"  // the values of a command as rows
	formCompat form = "compat" // the text of ZooKeeper's shell, where it has the command
)

var forms = []form{formText, formJSON, formYAML, formTable, formCompat}

const formList = "text, json, yaml, table or compat"

func parseForm(name string) (form, error) {
	if !slices.Contains(forms, form(name)) {
		return "", fmt.Errorf("%q: want %s", name, formList)
	}
	return form(name), nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// asYAML writes a value with the names and the order that it has in JSON. YAML
// itself cannot read that, although JSON is meant to be YAML: it folds a U+0085
// within quotes as the end of a line. For a terminal what is hidden is quoted.
func asYAML(w io.Writer, encoded []byte, tty bool) error {
	root, err := jsonNode(encoded)
	if err != nil {
		return err
	}
	if tty {
		quoteHidden(root)
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	return errors.Join(enc.Encode(root), enc.Close())
}

// quoteHidden has the texts with hidden characters written in double quotes: only
// there are the escapes of visible YAML's too. Those beyond 16 bits, which are not,
// YAML itself escapes.
func quoteHidden(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && strings.ContainsFunc(n.Value, func(r rune) bool { return isHidden(r) && r != '\n' && r != '\t' }) {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, below := range n.Content {
		quoteHidden(below)
	}
}

// page is what has been printed for one command, as far as the next value has
// to know.
type page struct {
	documents int
	live      bool // more rows come as they happen
	tty       bool // it is on a terminal
	header    []string
	widths    []int
	rows      [][]cell // not printed yet
}

const (
	pageRows = 500 // that a table waits for to choose its columns' widths
	cellMost = 60  // columns of the screen for a value in a table
)

// cell is one value in a row: the name of its column and its text.
type cell struct{ name, text string }

// add puts a value on the page: an object as a row; a list, and an object that
// has nothing but a list of objects, as rows of what it holds.
func (p *page) add(w io.Writer, encoded []byte) error {
	root, err := jsonNode(encoded)
	if err != nil {
		return err
	}
	items := []*yaml.Node{root}
	if list := onlyList(root); list != nil {
		root = list
	}
	if root.Kind == yaml.SequenceNode {
		items = root.Content
	}
	for _, item := range items {
		p.rows = append(p.rows, p.cells(nil, "", item))
		if len(p.rows) >= pageRows {
			if err := p.flush(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// onlyList is what is in an object that has one list of objects and nothing
// else, or nil.
func onlyList(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
		return nil
	}
	list := n.Content[1]
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 || list.Content[0].Kind != yaml.MappingNode {
		return nil
	}
	return list
}

// cells flattens a value: what is in an object in an object is named a.b.
func (p *page) cells(row []cell, name string, n *yaml.Node) []cell {
	if n.Kind != yaml.MappingNode {
		return append(row, cell{name, p.cellText(n)})
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		below := n.Content[i].Value
		if name != "" {
			below = name + "." + below
		}
		row = p.cells(row, below, n.Content[i+1])
	}
	return row
}

// cellText is a value on one line: in quotes if it has control characters, or what
// a terminal is not to get.
func (p *page) cellText(n *yaml.Node) string {
	if n.Kind == yaml.SequenceNode {
		var list []string
		for _, item := range n.Content {
			list = append(list, p.cellText(item))
		}
		return shortened(strings.Join(list, ", "))
	}
	if n.Kind == yaml.MappingNode {
		var list []string
		for _, c := range p.cells(nil, "", n) {
			list = append(list, c.name+"="+c.text)
		}
		return shortened(strings.Join(list, " "))
	}
	text := n.Value
	if strings.ContainsFunc(text, unicode.IsControl) || p.tty && hides(text) {
		text = strconv.Quote(text)
	}
	return shortened(text)
}

func shortened(text string) string {
	if uniseg.StringWidth(text) <= cellMost {
		return text
	}
	kept, room := 0, cellMost-1
	for g := uniseg.NewGraphemes(text); g.Next() && g.Width() <= room; {
		room -= g.Width()
		_, kept = g.Positions()
	}
	return text[:kept] + "…"
}

// flush prints the rows: a single one of several columns as a column of its own,
// which is how a person reads it, others under a header.
func (p *page) flush(w io.Writer) error {
	rows := p.rows
	p.rows = nil
	var b strings.Builder
	switch {
	case len(rows) == 0:
		return nil
	case len(rows) == 1 && !p.live && p.header == nil && len(rows[0]) > 1:
		lines := [][]string{}
		for _, c := range rows[0] {
			lines = append(lines, []string{c.name, c.text})
		}
		align(&b, widen(nil, lines), lines)
	default:
		p.table(&b, rows)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *page) table(b *strings.Builder, rows [][]cell) {
	var header []string
	for _, row := range rows {
		for _, c := range row {
			if !slices.Contains(header, c.name) {
				header = append(header, c.name)
			}
		}
	}
	var lines [][]string
	if !slices.Equal(header, p.header) {
		p.header, p.widths = header, nil
		if !slices.Equal(header, []string{""}) { // bare values need none
			lines = append(lines, upper(header))
		}
	}
	for _, row := range rows {
		line := make([]string, len(header))
		for _, c := range row {
			line[slices.Index(header, c.name)] = c.text
		}
		lines = append(lines, line)
	}
	p.widths = widen(p.widths, lines)
	align(b, p.widths, lines)
}

func upper(header []string) []string {
	names := make([]string, len(header))
	for i, name := range header {
		names[i] = strings.ToUpper(name)
	}
	return names
}

// widen is the widths that all lines fit into.
func widen(widths []int, lines [][]string) []int {
	for _, line := range lines {
		for i, text := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], uniseg.StringWidth(text))
		}
	}
	return widths
}

func align(b *strings.Builder, widths []int, lines [][]string) {
	for _, line := range lines {
		var out strings.Builder
		for i, text := range line {
			out.WriteString(text + strings.Repeat(" ", widths[i]+2-uniseg.StringWidth(text)))
		}
		b.WriteString(strings.TrimRight(out.String(), " ") + "\n")
	}
}
