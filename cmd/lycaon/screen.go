package main

import (
	"bytes"
	"io"
	"sync"
)

// heldBytes is how much of what comes is kept for the time that another program
// has the screen; more is dropped, as nobody could read it.
const heldBytes = 64 << 10

// screen is the terminal of a prompt. While a program has all of it, an editor
// for one, events are held back.
type screen struct {
	tty io.Writer // the terminal itself

	mu    sync.Mutex
	lent  bool
	held  []held
	bytes int // in held
}

type held struct {
	to   io.Writer
	text []byte
}

// layer writes to w when nobody has the screen.
type layer struct {
	*screen
	w io.Writer
}

func (s *screen) layer(w io.Writer) layer { return layer{s, w} }

func (l layer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lent {
		return l.w.Write(b)
	}
	if l.bytes+len(b) <= heldBytes {
		l.held = append(l.held, held{l.w, bytes.Clone(b)})
		l.bytes += len(b)
	}
	return len(b), nil
}

// lend holds back what is written until the screen is given back.
func (s *screen) lend() (back func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lent = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, h := range s.held {
			h.to.Write(h.text)
		}
		s.lent, s.held, s.bytes = false, nil, 0
	}
}
