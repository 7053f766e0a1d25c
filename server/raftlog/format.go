package raftlog

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The FORMAT file is one line: "lycaon-raftlog VERSION PHASE STOREID CRC". It is written first with phase "creating"
// and again with "ready" once store and guard exist. So a crash during creation is told from a store that lost its
// parts: the first may be started over, since it never served a call, the second must not.
const (
	formatFile    = "FORMAT"
	formatName    = "lycaon-raftlog"
	formatVersion = 2
	// In version 1 the whole log lies in generation 0.
	formatVersionFirst = 1

	phaseCreating = "creating"
	phaseReady    = "ready"

	ballastFile = "ballast"
)

type format struct {
	version int
	phase   string
	id      storeID
}

func newStoreID() (id storeID) {
	rand.Read(id[:]) // never fails
	return id
}

func (f format) encode() []byte {
	line := fmt.Sprintf("%s %d %s %x", formatName, f.version, f.phase, f.id)
	return fmt.Appendf(nil, "%s %08x\n", line, crc32.Checksum([]byte(line), castagnoli))
}

func decodeFormat(b []byte) (f format, err error) {
	fields := strings.Fields(string(b))
	if len(fields) < 2 || fields[0] != formatName {
		return f, errors.New("not a format file of a raft log")
	}
	version, err := strconv.Atoi(fields[1])
	if err != nil {
		return f, fmt.Errorf("format version %q is no number", fields[1])
	}
	if version > formatVersion {
		return f, fmt.Errorf("%w: version %d, this program knows %d", ErrNewerFormat, version, formatVersion)
	}
	f.version = version
	if len(fields) != 5 || version < formatVersionFirst {
		return f, fmt.Errorf("format file is malformed: %q", b)
	}
	id, err := hex.DecodeString(fields[3])
	if err != nil || len(id) != len(f.id) {
		return f, fmt.Errorf("format file has a malformed store id: %q", b)
	}
	f.phase = fields[2]
	copy(f.id[:], id)
	if string(f.encode()) != string(b) || (f.phase != phaseCreating && f.phase != phaseReady) {
		return f, fmt.Errorf("format file checksum mismatch: %q", b)
	}
	return f, nil
}

// Exists tells whether a store was ever begun in dir.
func Exists(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, formatFile))
	return err == nil
}

// readFormat reports found = false only for a directory that holds nothing of a store.
func readFormat(dir string) (f format, found bool, err error) {
	path := filepath.Join(dir, formatFile)
	b, err := os.ReadFile(path)
	if err == nil {
		f, err = decodeFormat(b)
		switch {
		case errors.Is(err, ErrNewerFormat):
			return f, true, fmt.Errorf("%s: %w", path, err)
		case err != nil:
			return f, true, corrupt(path, "%v", err)
		}
		return f, true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return f, false, fmt.Errorf("raftlog: read format: %w", err)
	}
	numbers, err := generationNumbers(dir)
	if err != nil {
		return f, false, err
	}
	if len(numbers) > 0 {
		return f, false, corrupt(path, "the format file is missing, but %s exists", generationPath(dir, numbers[0]))
	}
	if _, err := os.Lstat(filepath.Join(dir, guardFile)); err == nil {
		return f, false, corrupt(path, "the format file is missing, but %s exists", guardFile)
	}
	return f, false, nil
}

func writeFormat(dir string, f format) error {
	if err := writeFileDurably(dir, formatFile, f.encode()); err != nil {
		return fmt.Errorf("raftlog: write format: %w", err)
	}
	return nil
}

// writeFileDurably replaces a small file so that a crash leaves the old or the new one.
func writeFileDurably(dir, name string, b []byte) error {
	tmp := filepath.Join(dir, name+".tmp")
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	err = errors.Join(err, file.Chmod(0o600), file.Sync(), file.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir creates dir for this user alone, whatever the umask and whatever it was before.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("raftlog: create directory: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("raftlog: restrict directory: %w", err)
	}
	probe, err := os.CreateTemp(dir, "probe-*.tmp")
	if err != nil {
		return fmt.Errorf("raftlog: directory %s is not writable: %w", dir, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// restrictFiles undoes the umask for the files Badger created. The directory's own mode protects them until then.
func restrictFiles(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm() != 0o600 {
			err = os.Chmod(filepath.Join(dir, e.Name()), 0o600)
		}
		// Badger deletes files at any time.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
