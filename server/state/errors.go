package state

import "errors"

var (
	// ErrUnknownFormat says that a log entry or an image is of a version, or
	// holds a kind, that this program does not know. A replica that meets it
	// stops: to guess would make it differ from the others.
	ErrUnknownFormat = errors.New("format not known to this version of lycaon")
	// ErrCorrupt says that bytes are not what was written.
	ErrCorrupt = errors.New("corrupt")
)
