package raftlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
)

// storeID ties the directory, its guard and its state record together.
type storeID [16]byte

// state is what the store knows of itself. It is rewritten in every transaction that changes anything acknowledged, so
// it always tells exactly what must be there; which keys exist proves nothing, since Badger has lost and resurrected
// keys in the past.
type state struct {
	id        storeID
	seq       uint64 // rises by one with each transaction
	first     uint64 // 0 if the log is empty
	last      uint64
	lastTerm  uint64
	startPos  uint64 // position of the first record
	endPos    uint64 // position after the last record
	compacted uint64 // highest index ever removed from the head: a snapshot must reach it
	term      uint64 // raft's current term, for the guard
	oldest    uint64 // first generation that holds anything of the log
	lastSum   uint32 // crc of the last record
	stableSum uint32 // crc over all stable keys and values, the vote among them
}

const (
	stateVersion = 2
	stateLen     = 104
	// Version 1 knows of one generation, 0.
	stateVersionFirst = 1
	stateLenFirst     = 96
)

func (s *state) empty() bool { return s.last == 0 }

func (s *state) contains(index uint64) bool {
	return s.last != 0 && index >= s.first && index <= s.last
}

func (s *state) encode() []byte { return s.encodeAs(stateVersion) }

// encodeAs leaves out what a version does not know.
func (s *state) encodeAs(version byte) []byte {
	b := make([]byte, 8, stateLen)
	b[4] = version
	b = append(b, s.id[:]...)
	for _, v := range [...]uint64{s.seq, s.first, s.last, s.lastTerm, s.startPos, s.endPos, s.compacted, s.term} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = binary.BigEndian.AppendUint32(b, s.lastSum)
	b = binary.BigEndian.AppendUint32(b, s.stableSum)
	if version > stateVersionFirst {
		b = binary.BigEndian.AppendUint64(b, s.oldest)
	}
	binary.BigEndian.PutUint32(b, stateSum(b))
	return b
}

func stateSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte{tagState}, castagnoli), castagnoli, b[4:])
}

func decodeState(b []byte) (s state, err error) {
	version := byte(stateVersion)
	if len(b) == stateLenFirst {
		version = stateVersionFirst
	}
	switch {
	case len(b) != stateLen && version == stateVersion:
		return s, fmt.Errorf("state record has %d bytes instead of %d", len(b), stateLen)
	case binary.BigEndian.Uint32(b) != stateSum(b):
		return s, fmt.Errorf("state record checksum mismatch")
	case b[4] != version:
		return s, fmt.Errorf("state record version %d is unknown", b[4])
	}
	copy(s.id[:], b[8:])
	p := b[24:]
	for _, v := range [...]*uint64{&s.seq, &s.first, &s.last, &s.lastTerm, &s.startPos, &s.endPos, &s.compacted, &s.term} {
		*v = binary.BigEndian.Uint64(p)
		p = p[8:]
	}
	s.lastSum = binary.BigEndian.Uint32(p)
	s.stableSum = binary.BigEndian.Uint32(p[4:])
	if version == stateVersion {
		s.oldest = binary.BigEndian.Uint64(p[8:])
	}
	if (s.first == 0) != (s.last == 0) || s.first > s.last || s.startPos > s.endPos {
		return s, fmt.Errorf("state record says log %d to %d, bytes %d to %d", s.first, s.last, s.startPos, s.endPos)
	}
	return s, nil
}

// A stable value is stored as crc uint32 (over tag, key, version, value), version uint8, value.
const (
	stableVersion   = 1
	stableHeaderLen = 5
)

func stableKey(key []byte) []byte { return append([]byte{tagStable}, key...) }

func encodeStable(key, value []byte) []byte {
	b := make([]byte, stableHeaderLen, stableHeaderLen+len(value))
	b[4] = stableVersion
	b = append(b, value...)
	binary.BigEndian.PutUint32(b, stableValueSum(key, b))
	return b
}

func stableValueSum(key, record []byte) uint32 {
	return crc32.Update(crc32.Checksum(stableKey(key), castagnoli), castagnoli, record[4:])
}

func decodeStable(key, record []byte) ([]byte, error) {
	switch {
	case len(record) < stableHeaderLen:
		return nil, errRecordShort
	case binary.BigEndian.Uint32(record) != stableValueSum(key, record):
		return nil, errRecordSum
	case record[4] != stableVersion:
		return nil, fmt.Errorf("%w: %d", errRecordVersion, record[4])
	}
	return bytes.Clone(record[stableHeaderLen:]), nil
}

// sumStable is independent of map order.
func sumStable(values map[string][]byte) uint32 {
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b []byte
	for _, k := range keys {
		b = binary.BigEndian.AppendUint32(b, uint32(len(k)))
		b = append(b, k...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(values[k])))
		b = append(b, values[k]...)
	}
	return crc32.Checksum(b, castagnoli)
}
