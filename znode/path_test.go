package znode

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestValidatePath(t *testing.T) {
	deep := strings.Repeat("/d", MaxPathDepth)
	long := "/" + strings.Repeat("x", MaxPathBytes-1)
	for _, path := range []string{
		"/", "/a", "/a/b", "/...", "/.a", "/a.", "/a/..b", "/a b", "/ü", "/\u00a0", "/\ud7ff", "/\uf900", "/\uffef", "/~", deep, long,
	} {
		require.NoError(t, ValidatePath(path))
	}
	for path, rule := range map[string]string{
		"":                "is empty",
		"a":               "does not start with '/'",
		"/a/":             "ends with '/' (at byte 3)",
		"//":              "has an empty name (at byte 1)",
		"/a//b":           "has an empty name (at byte 3)",
		"/.":              `has the relative name "." (at byte 1)`,
		"/a/../b":         `has the relative name ".." (at byte 3)`,
		"/a\x00":          "has a NUL character (at byte 2)",
		"/a\n":            "has a control character",
		"/\x7f":           "has a control character",
		"/\u0080":         "has a control character",
		"/\u009f":         "has a control character",
		"/\xff":           "is not valid UTF-8",
		"/\xed\xa0\x80":   "is not valid UTF-8", // the surrogate U+D800
		"/\ue000":         "has a private-use character",
		"/\uf8ff":         "has a private-use character",
		"/\ufff0":         "has a special character",
		"/\ufffd":         "has a special character",
		"/\U00010000":     "has a character above U+FFFF",
		deep + "/d":       "is deeper than 128 names",
		long + "x":        "is longer than 1024 bytes",
		"/" + "x/" + long: "is longer than 1024 bytes",
	} {
		err := ValidatePath(path)
		require.ErrorIs(t, err, ErrBadArguments, "%q", path)
		require.ErrorContains(t, err, rule)
		require.Less(t, len(err.Error()), 1000, "the error must not carry all of a huge path")
	}
	require.ErrorContains(t, ValidatePath("/a\x00\n"), `path "/a\x00\n" has`)
}

func TestPathParts(t *testing.T) {
	for _, c := range []struct {
		path, parent, base string
		depth              int
	}{
		{"/", "/", "", 0}, {"/a", "/", "a", 1}, {"/a/b", "/a", "b", 2}, {"/a/b/c-1", "/a/b", "c-1", 3},
	} {
		require.Equal(t, c.parent, Parent(c.path), c.path)
		require.Equal(t, c.base, Base(c.path), c.path)
		require.Equal(t, c.depth, Depth(c.path), c.path)
		if c.path != "/" {
			require.Equal(t, c.path, Join(c.parent, c.base))
		}
	}
}

// zookeeperAccepts follows the words of ZooKeeper's rule, on the UTF-16 units
// that Java sees, with our bounds.
func zookeeperAccepts(path string) bool {
	if path == "/" {
		return true
	}
	if !utf8.ValidString(path) || !strings.HasPrefix(path, "/") || len(path) > MaxPathBytes {
		return false
	}
	names := strings.Split(path[1:], "/")
	if len(names) > MaxPathDepth {
		return false
	}
	for _, name := range names {
		if name == "" || name == "." || name == ".." {
			return false
		}
	}
	for _, c := range utf16.Encode([]rune(path)) {
		if c <= 0x1f || c >= 0x7f && c <= 0x9f || c >= 0xd800 && c <= 0xf8ff || c >= 0xfff0 {
			return false
		}
	}
	return true
}

func FuzzValidatePath(f *testing.F) {
	for _, path := range append(runOddPath, "/a/b", "/ä/\uffef", "/.../..a") {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		err := ValidatePath(path)
		require.Equal(t, zookeeperAccepts(path), err == nil, "%q: %v", path, err)
		if err != nil {
			require.ErrorIs(t, err, ErrBadArguments)
			require.NotEmpty(t, err.Error())
			return
		}
		if path != "/" {
			require.Equal(t, path, Join(Parent(path), Base(path)))
			require.NoError(t, ValidatePath(Parent(path)))
			require.Equal(t, Depth(path), Depth(Parent(path))+1)
		}
	})
}
