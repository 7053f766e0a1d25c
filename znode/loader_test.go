package znode

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sampleRecords has one of each kind.
func sampleRecords(tb testing.TB) []Record {
	tree := plantTree(tb, "/p", "/p/c", "/p/d", "/p/d/x")
	create(tb, tree, 5, user, &CreateOp{Path: "/e", Kind: Ephemeral, Data: []byte("e")})
	create(tb, tree, 6, user, &CreateOp{Path: "/t", Kind: TTL, TTLMs: 5})
	create(tb, tree, 7, user, &CreateOp{Path: "/box", Kind: Container})
	create(tb, tree, 8, user, &CreateOp{Path: "/box/x", ACL: CreatorACL})
	_, err := do(tree, 9, func() error { return tree.Delete(user, "/box/x", -1) })
	require.NoError(tb, err)
	return slices.Collect(tree.Freeze().All())
}

func load(records []Record) (*Tree, error) {
	return loadInRuns(records, len(records))
}

// loadInRuns has so many records in each Run.
func loadInRuns(records []Record, size int) (*Tree, error) {
	l := NewLoader()
	var run Run
	for part := range slices.Chunk(records, max(size, 1)) {
		run.Begin(l)
		for i := range part {
			if err := run.Add(&part[i]); err != nil {
				return nil, err
			}
		}
		if _, err := l.Attach(&run); err != nil {
			return nil, err
		}
	}
	return l.Tree()
}

func TestLoaderTakesWhatAFrozenTreeGives(t *testing.T) {
	records := sampleRecords(t)
	tree, err := load(records)
	require.NoError(t, err)
	require.Equal(t, records, slices.Collect(tree.Freeze().All()))
	mortals, _ := tree.Mortals("", 10)
	require.Equal(t, []Mortal{{Path: "/box", Kind: Container, Mzxid: 7, Pzxid: 9}, {Path: "/t", Kind: TTL, TTLMs: 5, Mzxid: 6, Pzxid: 6}}, mortals)
	require.Equal(t, 1, tree.NumEphemerals(user.Session))
}

func TestLoaderRefusesWhatNoTransactionMakes(t *testing.T) {
	for name, spoil := range map[string]func(*Record){
		"bad path":                     func(r *Record) { r.Path = "/p/" },
		"no parent":                    func(r *Record) { r.Path = "/q/d" },
		"twice":                        func(r *Record) { r.Path = "/p/c" },
		"parent without children":      func(r *Record) { r.Path = "/p/c/d" },
		"parent ephemeral":             func(r *Record) { r.Path = "/e/d" },
		"no ACL":                       func(r *Record) { r.ACL = nil },
		"auth in the ACL":              func(r *Record) { r.ACL = CreatorACL },
		"duplicates in the ACL":        func(r *Record) { r.ACL = append(OpenACL, OpenACL...) },
		"unknown kind":                 func(r *Record) { r.Stat.Kind = 9 },
		"owner of a persistent node":   func(r *Record) { r.Stat.Owner = 1 },
		"ephemeral without owner":      func(r *Record) { r.Stat.Kind = Ephemeral },
		"ephemeral with children":      func(r *Record) { r.Stat.Kind, r.Stat.Owner = Ephemeral, 1 },
		"TTL of a persistent node":     func(r *Record) { r.Stat.TTLMs = 1 },
		"TTL of nothing":               func(r *Record) { r.Stat.Kind = TTL },
		"TTL too long":                 func(r *Record) { r.Stat.Kind, r.Stat.TTLMs = TTL, 1<<40 },
		"data length":                  func(r *Record) { r.Data = []byte("x") },
		"mzxid before czxid":           func(r *Record) { r.Stat.Mzxid = r.Stat.Czxid - 1 },
		"pzxid before czxid":           func(r *Record) { r.Stat.Pzxid = r.Stat.Czxid - 1 },
		"negative version":             func(r *Record) { r.Stat.Version = -1 },
		"negative aversion":            func(r *Record) { r.Stat.Aversion = -1 },
		"negative children":            func(r *Record) { r.Stat.NumChildren, r.Stat.Cversion = -1, 3 },
		"sequence below children":      func(r *Record) { r.Sequence, r.Stat.Cversion = 0, -1 },
		"sequence used up":             func(r *Record) { r.Sequence = 1 << 63 },
		"cversion":                     func(r *Record) { r.Stat.Cversion++ },
		"more children than in stat":   func(r *Record) { r.Stat.NumChildren, r.Stat.Cversion = 0, 2 },
		"fewer children than in stat":  func(r *Record) { r.Sequence, r.Stat.NumChildren, r.Stat.Cversion = 2, 2, 2 },
		"pzxid of children never made": func(r *Record) { r.Sequence, r.Stat.NumChildren, r.Stat.Cversion, r.Stat.Pzxid = 0, 0, 0, 99 },
	} {
		t.Run(name, func(t *testing.T) {
			records := sampleRecords(t)
			i := slices.IndexFunc(records, func(r Record) bool { return r.Path == "/p/d" })
			spoil(&records[i])
			for size := range records { // whichever of them find it
				_, err := loadInRuns(records, size)
				require.Error(t, err)
			}
		})
	}
	t.Run("ephemeral that had children", func(t *testing.T) {
		records := sampleRecords(t)
		i := slices.IndexFunc(records, func(r Record) bool { return r.Path == "/e" })
		records[i].Sequence, records[i].Stat.Cversion = 1, 2
		_, err := load(records)
		require.ErrorIs(t, err, ErrInconsistent)
	})
	for _, path := range []string{"/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"} {
		t.Run("without "+path, func(t *testing.T) {
			records := slices.DeleteFunc(sampleRecords(t), func(r Record) bool { return r.Path == path })
			for size := range records {
				_, err := loadInRuns(records, size)
				require.ErrorIs(t, err, ErrInconsistent)
			}
		})
	}
	_, err := load(nil)
	require.ErrorIs(t, err, ErrInconsistent)
	_, err = load(append(sampleRecords(t), sampleRecords(t)[0]))
	require.ErrorIs(t, err, ErrNodeExists, "a second root")
}

func TestLoaderTakesRunsOfAnySize(t *testing.T) {
	records := sampleRecords(t)
	for size := range records {
		tree, err := loadInRuns(records, size)
		require.NoError(t, err)
		requireSound(t, tree)
		require.Equal(t, records, slices.Collect(tree.Freeze().All()))
	}
}

func TestLoaderTakesNoOtherOrder(t *testing.T) {
	right := sampleRecords(t)
	for i := range right {
		for j := range i {
			records := slices.Clone(right)
			records[i], records[j] = records[j], records[i]
			for size := range records {
				_, err := loadInRuns(records, size)
				require.ErrorIs(t, err, ErrInconsistent)
			}
		}
	}
}

// Runs are made beside each other, and the tree is the one of all in a row.
func TestRunsAreFilledBesideEachOther(t *testing.T) {
	tree := New()
	for _, parent := range []string{"/a", "/b", "/b/c"} {
		create(t, tree, 1, user, &CreateOp{Path: parent})
		for i := range 300 {
			acl := ACL{{Perms: 1, Scheme: SchemeDigest, ID: fmt.Sprintf("u%d:x", i%50)}}
			create(t, tree, 2, user, &CreateOp{Path: fmt.Sprintf("%s/%03d", parent, i), ACL: acl})
		}
	}
	records := slices.Collect(tree.Freeze().All())
	l := NewLoader()
	runs := make([]Run, 20)
	var filled sync.WaitGroup
	for i, part := range slices.Collect(slices.Chunk(records, len(records)/19)) {
		runs[i].Begin(l)
		filled.Go(func() {
			for at := range part {
				assert.NoError(t, runs[i].Add(&part[at]))
			}
		})
	}
	filled.Wait()
	for i := range runs {
		_, err := l.Attach(&runs[i])
		require.NoError(t, err)
	}
	loaded, err := l.Tree()
	require.NoError(t, err)
	require.Equal(t, tree.Digest(), loaded.Digest())
	require.Equal(t, tree.acls.holders(), loaded.acls.holders())
	requireSound(t, loaded)
}

func TestLoaderNamesTheRecordThatItCannotAttach(t *testing.T) {
	records := sampleRecords(t)
	l := NewLoader()
	var run Run
	run.Begin(l)
	for i := range records {
		require.NoError(t, run.Add(&records[i]))
	}
	_, err := l.Attach(&run)
	require.NoError(t, err)
	run.Begin(l)
	last := records[len(records)-1]
	for _, path := range []string{"/zookeeper/r", "/zookeeper/r", "/y"} {
		last.Path = path
		require.NoError(t, run.Add(&last))
	}
	at, err := l.Attach(&run)
	require.Equal(t, 1, at)
	require.ErrorIs(t, err, ErrInconsistent)
	require.ErrorContains(t, err, `record "/zookeeper/r"`)
	_, again := l.Tree()
	require.Equal(t, err, again)
}

func TestLoaderIsDoneAfterATree(t *testing.T) {
	l := NewLoader()
	var run Run
	run.Begin(l)
	for _, r := range sampleRecords(t) {
		require.NoError(t, run.Add(&r))
	}
	_, err := l.Attach(&run)
	require.NoError(t, err)
	_, err = l.Tree()
	require.NoError(t, err)
	_, err = l.Attach(&run)
	require.ErrorIs(t, err, errLoaderUsed)
	_, err = l.Tree()
	require.ErrorIs(t, err, errLoaderUsed)
}
