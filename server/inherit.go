package server

import (
	"errors"
	"time"
)

// The kernel takes a large process apart for a while after kill -9 has
// returned, and its address and locks go last. A supervisor that starts the
// next one at once is not to be told that they are in use.
const (
	inheritWait  = time.Second
	inheritPause = 10 * time.Millisecond
)

// inherit tries again, for a moment, while another process holds what it wants.
func inherit[T any](held error, take func() (T, error)) (T, error) {
	for deadline := time.Now().Add(inheritWait); ; {
		v, err := take()
		if !errors.Is(err, held) || time.Now().After(deadline) {
			return v, err
		}
		time.Sleep(inheritPause)
	}
}
