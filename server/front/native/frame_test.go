package native_test

import (
	"bufio"
	"io"

	"github.com/lycaon-io/lycaon/protocol"
)

type frameReader struct {
	r   *bufio.Reader
	buf []byte
}

func newFrameReader(r io.Reader) *frameReader { return &frameReader{r: bufio.NewReader(r)} }

func (f *frameReader) next() (frame []byte, err error) {
	f.buf, err = protocol.ReadFrame(f.r, f.buf, 64<<20)
	return f.buf, err
}
