package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/lycaon-io/lycaon/znode"
)

// A tree of znodes as files. A directory is a node with null data, a file a
// leaf with the file's bytes. What files cannot say is said by three reserved
// names:
//
//	dir/.lycaon-data         the data of the node dir, which has children or
//	                         would else read as a file
//	dir/.lycaon-n-HASH       a node whose name no file may have: longer than
//	                         255 bytes, or reserved itself
//	dir/.lycaon-n-HASH.name  that name
const (
	reservedPrefix = ".lycaon-"
	dataName       = ".lycaon-data"
	hashPrefix     = ".lycaon-n-"
	nameSuffix     = ".name"
	maxFileName    = 255
	maxNodeName    = 64 << 10 // far beyond any path's bound
)

// treeNode is one node of a tree in transit. Path is relative to the root of
// the tree, "" for the root itself.
type treeNode struct {
	path string
	data []byte // nil is null
	leaf bool
}

// skipped says what did not come along, and why.
type skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// kind is the reason without what is particular to the one node.
func (s skipped) kind() string {
	kind, _, _ := strings.Cut(s.Reason, ":")
	return kind
}

// treeReader yields the nodes of a directory, parents before children, names
// in order.
type treeReader struct {
	root    *os.Root
	maxData int
	prefix  string // the target path, for the checks of whole paths
	skips   []skipped
}

func (r *treeReader) skip(path, format string, args ...any) {
	r.skips = append(r.skips, skipped{Path: path, Reason: fmt.Sprintf(format, args...)})
}

// read calls visit for every node. An error of visit ends it; what cannot be
// read is skipped with its reason.
func (r *treeReader) read(visit func(treeNode) error) error { return r.readDir(".", "", visit) }

func (r *treeReader) readDir(dir, node string, visit func(treeNode) error) error {
	entries, err := fs.ReadDir(r.root.FS(), dir)
	if err != nil {
		if dir == "." {
			return err
		}
		r.skip(dir, "cannot be read: %v", reason(err))
		return nil
	}
	self := treeNode{path: node}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == dataName }) {
		self.data = r.readFile(path.Join(dir, dataName))
	}
	if err := visit(self); err != nil {
		return err
	}
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		name, ok := r.nodeName(dir, e)
		if !ok {
			continue
		}
		child := name
		if node != "" {
			child = node + "/" + name
		}
		if err := znode.ValidatePath(znode.Join(r.prefix, child)); err != nil {
			r.skip(file, "no node may have this path: %v", err)
			continue
		}
		if err := r.readEntry(e, file, child, visit); err != nil {
			return err
		}
	}
	return nil
}

func (r *treeReader) readEntry(e fs.DirEntry, file, node string, visit func(treeNode) error) error {
	switch {
	case e.IsDir():
		return r.readDir(file, node, visit)
	case e.Type().IsRegular():
		if data := r.readFile(file); data != nil {
			return visit(treeNode{path: node, data: data, leaf: true})
		}
	case e.Type()&fs.ModeSymlink != 0:
		r.skip(file, "symbolic link")
	default:
		r.skip(file, "neither a file nor a directory (%s)", e.Type())
	}
	return nil
}

// nodeName undoes the reserved names. It is false for what is no node of its
// own.
func (r *treeReader) nodeName(dir string, e fs.DirEntry) (string, bool) {
	name := e.Name()
	switch {
	case !strings.HasPrefix(name, reservedPrefix):
		return name, true
	case name == dataName || strings.HasPrefix(name, hashPrefix) && strings.HasSuffix(name, nameSuffix):
		return "", false
	case strings.HasPrefix(name, hashPrefix):
		real, err := r.readRegular(path.Join(dir, name+nameSuffix), maxNodeName)
		switch {
		case err != nil:
			r.skip(path.Join(dir, name), "its %s file is missing or cannot be read: %v", nameSuffix, reason(err))
		case strings.Contains(string(real), "/"):
			r.skip(path.Join(dir, name), "the name in its %s file has a slash", nameSuffix)
		default:
			return string(real), true
		}
	default:
		r.skip(path.Join(dir, name), "names that begin with %s are reserved", reservedPrefix)
	}
	return "", false
}

// readFile returns the bytes of a file, never nil, or nil after a skip.
func (r *treeReader) readFile(file string) []byte {
	data, err := r.readRegular(file, r.maxData)
	switch {
	case err != nil:
		r.skip(file, "cannot be read: %v", reason(err))
		return nil
	case len(data) > r.maxData:
		r.skip(file, "larger than the %d bytes that a node may hold", r.maxData)
		return nil
	}
	return data
}

var errNotRegular = errors.New("not a regular file")

// readRegular reads up to one byte more than limit. What is no file of its own
// is not waited for, though it became so after it was listed.
func (r *treeReader) readRegular(file string, limit int) ([]byte, error) {
	if info, err := r.root.Lstat(file); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := r.root.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	return io.ReadAll(io.LimitReader(f, int64(limit)+1))
}

// reason is an error without the path that the caller prints anyway.
func reason(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// treeWriter writes nodes as files below root. Parents come before children.
type treeWriter struct {
	root    *os.Root
	replace bool            // write over what is there
	files   map[string]bool // nodes written as plain files, which a child turns into directories
	bytes   int64
	nodes   int
}

func newTreeWriter(root *os.Root, replace bool) *treeWriter {
	return &treeWriter{root: root, replace: replace, files: map[string]bool{}}
}

// write puts one node down. A node without data is a directory, a leaf with
// data a file, any other a directory that holds a .lycaon-data.
func (w *treeWriter) write(n treeNode) error {
	file, err := w.place(n.path)
	if err != nil {
		return err
	}
	w.nodes++
	w.bytes += int64(len(n.data))
	if n.leaf && n.data != nil && n.path != "" {
		w.files[n.path] = true
		return w.writeFile(file, n.data)
	}
	if err := w.root.MkdirAll(file, 0o700); err != nil {
		return err
	}
	if n.data == nil {
		return nil
	}
	return w.writeFile(path.Join(file, dataName), n.data)
}

func (w *treeWriter) writeFile(file string, data []byte) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if w.replace {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := w.root.OpenFile(file, flags, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// place returns the file of a node, making each ancestor a directory that a
// concurrent change turned from a leaf into a parent.
func (w *treeWriter) place(node string) (string, error) {
	if node == "" {
		return ".", nil
	}
	file, prefix := "", ""
	for name := range strings.SplitSeq(node, "/") {
		if prefix != "" && w.files[prefix] {
			if err := w.openUp(file); err != nil {
				return "", err
			}
			delete(w.files, prefix)
		}
		safe, err := w.fileName(file, name)
		if err != nil {
			return "", err
		}
		file, prefix = path.Join(file, safe), strings.TrimPrefix(prefix+"/"+name, "/")
	}
	return file, nil
}

// openUp turns a file into a directory that holds its bytes.
func (w *treeWriter) openUp(file string) error {
	data, err := w.root.ReadFile(file)
	if err != nil {
		return err
	}
	if err := w.root.Remove(file); err != nil {
		return err
	}
	if err := w.root.Mkdir(file, 0o700); err != nil {
		return err
	}
	return w.writeFile(path.Join(file, dataName), data)
}

// fileName gives a node's name where a file may have it, else the reserved
// stand-in, whose .name file it writes.
func (w *treeWriter) fileName(dir, name string) (string, error) {
	if len(name) <= maxFileName && !strings.HasPrefix(name, reservedPrefix) {
		return name, nil
	}
	sum := sha256.Sum256([]byte(name))
	safe := hashPrefix + hex.EncodeToString(sum[:16])
	side := path.Join(dir, safe+nameSuffix)
	if real, err := w.root.ReadFile(side); err == nil && string(real) == name {
		return safe, nil
	}
	return safe, w.writeFile(side, []byte(name))
}
