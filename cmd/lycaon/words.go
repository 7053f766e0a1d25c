package main

import (
	"errors"
	"strings"
)

var errUnclosedQuote = usageError{errors.New("a quote is not closed")}

// splitWords cuts a shell line into words. Single and double quotes hold
// blanks together; outside single quotes a backslash takes the next character
// as it is. A word that starts with # begins a comment.
func splitWords(line string) ([]string, error) {
	words, last := scanWords(line)
	if last.quote != 0 {
		return nil, errUnclosedQuote
	}
	if last.begun {
		words = append(words, last.text)
	}
	return words, nil
}

// lastWord is the word that a line ends in.
type lastWord struct {
	text  string
	begun bool
	quote rune // that is open at its end, else 0
}

// close is what ends the quote that is open.
func (w lastWord) close() string {
	if w.quote == 0 {
		return ""
	}
	return string(w.quote)
}

// scanWords tells the words of a line that end before it does, and the one in
// which it ends.
func scanWords(line string) (words []string, last lastWord) {
	var word strings.Builder
	begun, quote := false, rune(0)
	runes := []rune(line)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case r == '\\' && quote != '\'' && i+1 < len(runes):
			i++
			word.WriteRune(runes[i])
			begun = true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case r == '#' && !begun:
			return words, lastWord{}
		case r == ' ' || r == '\t':
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	return words, lastWord{text: word.String(), begun: begun, quote: quote}
}

// escapeIn writes text so that it goes on the word before it, inside the quote
// that is open there, if any.
func escapeIn(quote rune, text string) string {
	if quote == '\'' {
		return strings.ReplaceAll(text, "'", `'\''`)
	}
	special := " \t'\"\\#"
	if quote == '"' {
		special = `"\`
	}
	var b strings.Builder
	for _, r := range text {
		if strings.ContainsRune(special, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
