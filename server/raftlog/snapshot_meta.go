package raftlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
)

// The meta file is one line, "lycaon-snapshot VERSION CRC", then JSON. The checksum covers the JSON. It is written
// once per snapshot, so that a person can read it counts for more than its size.
const (
	snapshotFormatName    = "lycaon-snapshot"
	snapshotFormatVersion = 1
)

type snapshotMeta struct {
	raft.SnapshotMeta
	// StateSum is the CRC-32C over the whole state file.
	StateSum uint32
}

func encodeSnapshotMeta(m *snapshotMeta) ([]byte, error) {
	body, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	body = append(body, '\n')
	head := fmt.Sprintf("%s %d %08x\n", snapshotFormatName, snapshotFormatVersion, crc32.Checksum(body, castagnoli))
	return append([]byte(head), body...), nil
}

func decodeSnapshotMeta(b []byte) (*snapshotMeta, error) {
	head, body, ok := bytes.Cut(b, []byte("\n"))
	var version int
	var sum uint32
	var name string
	if _, err := fmt.Sscanf(string(head), "%s %d %08x", &name, &version, &sum); !ok || err != nil || name != snapshotFormatName {
		return nil, errors.New("not the meta of a snapshot")
	}
	if version > snapshotFormatVersion {
		return nil, fmt.Errorf("%w: snapshot version %d, this program knows %d", ErrNewerFormat, version, snapshotFormatVersion)
	}
	if version != snapshotFormatVersion || crc32.Checksum(body, castagnoli) != sum {
		return nil, errors.New("meta checksum mismatch")
	}
	m := new(snapshotMeta)
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("meta: %w", err)
	}
	if n, ok := parseSnapshotName(m.ID); !ok || n.index != m.Index || n.term != m.Term || m.Size < 0 {
		return nil, errors.New("meta contradicts itself")
	}
	return m, nil
}

func readSnapshotMeta(dir string) (*snapshotMeta, error) {
	path := filepath.Join(dir, metaFile)
	file, err := os.Open(path)
	if err != nil {
		return nil, corruptSnapshot(path, "%w", err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxSnapshotMetaLen))
	if err != nil {
		return nil, fmt.Errorf("raftlog: read snapshot meta: %w", err)
	}
	m, err := decodeSnapshotMeta(b)
	if errors.Is(err, ErrNewerFormat) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err == nil && m.ID != filepath.Base(dir) {
		err = fmt.Errorf("it belongs to snapshot %s", m.ID)
	}
	if err != nil {
		return nil, corruptSnapshot(path, "%w", err)
	}
	return m, nil
}

// stateReader checks size and checksum by the time it reports io.EOF.
type stateReader struct {
	file *os.File
	meta *snapshotMeta
	sum  hash.Hash32
	read int64

	pace  func() error // may be nil
	ended error        // of pace

	ending func() // called by the first Close; may be nil
}

func openState(dir string, m *snapshotMeta) (*stateReader, error) {
	path := filepath.Join(dir, stateFile)
	file, err := os.Open(path)
	if err != nil {
		return nil, corruptSnapshot(path, "%w", err)
	}
	info, err := file.Stat()
	if err == nil && info.Size() != m.Size {
		err = fmt.Errorf("it has %d bytes instead of %d", info.Size(), m.Size)
	}
	if err != nil {
		_ = file.Close()
		return nil, corruptSnapshot(path, "%w", err)
	}
	return &stateReader{file: file, meta: m, sum: crc32.New(castagnoli)}, nil
}

func (r *stateReader) Read(p []byte) (int, error) {
	if r.pace != nil {
		if r.ended = r.pace(); r.ended != nil {
			return 0, r.ended
		}
	}
	n, err := r.file.Read(p)
	r.sum.Write(p[:n])
	r.read += int64(n)
	if err == io.EOF && (r.read != r.meta.Size || r.sum.Sum32() != r.meta.StateSum) {
		err = corruptSnapshot(r.file.Name(), "checksum %08x over %d bytes instead of %08x over %d",
			r.sum.Sum32(), r.read, r.meta.StateSum, r.meta.Size)
	}
	return n, err
}

func (r *stateReader) Close() error {
	if ending := r.ending; ending != nil {
		r.ending = nil
		defer ending()
	}
	return r.file.Close()
}
