package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/lycaon-io/lycaon"

// arrows lists, for each package of ours, the packages of ours that it may
// import besides the tiny ones in everywhere. A package that is not listed
// may import none and fails the test by its presence, so that a new room is
// entered here on purpose.
var arrows = map[string][]string{
	"znode/cow":              {},
	"znode/pathhash":         {}, // brings a seed, which no outcome sees
	"znode":                  {"znode/cow", "znode/pathhash"},
	"session":                {"znode/cow"},
	"protocol":               {"znode", "znode/cow"},
	"protocol/jute":          {"protocol", "znode"},
	"server/state":           {"znode", "session", "protocol"},
	"server/watch":           {"znode", "protocol"},
	"server/pipeline":        {"server/state", "server/watch", "session", "protocol", "znode"},
	"server/raftlog":         {},
	"server/peer":            {},
	"server/replicate":       {"server/state", "server/raftlog", "server/peer", "session", "protocol", "znode"},
	"server/front":           {"server/pipeline", "protocol", "znode"},
	"server/front/fronttest": {"server/front", "server/pipeline", "server/state"},
	"server/front/native": {
		"server/front", "server/pipeline", "server/state", "protocol", "znode",
	},
	"server/front/http": {"server/front", "server/pipeline", "protocol"},
	"server/front/zk": {
		"server/front", "server/front/zk/digestmd5", "server/pipeline", "server/state", "protocol", "protocol/jute", "znode",
	},
	"server/front/zk/digestmd5": {"protocol", "znode"},
	"server": {
		"server/front", "server/front/native", "server/front/http", "server/front/zk", "server/front/zk/digestmd5", "server/replicate", "server/raftlog", "server/peer",
		"server/pipeline", "server/state", "protocol", "znode", "session",
	},
	"client":                        {"protocol", "znode"},
	"recipes":                       {"client"},
	"recipes/examples":              {},
	"recipes/examples/configreload": {"client", "recipes"},
	"recipes/examples/cron":         {"client", "recipes"},
	"recipes/examples/ratelimit":    {"client", "recipes"},
	"recipes/examples/services":     {"client", "recipes"},
	"recipes/examples/workqueue":    {"client", "recipes"},
	"client/clienttest":             {"client", "server"},
	"cmd/lycaon": {
		"server", "client", "client/clienttest", "recipes", "protocol", "znode", "server/state",
		"cmd/lycaon/internal/target", "cmd/lycaon/internal/migrate", "cmd/lycaon/internal/zkclient",
		"cmd/lycaon/internal/zkfile", "protocol/jute", "cmd/lycaon/internal/bench",
		"cmd/lycaon/internal/atomicfile", "cmd/lycaon/internal/confd",
	},
	"cmd/lycaon/internal/atomicfile": {},
	"cmd/lycaon/internal/bench":      {"client"},
	"cmd/lycaon/internal/confd":      {"client", "cmd/lycaon/internal/atomicfile"},
	"cmd/lycaon/internal/migrate":    {"znode"},
	"cmd/lycaon/internal/zkclient":   {"protocol", "protocol/jute"},
	"cmd/lycaon/internal/target":     {"client", "znode"},
	"cmd/lycaon/internal/zkfile":     {"znode"},

	"server/sim":                 {"server/pipeline", "server/replicate", "server/state", "server/watch", "session", "protocol", "znode"},
	"server/faults":              {"client", "protocol", "server/raftlog", "server/state", "znode"},
	"server/faults/recipes":      {},
	"server/compat/differential": {"server/compat/rig", "protocol/jute"},
	"server/compat/clients":      {},
	"server/compat/downstream":   {},
	"server/compat/rig":          {},
	"server/compat/recipes":      {},
	"server/internal/policy":     {},
	"server/internal/mutant":     {},
}

// everywhere may be imported by any package: leaves without state of the
// product.
var everywhere = []string{"server/internal/mutant"}

// pure packages take every input as an argument.
var pure = []string{"znode", "znode/cow", "session", "protocol", "protocol/jute", "server/state", "server/watch", "cmd/lycaon/internal/zkfile"}

// impure lists the packages that bring clocks, randomness, files or sockets.
// Type net/netip is a value and harmless.
var impure = []string{"net", "os", "os/exec", "io/ioutil", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog", "hash/maphash", "syscall"}

// clocks are the functions of package time that read one or wait on one.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// sockets are opened by these rooms alone.
var socketRooms = []string{"server/front", "server/front/", "server/peer", "server/compat/", "client", "cmd/", "server"}

type listed struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,GoFiles", module+"/...").Output()
	require.NoError(t, err)
	dec := json.NewDecoder(strings.NewReader(string(out)))
	var all []listed
	for {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		all = append(all, p)
	}
	require.NotEmpty(t, all)
	return all
}

func short(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

func TestImportsFollowTheArrows(t *testing.T) {
	for _, p := range packages(t) {
		name := short(p.ImportPath)
		allowed, known := arrows[name]
		if !known {
			allowed, known = internalRoom(name)
		}
		if !known {
			t.Errorf("package %s has no row in the table of arrows", name)
			continue
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, module) {
				continue
			}
			if to := short(imp); !slices.Contains(allowed, to) && !slices.Contains(everywhere, to) && !leafOf(name, to) {
				t.Errorf("%s may not import %s", name, to)
			}
		}
	}
}

// internalRoom admits packages under server/internal: leaves that import
// nothing of ours.
func internalRoom(name string) ([]string, bool) {
	return nil, strings.HasPrefix(name, "server/internal/")
}

// leafOf lets the rooms under server use the leaves under server/internal,
// save the pure ones.
func leafOf(from, to string) bool {
	return strings.HasPrefix(to, "server/internal/") && strings.HasPrefix(from, "server") && !slices.Contains(pure, from)
}

func TestPurePackagesTakeEveryInputAsAnArgument(t *testing.T) {
	for _, p := range packages(t) {
		if !slices.Contains(pure, short(p.ImportPath)) {
			continue
		}
		for _, imp := range p.Imports {
			if slices.Contains(impure, imp) || strings.HasPrefix(imp, "net/") && imp != "net/netip" {
				t.Errorf("%s is pure and may not import %s", short(p.ImportPath), imp)
			}
		}
		eachCall(t, p, func(pkg, fun string, pos token.Position) {
			if pkg == "time" && slices.Contains(clocks, fun) {
				t.Errorf("%s: a pure package calls time.%s", pos, fun)
			}
		})
	}
}

func TestSocketsOpenOnlyInTheirRooms(t *testing.T) {
	for _, p := range packages(t) {
		name := short(p.ImportPath)
		if slices.ContainsFunc(socketRooms, func(room string) bool {
			return name == strings.TrimSuffix(room, "/") || strings.HasSuffix(room, "/") && strings.HasPrefix(name, room)
		}) || strings.HasPrefix(name, "client/") {
			continue
		}
		eachCall(t, p, func(pkg, fun string, pos token.Position) {
			if pkg == "net" && fun != "Listener" && (strings.HasPrefix(fun, "Listen") || strings.HasPrefix(fun, "Dial")) {
				t.Errorf("%s: %s opens a socket", pos, name)
			}
		})
	}
}

func TestRaftKnowsNothingOfOurs(t *testing.T) {
	for _, p := range packages(t) {
		imports := func(path string) bool {
			return slices.ContainsFunc(p.Imports, func(i string) bool { return i == path || strings.HasPrefix(i, path+"/") })
		}
		name := short(p.ImportPath)
		if imports("github.com/hashicorp/raft") && name != "server/raftlog" && name != "server/replicate" && name != "server" {
			t.Errorf("%s imports hashicorp/raft", name)
		}
		if imports("github.com/dgraph-io/badger") && name != "server/raftlog" {
			t.Errorf("%s imports badger", name)
		}
	}
}

// VerifyLeader counts acknowledgements that are older than the question, so
// no read may rest on it.
func TestNobodyReadsByVerifyLeader(t *testing.T) {
	for _, p := range packages(t) {
		eachSelector(t, p, func(sel string, pos token.Position) {
			if sel == "VerifyLeader" {
				t.Errorf("%s: VerifyLeader is no read barrier", pos)
			}
		})
	}
}

// eachCall visits every call of an imported package's function in the
// non-test files of p.
func eachCall(t *testing.T, p listed, visit func(pkg, fun string, pos token.Position)) {
	t.Helper()
	eachFile(t, p, func(fset *token.FileSet, file *ast.File) {
		names := map[string]string{}
		for _, imp := range file.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			require.NoError(t, err)
			local := path[strings.LastIndex(path, "/")+1:]
			if imp.Name != nil {
				local = imp.Name.Name
			}
			names[local] = path
		}
		ast.Inspect(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Obj == nil && names[x.Name] != "" {
				visit(names[x.Name], sel.Sel.Name, fset.Position(sel.Pos()))
			}
			return true
		})
	})
}

func eachSelector(t *testing.T, p listed, visit func(sel string, pos token.Position)) {
	t.Helper()
	eachFile(t, p, func(fset *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				visit(sel.Sel.Name, fset.Position(sel.Pos()))
			}
			return true
		})
	})
}

func eachFile(t *testing.T, p listed, visit func(*token.FileSet, *ast.File)) {
	t.Helper()
	fset := token.NewFileSet()
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
		require.NoError(t, err, fmt.Sprintf("parsing %s", name))
		visit(fset, file)
	}
}
