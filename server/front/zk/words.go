package zk

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Words are the four-letter words that are answered.
type Words map[string]bool

// DefaultWords tell nothing of the tree and of clients, and cost nothing.
const DefaultWords = "ruok,srvr,isro,envi"

// AllWords in place of a list allows every word.
const AllWords = "all"

// ParseWords takes a list separated by commas, or AllWords; none is "".
func ParseWords(list string) (Words, error) {
	words := Words{}
	if list == AllWords {
		for word := range answers {
			words[word] = true
		}
		return words, nil
	}
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		if _, known := answers[word]; !known {
			return nil, fmt.Errorf("%.64q is no four-letter word: want %s or some of %s", word, AllWords, strings.Join(slices.Sorted(maps.Keys(answers)), ","))
		}
		words[word] = true
	}
	return words, nil
}

// answer is what a word is answered with.
type answer struct {
	text    func(c *conn) string
	anytime bool // also by a server that serves no sessions at present
}

var answers map[string]answer

// The table names functions that read it, so it is made here.
func init() {
	answers = map[string]answer{
		"ruok": {func(*conn) string { return "imok" }, true},
		"isro": {(*conn).isro, true},
		"envi": {(*conn).envi, true},
		"conf": {(*conn).conf, true},
		"srvr": {(*conn).srvr, false},
		"stat": {(*conn).stat, false},
		"mntr": {(*conn).mntr, false},
		"dirs": {(*conn).dirs, false},
		"hash": {(*conn).hash, false},
		"cons": {(*conn).cons, false},
		"crst": {(*conn).crst, false},
		"srst": {(*conn).srst, false},
		"dump": {(*conn).dump, false},
		"wchs": {(*conn).wchs, false},
		"wchc": {(*conn).wchc, false},
		"wchp": {(*conn).wchp, false},
	}
}

const notServing = "This ZooKeeper instance is not currently serving requests\n"

// word answers a connection that begins with a word; done tells whether it
// did. A word needs no session and gets no lane.
func (c *conn) word() (done, ok bool) {
	head, err := c.Reader().Peek(4)
	switch {
	case err != nil:
		c.HandshakeFailed(err)
		return true, false
	case head[0] == 0:
		return false, false
	}
	word := string(head)
	a, known := answers[word]
	switch {
	case !known:
		c.Foreign()
	case !c.zk.cfg.Words[word]:
		c.Say([]byte(word + " is not executed because it is not in the whitelist.\n"))
	case !a.anytime && c.Config().NotServing() != nil:
		c.Say([]byte(notServing))
	default:
		c.Say([]byte(a.text(c)))
	}
	return true, false
}
