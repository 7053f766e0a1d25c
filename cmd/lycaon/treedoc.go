package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/lycaon-io/lycaon/znode"
)

// treeDocument writes a tree as what plan, apply and import read: a mapping of
// paths to nodes, in YAML or JSON. It is flat, so that it can be written as the
// nodes come, and a difference between two of them says which node it is of.
type treeDocument struct {
	w     io.Writer
	json  bool
	tty   bool // w makes visible what is hidden
	nodes int
	bytes int64
}

// write puts one node down.
func (d *treeDocument) write(path string, n *twig) error {
	entry, err := d.entry(path, n)
	if err != nil {
		return err
	}
	d.nodes++
	d.bytes += int64(len(n.data))
	_, err = d.w.Write(entry)
	return err
}

func (d *treeDocument) entry(path string, n *twig) ([]byte, error) {
	if !d.json {
		return yamlEntry(path, n, d.tty)
	}
	before := ",\n"
	if d.nodes == 0 {
		before = "{\n"
	}
	entry := append([]byte(before), jsonText(path)...)
	return append(append(entry, ": "...), jsonNodeOf(n)...), nil
}

// end completes the document.
func (d *treeDocument) end() error {
	if !d.json || d.nodes == 0 {
		return nil
	}
	_, err := io.WriteString(d.w, "\n}\n")
	return err
}

// field is one that a node has in a document; nil is null.
type field struct {
	key  string
	text *string
}

// fieldsOf is what a document says of a node besides data that is text. An ACL
// that is open to everyone is what a node gets without one.
func fieldsOf(n *twig) []field {
	var fields []field
	say := func(key, text string) { fields = append(fields, field{key, &text}) }
	if n.stat.Kind != znode.Persistent {
		say("kind", kindNames[n.stat.Kind])
	}
	if n.stat.TTLMs != 0 {
		say("ttl", msDuration(n.stat.TTLMs).String())
	}
	if !slices.Equal(n.acl, znode.OpenACL) {
		say("acl", aclText(n.acl))
	}
	if n.data == nil {
		fields = append(fields, field{"data", nil})
	}
	return fields
}

func base64Field(data []byte) field {
	text := base64.StdEncoding.EncodeToString(data)
	return field{"dataBase64", &text}
}

func textField(data []byte) field {
	text := string(data)
	return field{"data", &text}
}

func jsonNodeOf(n *twig) []byte {
	fields := fieldsOf(n)
	switch text := utf8.Valid(n.data); {
	case n.data == nil:
	case text && len(fields) == 0:
		return jsonText(string(n.data))
	case text:
		fields = append(fields, textField(n.data))
	default:
		fields = append(fields, base64Field(n.data))
	}
	object := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			object = append(object, ", "...)
		}
		object = append(append(object, jsonText(f.key)...), ": "...)
		if f.text == nil {
			object = append(object, "null"...)
		} else {
			object = append(object, jsonText(*f.text)...)
		}
	}
	return append(object, '}')
}

func jsonText(s string) []byte {
	text, _ := marshal(s) // a text always encodes
	return bytes.TrimSuffix(text, []byte("\n"))
}

// yamlEntry writes a node the most readable way that reads back as it is: YAML
// has texts that not every style can hold.
func yamlEntry(path string, n *twig, tty bool) ([]byte, error) {
	fields := fieldsOf(n)
	if n.data == nil {
		return yamlOf(path, fields, 0, tty)
	}
	if utf8.Valid(n.data) {
		with := append(slices.Clip(fields), textField(n.data))
		for _, style := range []yaml.Style{0, yaml.DoubleQuotedStyle} {
			if entry, err := yamlOf(path, with, style, tty); err == nil && readsBack(entry, path, n.data) {
				return entry, nil
			}
		}
	}
	return yamlOf(path, append(fields, base64Field(n.data)), 0, tty)
}

func yamlOf(path string, fields []field, data yaml.Style, tty bool) ([]byte, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fields {
		value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
		if f.text != nil {
			value.Tag, value.Value = "!!str", *f.text
		}
		if f.key == "data" {
			value.Style = data
		}
		node.Content = append(node.Content, yamlKey(f.key), value)
	}
	if len(fields) == 1 && fields[0].key == "data" {
		if node.Style = yaml.FlowStyle; fields[0].text != nil {
			node = node.Content[1] // the data alone is the node
		}
	}
	var text bytes.Buffer
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	root := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{yamlKey(path), node}}
	if tty {
		quoteHidden(root)
	}
	err := errors.Join(enc.Encode(root), enc.Close())
	return text.Bytes(), err
}

func yamlKey(key string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}
}

func readsBack(entry []byte, path string, data []byte) bool {
	r := planReader{wishes: map[string]wish{}}
	if r.read(entry) != nil {
		return false
	}
	w := r.wishes[path]
	return w.hasData && w.data != nil && bytes.Equal(w.data, data)
}

// jsonReader reads JSON as the YAML that it nearly is, in the order that it has:
// the reader of YAML takes no key of more than 1,024 characters.
type jsonReader struct {
	dec  *json.Decoder
	raw  []byte
	at   int
	line int
}

// readJSON returns nil for what is no JSON.
func readJSON(raw []byte) (*yaml.Node, error) {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return nil, nil
	}
	return jsonNode(raw)
}

func jsonNode(raw []byte) (*yaml.Node, error) {
	r := &jsonReader{dec: json.NewDecoder(bytes.NewReader(raw)), raw: raw, line: 1}
	r.dec.UseNumber()
	return r.value()
}

func (r *jsonReader) value() (*yaml.Node, error) {
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	to := int(r.dec.InputOffset())
	r.line += bytes.Count(r.raw[r.at:to], []byte("\n"))
	r.at = to
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line, Value: fmt.Sprint(token)}
	switch t := token.(type) {
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case string:
		n.Tag = "!!str"
	case bool:
		n.Tag = "!!bool"
	case json.Number:
		n.Tag = "!!int"
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case json.Delim:
		return n, r.inside(t, n)
	}
	return n, nil
}

// inside reads what is between brackets into n.
func (r *jsonReader) inside(open json.Delim, n *yaml.Node) error {
	n.Kind, n.Tag, n.Value = yaml.SequenceNode, "!!seq", ""
	if open == '{' {
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	}
	for r.dec.More() {
		inner, err := r.value()
		if err != nil {
			return err
		}
		n.Content = append(n.Content, inner)
	}
	_, err := r.dec.Token()
	return err
}
