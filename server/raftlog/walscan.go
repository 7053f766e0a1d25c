package raftlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/dgraph-io/badger/v4/skl"
	"github.com/dgraph-io/ristretto/v2/z"
)

// Badger's write-ahead file, version 8 of its formats: 20 bytes of header, then entries
//
//	meta uint8, userMeta uint8, key length, value length, expiry as uvarints, key (with 8 bytes of version), value,
//	CRC-32C big endian over all of it
//
// A transaction is entries with the transaction bit followed by one with the final bit; a zeroed entry ends the file.
const (
	walHeaderLen   = 20
	walBitDelete   = 1 << 0
	walBitTxn      = 1 << 6
	walBitFinTxn   = 1 << 7
	walMaxKeyBytes = 1 << 16
	walVersionLen  = 8
	walSumLen      = crc32.Size

	walTornBytes = 64 << 10 // that are looked at behind the last whole transaction

	walNodePadding = 8 // at least what Badger aligns the node of an entry with
)

type walScan struct {
	path     string
	validEnd int64 // Badger keeps what lies before and cuts the rest
	newest   state
	found    bool
	torn     bool  // something lies behind validEnd
	arena    int64 // at most what a memtable needs to take it all
}

func scanWAL(path string) (walScan, error) {
	scan := walScan{path: path, validEnd: walHeaderLen}
	info, err := os.Stat(path)
	if err != nil {
		return scan, fmt.Errorf("raftlog: stat write-ahead file: %w", err)
	}
	if info.Size() <= walHeaderLen {
		return scan, nil
	}
	file, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return scan, fmt.Errorf("raftlog: open write-ahead file: %w", err)
	}
	defer closeMapping(file)
	scan.read(file.Data)
	behind := file.Data[scan.validEnd:]
	scan.torn = len(bytes.Trim(behind[:min(len(behind), walTornBytes)], "\x00")) > 0
	return scan, nil
}

func (w *walScan) read(data []byte) {
	var pending state
	seen := false
	for off := walHeaderLen; ; {
		e, size, ok := nextWALEntry(data[off:])
		if !ok {
			return
		}
		off += size
		w.arena += int64(size + skl.MaxNodeSize + walNodePadding)
		if e.meta&walBitFinTxn == 0 {
			if s, ok := e.state(); ok {
				pending, seen = s, true
			}
			if e.meta&walBitTxn != 0 {
				continue
			}
		}
		w.validEnd = int64(off)
		if seen && (!w.found || pending.seq > w.newest.seq) {
			w.newest, w.found = pending, true
		}
		seen = false
	}
}

type walEntry struct {
	meta       byte
	key, value []byte
}

// nextWALEntry reads the entry that b begins with, unless its checksum is wrong.
func nextWALEntry(b []byte) (e walEntry, size int, ok bool) {
	e, size, ok = parseWALEntry(b)
	if !ok || crc32.Checksum(b[:size-walSumLen], castagnoli) != binary.BigEndian.Uint32(b[size-walSumLen:]) {
		return walEntry{}, 0, false
	}
	return e, size, true
}

// parseWALEntry takes the entry that b begins with apart, and looks at no checksum.
func parseWALEntry(b []byte) (e walEntry, size int, ok bool) {
	if len(b) < 2 {
		return e, 0, false
	}
	off := 2
	var fields [3]uint64
	for i := range fields {
		v, n := binary.Uvarint(b[off:])
		if n <= 0 {
			return e, 0, false
		}
		fields[i] = v
		off += n
	}
	keyLen, valueLen := fields[0], fields[1]
	if keyLen == 0 || keyLen > walMaxKeyBytes || valueLen > uint64(len(b)) ||
		uint64(off)+keyLen+valueLen+walSumLen > uint64(len(b)) {
		return e, 0, false
	}
	end := off + int(keyLen+valueLen)
	e = walEntry{meta: b[0], key: b[off : off+int(keyLen)], value: b[off+int(keyLen) : end]}
	return e, end + walSumLen, true
}

func (e walEntry) state() (state, bool) {
	if len(e.key) != 1+walVersionLen || e.key[0] != tagState {
		return state{}, false
	}
	s, err := decodeState(e.value)
	return s, err == nil
}

// entryKey reports false for a write to anything but a piece of an entry.
func (e walEntry) entryKey() (index uint64, chunk uint16, ok bool) {
	if len(e.key) < walVersionLen || e.meta&walBitFinTxn != 0 {
		return 0, 0, false
	}
	return parseEntryKey(e.key[:len(e.key)-walVersionLen])
}
