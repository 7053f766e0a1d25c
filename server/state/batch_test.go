package state

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// sampleTxns has one of each kind, with every field that travels.
func sampleTxns() []Txn {
	hash := [32]byte{0xaa, 31: 0xbb}
	return []Txn{
		{Kind: TxnOpen, Origin: 1 << 63, Ticket: 5, PasswordHash: hash, TimeoutMs: 10_000, MaxEphemerals: 300},
		{Kind: TxnAttach, Origin: 77, Ticket: 6, Session: 4096, PasswordHash: hash, Attempt: 3, TimeoutMs: 2000, Ack: 9},
		{
			Kind: TxnWrite, Session: 4096, Generation: 2, Seq: 1, Xid: 12, Ack: 9, Op: protocol.OpCreate,
			IDs:  protocol.AppendIdentities(nil, []znode.Identity{near, alice}),
			Body: protocol.AppendCreate(nil, &znode.CreateOp{Path: "/a", Data: []byte("data"), ACL: open, Sequential: true}),
		},
		{Kind: TxnWrite, Session: 4096, Generation: 2, Seq: 2, Op: protocol.OpCloseSession, IDs: plainIDs, Body: protocol.AppendCloseSession(nil)},
		{Kind: TxnExpire, Session: 4096, Generation: 2, Cause: "no word for 10 s"},
		{Kind: TxnReap, Path: "/container", Mzxid: 1000, Pzxid: 1001},
		{Kind: TxnNoop, Origin: 77, Ticket: 8},
		{Kind: TxnConfig, Members: "server.1=a:2888:2888:participant;a:2181\n"},
	}
}

func sampleBatch() []byte {
	b := AppendBatchHeader(nil, 0)
	for _, txn := range sampleTxns() {
		b = AppendTxn(b, &txn)
	}
	StampBatch(b, 1_700_000_000_123)
	return b
}

func TestABatchGivesBackWhatWasAppended(t *testing.T) {
	b, err := DecodeBatch(sampleBatch())
	require.NoError(t, err)
	require.Equal(t, int64(1_700_000_000_123), b.StampMs())
	var got Txn
	for _, want := range sampleTxns() {
		more, err := b.Next(&got)
		require.NoError(t, err)
		require.True(t, more)
		require.Equal(t, want.Kind, got.Kind)
		require.Equal(t, AppendTxn(nil, &want), AppendTxn(nil, &got))
	}
	more, err := b.Next(&got)
	require.NoError(t, err)
	require.False(t, more)
}

func TestAnEmptyBatchHasNothing(t *testing.T) {
	b, err := DecodeBatch(AppendBatchHeader(nil, -5))
	require.NoError(t, err)
	more, err := b.Next(&Txn{})
	require.NoError(t, err)
	require.Equal(t, []any{int64(-5), false}, []any{b.StampMs(), more})
	require.Len(t, AppendBatchHeader(nil, 0), BatchHeaderLen)
}

func TestDecodingABatchOfWritesAllocatesNothing(t *testing.T) {
	writes := sampleTxns()[2]
	entry := AppendBatchHeader(nil, 1)
	for range 100 {
		entry = AppendTxn(entry, &writes)
	}
	var txn Txn
	require.Zero(t, testing.AllocsPerRun(10, func() {
		b, _ := DecodeBatch(entry)
		for {
			if more, _ := b.Next(&txn); !more {
				return
			}
		}
	}))
}

func TestAnEnvelopeIsRefusedAsAWholeBeforeAnyOfItRuns(t *testing.T) {
	whole := sampleBatch()
	reap := AppendTxn(AppendBatchHeader(nil, 0), &Txn{Kind: TxnReap, Path: "/p"})
	for _, c := range []struct {
		name  string
		entry []byte
		err   error
	}{
		{"an empty entry", nil, ErrCorrupt},
		{"a header cut short", whole[:BatchHeaderLen-1], ErrCorrupt},
		{"a later version", append([]byte{2}, whole[1:]...), ErrUnknownFormat},
		{"kind 0", append(whole[:len(whole):len(whole)], 0), ErrUnknownFormat},
		{"a later kind at the end", append(whole[:len(whole):len(whole)], byte(TxnConfig)+1), ErrUnknownFormat},
		{"a kind alone", append(whole[:len(whole):len(whole)], byte(TxnNoop)), ErrCorrupt},
		{"a read as a write", AppendTxn(AppendBatchHeader(nil, 0), &Txn{Kind: TxnWrite, Op: protocol.OpGet}), ErrUnknownFormat},
		{"a length beyond the end", append(reap[:len(reap)-3:len(reap)-3], 0x7f, '/', 'p'), ErrCorrupt},
		{"a length near the end of numbers", append(reap[:len(reap)-3:len(reap)-3], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), ErrCorrupt},
		{"a number of eleven bytes", append(AppendBatchHeader(nil, 0), 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), ErrCorrupt},
		{"a padded number", append(AppendBatchHeader(nil, 0), byte(TxnNoop), 0x80, 0x00, 0, 0, 0), ErrCorrupt},
	} {
		_, err := DecodeBatch(c.entry)
		require.ErrorIs(t, err, c.err, c.name)
		other := ErrUnknownFormat
		if c.err == ErrUnknownFormat {
			other = ErrCorrupt
		}
		require.NotErrorIs(t, err, other, c.name)
	}
}

// Cut at any byte but between transactions, an entry is refused.
func TestATruncatedBatchIsCorrupt(t *testing.T) {
	whole := sampleBatch()
	borders := map[int]bool{BatchHeaderLen: true}
	at := BatchHeaderLen
	for _, txn := range sampleTxns() {
		at += len(AppendTxn(nil, &txn))
		borders[at] = true
	}
	for n := range whole {
		_, err := DecodeBatch(whole[:n])
		if borders[n] {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, ErrCorrupt, "%d bytes", n)
	}
}

// The golden files are the format: a program of another day must read what
// this one wrote. A difference is a new version.
func TestGoldenBatch(t *testing.T) {
	var text strings.Builder
	whole := sampleBatch()
	fmt.Fprintf(&text, "# header: version, stamp 1700000000123 ms\n%x %x\n", whole[:1], whole[1:BatchHeaderLen])
	names := [...]string{TxnWrite: "write", TxnOpen: "open", TxnAttach: "attach", TxnExpire: "expire", TxnReap: "reap", TxnNoop: "noop", TxnConfig: "config"}
	for _, txn := range sampleTxns() {
		fmt.Fprintf(&text, "\n# %s: %s\n%x\n", names[txn.Kind], describe(&txn), AppendTxn(nil, &txn))
	}
	golden(t, "batch.txt", text.String())

	stored := hexOf(t, "batch.txt")
	require.Equal(t, whole, stored)
	_, err := DecodeBatch(stored)
	require.NoError(t, err)
}

func describe(t *Txn) string {
	if t.Kind == TxnConfig {
		return fmt.Sprintf("members %q", t.Members)
	}
	s := fmt.Sprintf("origin %d ticket %d session %d generation %d", t.Origin, t.Ticket, t.Session, t.Generation)
	switch t.Kind {
	case TxnWrite:
		s += fmt.Sprintf(" op %v seq %d xid %d ack %d ids of %d bytes body of %d bytes", t.Op, t.Seq, t.Xid, t.Ack, len(t.IDs), len(t.Body))
	case TxnOpen:
		s += fmt.Sprintf(" hash aa..bb timeout %d max ephemerals %d", t.TimeoutMs, t.MaxEphemerals)
	case TxnAttach:
		s += fmt.Sprintf(" hash aa..bb attempt %d timeout %d ack %d", t.Attempt, t.TimeoutMs, t.Ack)
	case TxnExpire:
		s += fmt.Sprintf(" cause %q", t.Cause)
	case TxnReap:
		s += fmt.Sprintf(" mzxid %d pzxid %d path %s", t.Mzxid, t.Pzxid, t.Path)
	}
	return s
}

func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	stored, err := os.ReadFile(path)
	require.NoError(t, err, "go test -run Golden -rewrite makes it")
	require.Equal(t, string(stored), text)
}

// hexOf joins the lines of a golden file that are no comments.
func hexOf(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	var all []byte
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		part, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "").Replace(line))
		require.NoError(t, err)
		all = append(all, part...)
	}
	return all
}
