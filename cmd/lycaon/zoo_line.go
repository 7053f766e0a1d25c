package main

import (
	"regexp"
	"slices"
	"strings"
)

// splitZoo cuts a line as ZooKeeper's shell does: at blanks, but for what is in
// quotes from its first to its last character. There are no escapes and no
// comments.
func splitZoo(line string) []string {
	var words []string
	for _, found := range zooTokens.FindAllStringSubmatch(line, -1) {
		word := found[1]
		if quote := word[0]; len(word) > 1 && (quote == '"' || quote == '\'') && word[len(word)-1] == quote {
			word = word[1 : len(word)-1]
		}
		words = append(words, word)
	}
	return words
}

var zooTokens = regexp.MustCompile(`\s*([^"']\S*|"[^"]*"|'[^']*')\s*`)

// zooLine is a line that has been read.
type zooLine struct {
	word  *zooWord
	flags []zooFlag
	args  []string
}

type zooFlag struct{ name, value string }

// read finds the flags wherever they stand, and then what the word refuses before
// it asks a server.
func (w *zooWord) read(words []string) (zooLine, error) {
	line := zooLine{word: w}
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "--":
			line.args = append(line.args, words[i+1:]...)
			return line, w.check(line)
		case len(word) < 2 || word[0] != '-':
			line.args = append(line.args, word)
			continue
		}
		names, value, attached := w.flagsIn(word)
		if names == nil {
			return line, commonsError("UnrecognizedOption", "Unrecognized option: %s", word)
		}
		for _, name := range names {
			f := zooFlag{name: name}
			if w.wantsValue(name) {
				if f.value = value; !attached {
					if i++; i >= len(words) {
						return line, commonsError("MissingArgument", "Missing argument for option: %s", name)
					}
					f.value = words[i]
				}
			}
			line.flags = append(line.flags, f)
		}
	}
	return line, w.check(line)
}

// flagsIn takes one word for flags: -add, -s, -sw for both, -v5 for one and its
// value. Our -o is in every word.
func (w *zooWord) flagsIn(word string) (names []string, value string, attached bool) {
	name, value, attached := strings.Cut(strings.TrimLeft(word, "-"), "=")
	if name == "output" || slices.Contains(w.long, name) {
		return []string{name}, value, attached
	}
	letters := word[1:]
	for i, letter := range letters {
		if !strings.ContainsRune("o"+w.flags, letter) || letter == ':' {
			return nil, "", false
		}
		names = append(names, string(letter))
		if rest := letters[i+len(string(letter)):]; w.wantsValue(string(letter)) && rest != "" {
			return names, rest, true
		}
	}
	return names, "", false
}

func (w *zooWord) wantsValue(name string) bool {
	return len(name) > 1 || name == "o" || strings.Contains(w.flags, name+":")
}

func (w *zooWord) check(line zooLine) error {
	if w.refuse != nil {
		if err := w.refuse(line); err != nil {
			return err
		}
	}
	if len(line.args) < w.least || len(line.args) > w.most {
		return w.misused()
	}
	if w.path > 0 && len(line.args) >= w.path {
		behind := ""
		if line.has("s") && w.name == "create" {
			behind = "1" // the number of a sequential node
		}
		return zooPath(line.args[w.path-1] + behind)
	}
	return nil
}

func (l zooLine) has(name string) bool {
	return slices.ContainsFunc(l.flags, func(f zooFlag) bool { return f.name == name })
}

// value is that of a flag, "" without it.
func (l zooLine) value(name string) string {
	i := slices.IndexFunc(l.flags, func(f zooFlag) bool { return f.name == name })
	if i < 0 {
		return ""
	}
	return l.flags[i].value
}

// ours is the line as our own command takes it.
func (l zooLine) ours() []string {
	words := []string{l.word.name}
	for _, f := range l.flags {
		dashes := "-"
		if len(f.name) > 1 {
			dashes = "--"
		}
		words = append(words, dashes+f.name)
		if l.word.wantsValue(f.name) {
			words = append(words, f.value)
		}
	}
	return append(append(words, "--"), l.args...)
}
