package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplitWords(t *testing.T) {
	for line, want := range map[string][]string{
		"":                           nil,
		"  ls   /a ":                 {"ls", "/a"},
		`set /a "two words"`:         {"set", "/a", "two words"},
		`set /a 'it is "so"'`:        {"set", "/a", `it is "so"`},
		`set /a ""`:                  {"set", "/a", ""},
		`set /a a\ b`:                {"set", "/a", "a b"},
		`set /a 'a\b'`:               {"set", "/a", `a\b`},
		`ls / # all of it`:           {"ls", "/"},
		`get /a#b`:                   {"get", "/a#b"},
		`create /x pre"mid dle"post`: {"create", "/x", "premid dlepost"},
	} {
		got, err := splitWords(line)
		require.NoError(t, err, line)
		require.Equal(t, want, got, line)
	}
	_, err := splitWords(`set /a "open`)
	require.ErrorIs(t, err, errUnclosedQuote)
}

func FuzzWhatIsCompletedReadsBackAsOneWord(f *testing.F) {
	for _, s := range []string{"a", "a b", "it's", `"`, `\`, "#", "'", "\t"} {
		for _, quote := range []string{"", "'", `"`} {
			f.Add(quote, s)
		}
	}
	f.Fuzz(func(t *testing.T, quote, s string) {
		if s != string([]rune(s)) || quote != "" && quote != "'" && quote != `"` {
			t.Skip("not UTF-8, or no quote")
		}
		typed := "get " + quote + "/"
		_, last := scanWords(typed)
		words, err := splitWords(typed + escapeIn(last.quote, s) + quote)
		require.NoError(t, err)
		require.Equal(t, []string{"get", "/" + s}, words)
	})
}
