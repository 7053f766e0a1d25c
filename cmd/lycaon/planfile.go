package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

// wish is a node as a plan wants it.
type wish struct {
	path    string
	data    []byte
	hasData bool // else any is right
	acl     client.ACL
	kind    *znode.Kind
	ttlMs   int64
}

// planReader turns a YAML document into wishes.
type planReader struct {
	file   string
	wishes map[string]wish
}

// readPlan reads a file, - for in. The wishes are sorted, parents first.
func readPlan(file string, in io.Reader) (wishes []wish, err error) {
	raw, err := planBytes(file, in)
	if err != nil {
		return nil, usageError{err}
	}
	r := planReader{file: file, wishes: map[string]wish{}}
	if err := r.read(raw); err != nil {
		return nil, usageError{err}
	}
	for _, w := range r.wishes {
		wishes = append(wishes, w)
	}
	slices.SortFunc(wishes, func(a, b wish) int { return comparePaths(a.path, b.path) })
	return wishes, nil
}

func planBytes(file string, in io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(file)
}

// comparePaths has parents before children and names in order, as walks do.
func comparePaths(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}

func (r *planReader) read(raw []byte) error {
	if doc, err := readJSON(raw); doc != nil || err != nil {
		return errors.Join(err, r.document(doc))
	}
	var doc, more yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(raw))
	if err := in.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", r.file, err)
	}
	if len(doc.Content) == 0 {
		return fmt.Errorf("%s: %w", r.file, errNoNodes)
	}
	if err := in.Decode(&more); !errors.Is(err, io.EOF) {
		return errors.Join(fmt.Errorf("%s: want one document", r.file), err)
	}
	return r.document(doc.Content[0])
}

// binaryTag would have the base64 for the data.
const binaryTag = "!!binary"

var errBinary = errors.New("!!binary is not known here; dataBase64 has data that is no text")

var errNoNodes = errors.New("there is no node in it")

func (r *planReader) document(n *yaml.Node) error {
	err := r.mapping(n, "paths to nodes", r.node)
	if err == nil && len(r.wishes) == 0 {
		err = r.fault(n, "%w", errNoNodes)
	}
	return err
}

func (r *planReader) fault(at *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", r.file, at.Line, fmt.Errorf(format, args...))
}

func (r *planReader) mapping(n *yaml.Node, of string, each func(key string, value *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return r.fault(n, "want a mapping of %s", of)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind != yaml.ScalarNode {
			return r.fault(n.Content[i], "want a mapping of %s", of)
		}
		if err := each(n.Content[i].Value, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// node is a text, which is the data, or null, or a mapping that says more.
func (r *planReader) node(path string, n *yaml.Node) error {
	if err := znode.ValidatePath(path); err != nil {
		return r.fault(n, "%w", err)
	}
	if _, twice := r.wishes[path]; twice {
		return r.fault(n, "%s is given twice", path)
	}
	w := wish{path: path}
	r.wishes[path] = w
	if n.Tag == binaryTag {
		return r.fault(n, "%s: %w", path, errBinary)
	}
	if n.Kind == yaml.ScalarNode {
		if w.hasData = n.Tag != "!!null"; w.hasData {
			w.data = []byte(n.Value)
		}
		r.wishes[path] = w
		return nil
	}
	err := r.mapping(n, "data, dataBase64, acl, kind, ttl and children", func(key string, value *yaml.Node) error {
		if key == "children" {
			return r.children(path, value)
		}
		return r.field(&w, key, value)
	})
	if isTTL := w.kind != nil && *w.kind == znode.TTL; err == nil && isTTL != (w.ttlMs != 0) {
		err = r.fault(n, "%s: kind: ttl and ttl: TIME go together", path)
	}
	r.wishes[path] = w
	return err
}

func (r *planReader) children(path string, n *yaml.Node) error {
	return r.mapping(n, "names to nodes", func(name string, value *yaml.Node) error {
		if strings.Contains(name, "/") {
			return r.fault(value, "the name %q has a slash", name)
		}
		return r.node(znode.Join(path, name), value)
	})
}

func (r *planReader) field(w *wish, key string, n *yaml.Node) (err error) {
	if n.Kind != yaml.ScalarNode {
		return r.fault(n, "%s wants a single value", key)
	}
	if n.Tag == binaryTag {
		return r.fault(n, "%s: %w", key, errBinary)
	}
	isData := key == "data" || key == "dataBase64"
	if isData && w.hasData || key == "acl" && w.acl != nil || key == "kind" && w.kind != nil || key == "ttl" && w.ttlMs != 0 {
		return r.fault(n, "%s: %s is given twice", w.path, key)
	}
	w.hasData = w.hasData || isData
	switch key {
	case "data":
		if n.Tag != "!!null" {
			w.data = []byte(n.Value)
		}
	case "dataBase64":
		w.data, err = base64.StdEncoding.DecodeString(n.Value)
	case "acl":
		w.acl, err = planACL(n.Value)
	case "kind":
		w.kind, err = planKind(n.Value)
	case "ttl":
		w.ttlMs, err = planTTL(n.Value)
	default:
		return r.fault(n, "unknown key %q; known keys: data dataBase64 acl kind ttl children", key)
	}
	if err != nil {
		return r.fault(n, "%s: %w", key, err)
	}
	return nil
}

// planACL refuses what the server would put something else for, which would
// differ for ever.
func planACL(text string) (client.ACL, error) {
	acl, err := znode.ParseACL(text)
	if err == nil && slices.ContainsFunc(acl, func(a znode.Entry) bool { return a.Scheme == "auth" }) {
		err = errors.New("auth is whoever applies it; name the identity (whoami shows yours)")
	}
	return acl, err
}

// planKind knows the kinds that a plan can make: an ephemeral node lives and
// dies with the session of a program.
func planKind(text string) (*znode.Kind, error) {
	for kind, name := range kindNames {
		if name == text && kind != znode.Ephemeral {
			return &kind, nil
		}
	}
	return nil, fmt.Errorf("%q: want persistent, container or ttl", text)
}

func planTTL(text string) (ms int64, err error) {
	ttl, err := time.ParseDuration(text)
	if ms = ttl.Milliseconds(); err == nil && (ms < 1 || ms > znode.MaxTTLMs) {
		err = fmt.Errorf("%s is not within 1ms to %d ms", text, int64(znode.MaxTTLMs))
	}
	return ms, err
}

// createOptions are those of the node that w wants, where none is.
func (w *wish) createOptions() []client.CreateOption {
	var opts []client.CreateOption
	if w.acl != nil {
		opts = append(opts, client.WithACL(w.acl))
	}
	switch {
	case w.kind == nil:
	case *w.kind == znode.Container:
		opts = append(opts, client.Container())
	case *w.kind == znode.TTL:
		opts = append(opts, client.TTL(msDuration(w.ttlMs)))
	}
	return opts
}
