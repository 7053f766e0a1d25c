package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// timekeepers hold deadlines. Those follow the monotonic clock, which a
// time.Time carries as long as nobody takes the wall clock out of it: a jump of
// the wall clock ends no session and no TTL.
var timekeepers = []string{"session", "server/replicate", "server/pipeline", "server/state"}

// wallClock are the methods of time.Time that leave the wall clock alone.
var wallClock = []string{"Unix", "UnixMilli", "UnixMicro", "UnixNano", "UTC", "Local", "GobEncode", "MarshalText", "MarshalJSON", "MarshalBinary"}

// stamps is where the leader stamps a batch with the time that shows in ctime
// and mtime, and nowhere else.
const stamps = "proposer.go"

func wallClockReads(file *ast.File) (found []*ast.SelectorExpr) {
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains(wallClock, sel.Sel.Name) {
			if x, isPackage := sel.X.(*ast.Ident); !isPackage || x.Name != "time" {
				found = append(found, sel)
			}
		}
		return true
	})
	return found
}

func TestDeadlinesReadNoWallClock(t *testing.T) {
	stamped := 0
	for _, p := range packages(t) {
		if !slices.Contains(timekeepers, short(p.ImportPath)) {
			continue
		}
		eachFile(t, p, func(fset *token.FileSet, file *ast.File) {
			for _, read := range wallClockReads(file) {
				at := fset.Position(read.Pos())
				if filepath.Base(at.Filename) == stamps && read.Sel.Name == "UnixMilli" {
					stamped++
					continue
				}
				t.Errorf("%s: %s is the wall clock", at, read.Sel.Name)
			}
		})
	}
	require.Equal(t, 1, stamped, "one stamp a batch")

	const sabotage = `package p
import "time"
func now(origin time.Time) time.Duration { return time.Duration(time.Now().UnixNano() - origin.UnixNano()) }
func zone() *time.Location { return time.UTC }`
	file, err := parser.ParseFile(token.NewFileSet(), "duties.go", sabotage, 0)
	require.NoError(t, err)
	require.Len(t, wallClockReads(file), 2, "the test sees what it is for")
}
