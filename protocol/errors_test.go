package protocol

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

func TestTheTableOfErrorsIsOneToOne(t *testing.T) {
	names := map[string]bool{}
	for _, e := range errorTable {
		require.Same(t, e.err, e.code.Err(), e.name)
		require.Equal(t, e.code, CodeOf(e.err), e.name)
		require.Equal(t, e.name, e.code.String())
		require.False(t, names[e.name], "%s twice", e.name)
		names[e.name] = true
	}
	require.NoError(t, OK.Err())
	require.Equal(t, OK, CodeOf(nil))
}

func TestEveryCodeAndEverySentinelIsInTheTable(t *testing.T) {
	names := map[string]bool{"OK": true}
	for _, e := range errorTable {
		names[e.name] = true
	}
	for _, name := range declared(t, "code.go", token.CONST) {
		require.True(t, names[name], "code %s has no error", name)
	}
	require.Len(t, errorTable, len(declared(t, "code.go", token.CONST))-1)
	sentinels := len(declared(t, "errors.go", token.VAR)) - 1 // errorTable
	sentinels += len(declared(t, "../znode/errors.go", token.VAR))
	require.Len(t, errorTable, sentinels)
}

// declared returns the names that a file declares at its top level.
func declared(t *testing.T, file string, kind token.Token) (names []string) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	for _, decl := range f.Decls {
		if g, ok := decl.(*ast.GenDecl); ok && g.Tok == kind {
			for _, spec := range g.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

// uncomparable would make a map of errors or a blind == panic.
type uncomparable struct{ parts []string }

func (u uncomparable) Error() string { return strings.Join(u.parts, ", ") }

func TestACodeIsFoundInAWrappedError(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Code
	}{
		{fmt.Errorf("create /a: %w", znode.ErrNoNode), NoNode},
		{fmt.Errorf("multi: %w", fmt.Errorf("set: %w", znode.ErrBadVersion)), BadVersion},
		{fmt.Errorf("%w and %w", errors.New("something"), ErrDiskFull), DiskFull},
		{errors.Join(errors.New("something"), ErrThrottled), Throttled},
		{&FrameTooLargeError{Length: 2, Max: 1}, TooLarge},
		{errors.New("something else"), SystemError},
		{uncomparable{}, SystemError},
		{fmt.Errorf("%w: %w", uncomparable{}, ErrAborted), Aborted},
		{Code(-999).Err(), -999},
		{fmt.Errorf("get: %w", Code(-999).Err()), -999},
	} {
		require.Equal(t, c.want, CodeOf(c.err), "%v", c.err)
	}
	require.ErrorIs(t, Code(-999).Err(), ErrSystem)
	require.EqualError(t, Code(-999).Err(), "the server answered with code -999")
	require.Equal(t, "OK", OK.String())
}
