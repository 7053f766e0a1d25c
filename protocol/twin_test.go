package protocol

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

// A general msgpack library is the independent witness that our bodies are
// msgpack, in its shortest form. It sees only what we wrote ourselves.

func TestTheTwinEncodesToTheSameBytes(t *testing.T) {
	for name, body := range sampleBodies() {
		value, err := msgpack.NewDecoder(bytes.NewReader(body)).DecodeInterface()
		require.NoError(t, err, name)

		var out bytes.Buffer
		e := msgpack.NewEncoder(&out)
		e.UseCompactInts(true)
		require.NoError(t, e.Encode(value), name)
		require.Equal(t, body, out.Bytes(), name)
	}
}

func sampleBodies() map[string][]byte {
	bodies := map[string][]byte{"identities": AppendIdentities(nil, sampleIDs)}
	for _, s := range requestSamples() {
		bodies["request "+s.name] = AppendRequest(nil, &s.req)[lengthBytes+requestHeaderBytes:]
	}
	for _, s := range messageSamples() {
		bodies["message "+s.name] = AppendMessage(nil, &s.msg)[lengthBytes+messageHeaderBytes:]
	}
	for _, h := range helloSamples() {
		bodies["hello "+h.Client] = AppendHello(nil, &h)[lengthBytes:]
	}
	for _, w := range welcomeSamples() {
		bodies["welcome "+w.Detail] = AppendWelcome(nil, &w)[lengthBytes:]
	}
	return bodies
}

func TestTheTwinReadsTheValuesThatWereMeant(t *testing.T) {
	w := writeSamples()[0]
	var got struct {
		_msgpack struct{} `msgpack:",as_array"`
		Path     string
		Data     []byte
		ACL      []struct {
			_msgpack   struct{} `msgpack:",as_array"`
			Perms      uint8
			Scheme, ID string
		}
		Kind, Flags uint8
		TTLMs       int64
	}
	require.NoError(t, msgpack.Unmarshal(AppendWrite(nil, &w), &got))
	require.Equal(t, w.Create.Path, got.Path)
	require.Equal(t, w.Create.Data, got.Data)
	require.Len(t, got.ACL, len(w.Create.ACL))
	require.Equal(t, w.Create.ACL[1].ID, got.ACL[1].ID)
	require.EqualValues(t, w.Create.ACL[1].Perms, got.ACL[1].Perms)
}

func TestNumbersAreTheTwins(t *testing.T) {
	for _, v := range []int64{0, 1, 127, 128, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64,
		-1, -32, -33, -128, -129, -32768, -32769, math.MinInt32, math.MinInt32 - 1, math.MinInt64} {
		b := appendInt(nil, v)
		require.Equal(t, twin(t, v, true), b, "%d", v)
		for _, form := range [][]byte{b, twin(t, v, false)} { // the shortest and the widest
			d := newDecoder(form)
			require.Equal(t, v, d.int())
			require.NoError(t, d.done())
			d = newDecoder(form)
			if got := d.uint(); v >= 0 {
				require.EqualValues(t, v, got)
				require.NoError(t, d.done())
			} else {
				require.ErrorIs(t, d.err, ErrMarshalling)
			}
		}
	}
	d := newDecoder(appendUint(nil, math.MaxUint64))
	require.EqualValues(t, uint64(math.MaxUint64), d.uint())
	d = newDecoder(appendUint(nil, math.MaxUint64))
	require.Zero(t, d.int())
	require.ErrorIs(t, d.err, ErrMarshalling)
}

func TestStringsDataAndArraysAreTheTwins(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536} {
		s := string(bytes.Repeat([]byte{'s'}, n))
		require.Equal(t, twin(t, s, true), appendStr(nil, s), "string of %d", n)
		require.Equal(t, twin(t, []byte(s), true), appendBin(nil, []byte(s)), "data of %d", n)
		head := appendArray(nil, n)
		require.Equal(t, twin(t, make([]bool, n), true)[:len(head)], head, "array of %d", n)
	}
	require.Equal(t, twin(t, []byte(nil), true), appendBin(nil, nil))
}

func twin(t *testing.T, v any, compact bool) []byte {
	var out bytes.Buffer
	e := msgpack.NewEncoder(&out)
	e.UseCompactInts(compact)
	require.NoError(t, e.Encode(v))
	return out.Bytes()
}
