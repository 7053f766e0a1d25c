package confd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/lycaon-io/lycaon/client"
)

// Template says what to make of what. It is parsed once.
type Template struct {
	Source string // file of the template
	Target string // file that it is for
	Reload string // command to run when the content of Target has changed; "" for none

	parsed *template.Template
}

// ParseTemplate reads TEMPLATE:FILE[:RELOAD].
func ParseTemplate(text string) (Template, error) {
	source, rest, ok := strings.Cut(text, ":")
	file, reload, _ := strings.Cut(rest, ":")
	if !ok || source == "" || file == "" {
		return Template{}, fmt.Errorf("%q: want TEMPLATE:FILE[:RELOAD]", text)
	}
	return Template{Source: source, Target: file, Reload: reload}, nil
}

func (t *Template) parse() error {
	text, err := os.ReadFile(t.Source)
	if err != nil {
		return err
	}
	var none renderer // execution has functions of its own
	t.parsed, err = template.New(filepath.Base(t.Source)).Option("missingkey=error").
		Funcs(functions).Funcs(none.functions()).Parse(string(text))
	return err
}

// render makes the content of the file.
func (t *Template) render(ctx context.Context, s *source, getenv func(string) string) ([]byte, error) {
	r := renderer{ctx: ctx, source: s, getenv: getenv}
	now, err := t.parsed.Clone()
	if err != nil {
		return nil, err
	}
	var out bounded
	err = now.Funcs(r.functions()).Execute(&out, nil)
	return out.Bytes(), err
}

// bounded is a buffer that a template without an end does not fill for ever.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxOutput {
		return 0, fmt.Errorf("it makes more than %d bytes", maxOutput)
	}
	return b.Buffer.Write(p)
}

// renderer is one execution of a template.
type renderer struct {
	ctx    context.Context
	source *source
	getenv func(string) string
}

func (r *renderer) functions() template.FuncMap {
	return template.FuncMap{
		"get":    r.get,
		"getv":   r.getv,
		"exists": r.exists,
		"ls":     func(path string) ([]string, error) { return r.source.list(r.ctx, path) },
		"gets":   func(pattern string) ([]Node, error) { return r.source.match(r.ctx, pattern) },
		"getvs":  r.getvs,
		"tree":   func(path string) ([]Node, error) { return r.source.tree(r.ctx, path) },
		"env":    r.env,
		"getenv": r.env,
	}
}

// get wants the node to be there.
func (r *renderer) get(path string) (*Node, error) {
	n, err := r.source.get(r.ctx, path)
	if n == nil && err == nil {
		err = &client.Error{Op: "get", Path: path, Err: client.ErrNoNode}
	}
	return n, err
}

// getv is the data of a node, of one that is not there the default if one is given.
func (r *renderer) getv(path string, otherwise ...string) (string, error) {
	if len(otherwise) == 0 {
		n, err := r.get(path)
		if err != nil {
			return "", err
		}
		return n.Value, nil
	}
	n, err := r.source.get(r.ctx, path)
	switch {
	case err != nil:
		return "", err
	case n == nil:
		return otherwise[0], nil
	}
	return n.Value, nil
}

func (r *renderer) exists(path string) (bool, error) {
	n, err := r.source.get(r.ctx, path)
	return n != nil, err
}

func (r *renderer) getvs(pattern string) ([]string, error) {
	nodes, err := r.source.match(r.ctx, pattern)
	values := make([]string, len(nodes))
	for i, n := range nodes {
		values[i] = n.Value
	}
	return values, err
}

// env is a variable of the environment, of one that is empty or not there the
// default if one is given.
func (r *renderer) env(name string, otherwise ...string) string {
	if v := r.getenv(name); v != "" || len(otherwise) == 0 {
		return v
	}
	return otherwise[0]
}
