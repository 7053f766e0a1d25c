package replicate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/state"
)

// vault is a snapshot store in memory with the rules of the real one: what is
// listed was verified, and the newest two are kept.
type vault struct {
	mu    sync.Mutex // guards what follows
	made  int
	files []*file // newest last
}

type file struct {
	v    *vault
	meta raft.SnapshotMeta
	bytes.Buffer
}

var errSpoiled = errors.New("a damaged snapshot")

func (v *vault) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, at uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.made++
	return &file{v: v, meta: raft.SnapshotMeta{
		Version: version, ID: fmt.Sprint("snapshot-", v.made), Index: index, Term: term, Configuration: c, ConfigurationIndex: at,
	}}, nil
}

func (f *file) ID() string    { return f.meta.ID }
func (f *file) Cancel() error { return nil }

func (f *file) Close() error {
	if _, err := state.VerifyImage(bytes.NewReader(f.Bytes())); err != nil {
		return err
	}
	f.meta.Size = int64(f.Len())
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	f.v.files = append(f.v.files, f)
	slices.SortStableFunc(f.v.files, func(a, b *file) int { return int(a.meta.Index) - int(b.meta.Index) })
	f.v.files = f.v.files[max(0, len(f.v.files)-2):]
	return nil
}

func (v *vault) List() ([]*raft.SnapshotMeta, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []*raft.SnapshotMeta
	for _, f := range slices.Backward(v.files) {
		meta := f.meta
		all = append(all, &meta)
	}
	return all, nil
}

func (v *vault) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range v.files {
		if f.meta.ID == id {
			if f.meta.Size != int64(f.Len()) {
				return nil, nil, errSpoiled
			}
			meta := f.meta
			return &meta, io.NopCloser(bytes.NewReader(f.Bytes())), nil
		}
	}
	return nil, nil, fmt.Errorf("no snapshot %q", id)
}

// spoil damages every snapshot.
func (v *vault) spoil() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range v.files {
		f.Truncate(f.Len() / 2)
	}
}
