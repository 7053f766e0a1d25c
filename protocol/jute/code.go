package jute

import "github.com/lycaon-io/lycaon/protocol"

// Numbers of ZooKeeper's errors that codes of ours are turned into.
const (
	errSystem       = int32(protocol.SystemError)
	errMarshalling  = int32(protocol.Marshalling)
	errBadArguments = int32(protocol.BadArguments)
)

// Codes that only ZooKeeper's own operations have. A Message may carry one to
// AppendReply; the native protocol does not know them.
const (
	NewConfigNoQuorum            protocol.Code = -13 // reconfig: the new members would have no quorum
	ReconfigInProgress           protocol.Code = -14
	ReconfigDisabled             protocol.Code = -123
	SessionClosedRequireSASLAuth protocol.Code = -124
)

// codes says what a code is to a ZooKeeper client. Most have ZooKeeper's number;
// of the others a client may not know the number, and old ones fail badly on
// one that they do not know. So what will never be granted is BadArguments,
// and what may be granted later, or is the server's own trouble, is
// SystemError. QuotaExceeded and those of reconfig, younger than some clients,
// are told only to those who set a quota or ask for other members.
var codes = map[protocol.Code]int32{
	protocol.OK:                      0,
	protocol.SystemError:             -1,
	protocol.RuntimeInconsistency:    -2,
	protocol.Marshalling:             -5,
	protocol.Unimplemented:           -6,
	protocol.BadArguments:            -8,
	protocol.NoNode:                  -101,
	protocol.NoAuth:                  -102,
	protocol.BadVersion:              -103,
	protocol.NoChildrenForEphemerals: -108,
	protocol.NodeExists:              -110,
	protocol.NotEmpty:                -111,
	protocol.SessionExpired:          -112,
	protocol.InvalidACL:              -114,
	protocol.AuthFailed:              -115,
	protocol.SessionMoved:            -118,
	protocol.NotReadOnly:             -119,
	protocol.NoWatcher:               -121,
	protocol.QuotaExceeded:           -125,
	NewConfigNoQuorum:                -13,
	ReconfigInProgress:               -14,
	ReconfigDisabled:                 -123,
	SessionClosedRequireSASLAuth:     -124,

	protocol.TooLarge:          errBadArguments,
	protocol.TooManyWatches:    errBadArguments,
	protocol.TooManyEphemerals: errBadArguments,
	protocol.TooManyQuotas:     errBadArguments,
	protocol.Fenced:            errBadArguments, // no client of ZooKeeper guards its writes

	protocol.Throttled:          errSystem,
	protocol.TooManySessions:    errSystem,
	protocol.TooManyConnections: errSystem,
	protocol.TooManyOutcomes:    errSystem,
	protocol.Aborted:            errSystem,
	protocol.DiskFull:           errSystem,
	protocol.NotReady:           errSystem,
	protocol.UnsupportedVersion: errSystem,
	protocol.Closing:            errSystem,
}

// Code returns the number of ZooKeeper's error for c.
func Code(c protocol.Code) int32 {
	if c == protocol.OK {
		return 0
	}
	if number, ok := codes[c]; ok {
		return number
	}
	return errSystem
}
