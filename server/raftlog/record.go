package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/hashicorp/raft"
)

// One record is one log entry, big endian:
//
//	 0  crc      uint32  CRC-32C over tag, index (the key without its chunk) and all of the record after this field
//	 4  version  uint8   1
//	 5  type     uint8
//	 6  chunks   uint16  values that hold the record, at least 1
//	 8  index    uint64
//	16  term     uint64
//	24  position uint64  bytes of all records ever written before this one
//	32  prev     uint32  crc of the record before, 0 if there was none
//	36  extLen   uint32
//	40  dataLen  uint32
//	44  seconds  int64   AppendedAt
//	52  nanos    uint32
//	56  extensions, data
const (
	recordVersion   = 1
	recordHeaderLen = 56

	tagEntry  = 'e' // + index uint64 + chunk uint16: a record or a piece of one
	tagState  = 's' // the state record
	tagPurge  = 'p' // in the first version: first index whose keys may still have to be deleted
	tagStable = 'k' // + key: a stable value

	entryKeyLen = 1 + 8 + 2
	crcKeyLen   = 1 + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errRecordShort   = errors.New("record is cut short")
	errRecordLength  = errors.New("record length does not match its header")
	errRecordVersion = errors.New("record version is unknown")
	errRecordSum     = errors.New("record checksum mismatch")
	errRecordIndex   = errors.New("record belongs to another index")
)

func appendEntryKey(dst []byte, index uint64, chunk uint16) []byte {
	dst = append(dst, tagEntry)
	dst = binary.BigEndian.AppendUint64(dst, index)
	return binary.BigEndian.AppendUint16(dst, chunk)
}

func entryKey(index uint64, chunk uint16) []byte {
	return appendEntryKey(make([]byte, 0, entryKeyLen), index, chunk)
}

// parseEntryKey reports false for a key that is no entry's.
func parseEntryKey(key []byte) (index uint64, chunk uint16, ok bool) {
	if len(key) != entryKeyLen || key[0] != tagEntry {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint16(key[9:]), true
}

func recordLen(l *raft.Log) int { return recordHeaderLen + len(l.Extensions) + len(l.Data) }

// appendRecord encodes l after key, which must be the entry's own key and lie in front of the record in dst's array:
// the checksum covers both, and slices of one buffer keep them off the heap.
func appendRecord(dst, key []byte, l *raft.Log, chunks uint16, position uint64, prev uint32) ([]byte, uint32) {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, recordVersion, byte(l.Type))
	dst = binary.BigEndian.AppendUint16(dst, chunks)
	dst = binary.BigEndian.AppendUint64(dst, l.Index)
	dst = binary.BigEndian.AppendUint64(dst, l.Term)
	dst = binary.BigEndian.AppendUint64(dst, position)
	dst = binary.BigEndian.AppendUint32(dst, prev)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(l.Extensions)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(l.Data)))
	dst = binary.BigEndian.AppendUint64(dst, uint64(l.AppendedAt.Unix()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(l.AppendedAt.Nanosecond()))
	dst = append(dst, l.Extensions...)
	dst = append(dst, l.Data...)
	sum := recordSum(key, dst[start:])
	binary.BigEndian.PutUint32(dst[start:], sum)
	return dst, sum
}

func recordSum(key, record []byte) uint32 {
	sum := crc32.Update(0, castagnoli, key[:crcKeyLen])
	return crc32.Update(sum, castagnoli, record[4:])
}

type recordHeader struct {
	sum      uint32
	kind     raft.LogType
	chunks   uint16
	index    uint64
	term     uint64
	position uint64
	prev     uint32
	extLen   uint32
	dataLen  uint32
	seconds  int64
	nanos    uint32
}

// length of the whole record; 64 bits wide so that a lying header cannot wrap it.
func (h *recordHeader) length() uint64 {
	return recordHeaderLen + uint64(h.extLen) + uint64(h.dataLen)
}

func parseRecordHeader(b []byte) (h recordHeader, err error) {
	if len(b) < recordHeaderLen {
		return h, errRecordShort
	}
	if b[4] != recordVersion {
		return h, fmt.Errorf("%w: %d", errRecordVersion, b[4])
	}
	h = recordHeader{
		sum:      binary.BigEndian.Uint32(b),
		kind:     raft.LogType(b[5]),
		chunks:   binary.BigEndian.Uint16(b[6:]),
		index:    binary.BigEndian.Uint64(b[8:]),
		term:     binary.BigEndian.Uint64(b[16:]),
		position: binary.BigEndian.Uint64(b[24:]),
		prev:     binary.BigEndian.Uint32(b[32:]),
		extLen:   binary.BigEndian.Uint32(b[36:]),
		dataLen:  binary.BigEndian.Uint32(b[40:]),
		seconds:  int64(binary.BigEndian.Uint64(b[44:])),
		nanos:    binary.BigEndian.Uint32(b[52:]),
	}
	if h.chunks == 0 || h.length() > MaxRecordBytes+recordHeaderLen {
		return h, errRecordLength
	}
	return h, nil
}

// checkRecord validates a whole record against the key it was read under.
func checkRecord(key, record []byte) (recordHeader, error) {
	h, err := parseRecordHeader(record)
	if err != nil {
		return h, err
	}
	index, _, ok := parseEntryKey(key)
	switch {
	case h.length() != uint64(len(record)):
		return h, errRecordLength
	case recordSum(key, record) != h.sum:
		return h, errRecordSum
	case !ok || h.index != index:
		return h, errRecordIndex
	}
	return h, nil
}

// fillLog copies the record into out with one allocation; the record may be reused afterwards.
func fillLog(h *recordHeader, record []byte, out *raft.Log) {
	*out = raft.Log{
		Index:      h.index,
		Term:       h.term,
		Type:       h.kind,
		AppendedAt: time.Unix(h.seconds, int64(h.nanos)),
	}
	if out.AppendedAt.IsZero() {
		out.AppendedAt = time.Time{}
	}
	body := append([]byte(nil), record[recordHeaderLen:]...)
	if h.extLen > 0 {
		out.Extensions = body[:h.extLen:h.extLen]
	}
	if h.dataLen > 0 {
		out.Data = body[h.extLen:]
	}
}
