package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	testRef  = regexp.MustCompile("`([a-z0-9/]+)` `(Test[A-Za-z0-9_]+)`")
	testFunc = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(t \*testing\.T\)`)
)

// testsOf are the tests of a package, by its folder.
func testsOf(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../..", folder, "*_test.go"))
	require.NoError(t, err)
	tests := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = true
		}
	}
	return tests
}

// A promise without a test is a wish.
func TestEveryPromiseNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("../../../docs/PROMISES.md")
	require.NoError(t, err)
	promised, _, cut := strings.Cut(string(text), "## What we do not promise")
	require.True(t, cut)
	_, promised, _ = strings.Cut(promised, "\n## ")
	known := map[string]map[string]bool{}
	promises := strings.Split(promised, "\n- ")[1:]
	require.Greater(t, len(promises), 30)
	for _, p := range promises {
		sentence, _, _ := strings.Cut(p, "\n")
		_, refs, _ := strings.Cut(p, "\u2014")
		found := testRef.FindAllStringSubmatch(refs, -1)
		if len(found) == 0 {
			t.Errorf("no test behind: %s", sentence)
		}
		for _, ref := range found {
			if known[ref[1]] == nil {
				known[ref[1]] = testsOf(t, ref[1])
			}
			if !known[ref[1]][ref[2]] {
				t.Errorf("%s has no %s, behind: %s", ref[1], ref[2], sentence)
			}
		}
		if strings.Count(refs, "`")/4 != len(found) {
			t.Errorf("a reference that is not `package` `Test`, behind: %s", sentence)
		}
	}
}
