package differential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// opcode is a request's type as it stands on the wire.
type opcode int32

const (
	opCreate          opcode = 1
	opDelete          opcode = 2
	opExists          opcode = 3
	opGetData         opcode = 4
	opSetData         opcode = 5
	opGetACL          opcode = 6
	opSetACL          opcode = 7
	opGetChildren     opcode = 8
	opSync            opcode = 9
	opPing            opcode = 11
	opGetChildren2    opcode = 12
	opCheck           opcode = 13
	opMulti           opcode = 14
	opCreate2         opcode = 15
	opReconfig        opcode = 16
	opCheckWatches    opcode = 17
	opRemoveWatches   opcode = 18
	opCreateContainer opcode = 19
	opDeleteContainer opcode = 20
	opCreateTTL       opcode = 21
	opMultiRead       opcode = 22
	opAuth            opcode = 100
	opSetWatches      opcode = 101
	opGetEphemerals   opcode = 103
	opCountBelow      opcode = 104 // getAllChildrenNumber
	opSetWatches2     opcode = 105
	opAddWatch        opcode = 106
	opWhoAmI          opcode = 107
	opCreateSession   opcode = -10
	opCloseSession    opcode = -11
)

var opNames = map[opcode]string{
	opCreate: "create", opDelete: "delete", opExists: "exists", opGetData: "getData", opSetData: "setData",
	opGetACL: "getACL", opSetACL: "setACL", opGetChildren: "getChildren", opSync: "sync", opPing: "ping",
	opGetChildren2: "getChildren2", opCheck: "check", opMulti: "multi", opCreate2: "create2", opReconfig: "reconfig",
	opCheckWatches: "checkWatches", opRemoveWatches: "removeWatches", opCreateContainer: "createContainer",
	opDeleteContainer: "deleteContainer", opCreateTTL: "createTTL", opMultiRead: "multiRead", opAuth: "auth",
	opSetWatches: "setWatches", opGetEphemerals: "getEphemerals", opCountBelow: "getAllChildrenNumber",
	opSetWatches2: "setWatches2", opAddWatch: "addWatch", opWhoAmI: "whoAmI", opCloseSession: "closeSession",
	opCreateSession: "createSession",
}

func (c opcode) known() bool { return opNames[c] != "" }

func (c opcode) String() string {
	if name := opNames[c]; name != "" {
		return name
	}
	return fmt.Sprintf("opcode(%d)", int32(c))
}

// MarshalText and UnmarshalText let scripts name what is known by name.
func (c opcode) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

func (c *opcode) UnmarshalText(text []byte) error {
	for code, name := range opNames {
		if name == string(text) {
			*c = code
			return nil
		}
	}
	if _, err := fmt.Sscanf(string(text), "opcode(%d)", (*int32)(c)); err != nil {
		return fmt.Errorf("opcode %q: %w", text, err)
	}
	return nil
}

func (c opcode) creates() bool {
	return c == opCreate || c == opCreate2 || c == opCreateContainer || c == opCreateTTL
}

// changes says whether a success is a transaction of the tree.
func (c opcode) changes() bool {
	return c.creates() || c == opDelete || c == opSetData || c == opSetACL || c == opCloseSession || c == opDeleteContainer
}

// Errors on the wire.
const (
	errMarshalling   = -5
	errUnimplemented = -6
	errBadArgs       = -8
	errNoNode        = -101
	errNoAuth        = -102
	errInvalidACL    = -114
	errNoWatcher     = -121
	errReconfig      = -123 // disabled
	errQuota         = -125
)

// Limits of Lycaon, where ZooKeeper has none.
const (
	maxPath    = 1024
	maxNames   = 128
	maxEntries = 64
)

func renews(o *op) bool { return o.Op == opSetWatches || o.Op == opSetWatches2 }

// Create flags on the wire.
const (
	flagEphemeral     = 1
	flagSequential    = 2
	flagContainer     = 4
	flagTTL           = 5
	flagTTLSequential = 6
)

// aclEntry is written as `31 world:anyone`.
type aclEntry struct {
	Perms      int32
	Scheme, ID string
}

func (e aclEntry) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d %s:%s", e.Perms, e.Scheme, e.ID), nil
}

func (e *aclEntry) UnmarshalText(text []byte) error {
	perms, who, spaced := strings.Cut(string(text), " ")
	scheme, id, colon := strings.Cut(who, ":")
	n, err := strconv.ParseInt(perms, 10, 32)
	if err != nil || !spaced || !colon {
		return fmt.Errorf("%q is not perms scheme:id", text)
	}
	*e = aclEntry{int32(n), scheme, id}
	return nil
}

// blob is data, written as unit*count where it is that often a short unit.
type blob []byte

const longestUnit = 10

func (b blob) MarshalText() ([]byte, error) {
	for unit := 1; unit <= longestUnit; unit++ {
		if n := len(b) / unit; n > 2 && bytes.Equal(bytes.Repeat(b[:unit], n), b) {
			return fmt.Appendf(nil, "%s*%d", b[:unit], n), nil
		}
	}
	return b, nil
}

func (b *blob) UnmarshalText(text []byte) error {
	unit, times, repeated := bytes.Cut(text, []byte("*"))
	if !repeated {
		*b = append(blob{}, text...)
		return nil
	}
	n, err := strconv.Atoi(string(times))
	if err != nil || n < 0 || n*len(unit) > maxBlob {
		return fmt.Errorf("data %.40q: want unit*count", text)
	}
	*b = bytes.Repeat(unit, n)
	return nil
}

const maxBlob = 4 << 20

// op is one request. Paths begin with $ where the root of the episode goes, so
// that a script runs anywhere. Nil and empty of Data and ACL differ, as they do
// on the wire.
type op struct {
	Op      opcode     `json:"op"`
	Path    string     `json:"path,omitempty"`
	Data    blob       `json:"data,omitzero"`
	ACL     []aclEntry `json:"acl,omitzero"`
	Flags   int32      `json:"flags,omitempty"`
	TTL     int64      `json:"ttl,omitempty"`
	Version int32      `json:"version,omitempty"`
	Watch   bool       `json:"watch,omitempty"`
	Mode    int32      `json:"mode,omitempty"`   // of addWatch, or a watcherType
	Since   int        `json:"since,omitempty"`  // of setWatches: how many requests ago, or sinceNewest
	Lists   [][]string `json:"lists,omitempty"`  // of setWatches
	Scheme  string     `json:"scheme,omitempty"` // of auth
	Ops     []*op      `json:"ops,omitempty"`    // of multi and multiRead
	Cut     int        `json:"cut,omitempty"`    // so many bytes of the body are missing at its end
	Bad     bool       `json:"bad,omitempty"`    // a byte that is no UTF-8 follows the path
}

// sinceNewest stands for the newest zxid of a reply that the client has heard.
const sinceNewest = -1

// changes says whether a success is a transaction of the tree.
func (o *op) changes() bool {
	if o.Op != opMulti {
		return o.Op.changes()
	}
	return slices.ContainsFunc(o.Ops, func(sub *op) bool { return sub.Op.changes() })
}

// Kinds of steps.
const (
	stepOpen   = "open"   // a new session
	stepAttach = "attach" // the session of the slot again, over a new connection
	stepDrop   = "drop"   // the connection breaks
	stepSend   = "send"   // requests at once, then their replies
	stepAwait  = "await"  // one request again and again until it says NoNode
)

// Ways to attach wrongly, and the short hello of some clients.
const (
	wrongPassword = "password"
	aheadOfServer = "ahead"
	shortHello    = "short"
)

// step is what one slot does while all others wait. A slot stands for a client:
// it has one session and one connection at a time.
type step struct {
	Slot int    `json:"slot"`
	Kind string `json:"kind"`
	How  string `json:"how,omitempty"` // of open and attach
	Ask  int32  `json:"ask,omitempty"` // of open and attach: timeout in ms, if not timeoutMs
	Ops  []*op  `json:"ops,omitempty"`
}

// script is what one episode asks.
type script []step

func (s script) count() (n int) {
	for i := range s {
		n += max(1, len(s[i].Ops))
	}
	return n
}

// text writes a script one step a line.
func (s script) text() string {
	var b strings.Builder
	for i := range s {
		raw, err := json.Marshal(s[i])
		if err != nil {
			return err.Error()
		}
		b.Write(raw)
		b.WriteByte('\n')
	}
	return b.String()
}

// parseScript reads what text has written; lines that begin with # are comments.
func parseScript(raw []byte) (script, error) {
	var s script
	for i, line := range bytes.Split(raw, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		var one step
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		s = append(s, one)
	}
	return s, nil
}
