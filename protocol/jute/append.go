package jute

import "encoding/binary"

func appendInt(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }

func appendLong(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendBuffer keeps nil, which is null, apart from empty.
func appendBuffer(b, data []byte) []byte {
	if data == nil {
		return appendInt(b, -1)
	}
	return append(appendInt(b, int32(len(data))), data...)
}

func appendString(b []byte, s string) []byte { return append(appendInt(b, int32(len(s))), s...) }

func appendStrings(b []byte, all []string) []byte {
	b = appendInt(b, int32(len(all)))
	for _, s := range all {
		b = appendString(b, s)
	}
	return b
}

// beginFrame leaves room for the length, which endFrame fills in; start is
// where the frame begins in b.
func beginFrame(b []byte) (frame []byte, start int) { return append(b, 0, 0, 0, 0), len(b) }

func endFrame(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-lengthBytes))
	return b
}
