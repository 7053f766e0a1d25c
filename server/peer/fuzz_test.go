package peer

import (
	"bytes"
	"testing"
)

func FuzzHandshakeAndCall(f *testing.F) {
	hello, _ := appendHello(Raft, hello{Identity: Identity{Cluster: "pack", ID: 1, Data: "d"}, ToID: 2})
	reply, _ := appendAnswer(answer{Error: *Refuse(ErrNotReady, "soon"), Identity: Identity{ID: 2}})
	var frame bytes.Buffer
	writeFrame(&frame, request{Method: "greet", TimeoutMs: 5, Body: []byte(`{"a":[1,2]}`)})
	for _, seed := range [][]byte{hello, reply, frame.Bytes(), {0}, []byte("RLYCP\x01\xff\xff"), {0x7f, 0xff, 0xff, 0xff}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		if _, err := readKind(r); err == nil {
			if h, err := readHello(r); err == nil {
				again, err := appendHello(Raft, h)
				if err != nil && len(b) < maxHelloBytes/8 {
					t.Fatalf("a hello that was read cannot be written: %v", err)
				}
				_ = again
			}
		}
		readAnswer(bytes.NewReader(b))
		var q request
		readFrame(bytes.NewReader(b), &q)
	})
}
