package state

import (
	"fmt"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// olimits are the limits that the generator sets, with the hard ones of nodes
// and of bytes; -1 is none.
var olimits = map[string][2]int64{
	"": {-1, -1},
	"count=1,bytes=1=;byteHardLimit=-1;countHardLimit=-1": {-1, -1},
	"count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=6": {6, -1},
	"countHardLimit=0":                                      {0, -1},
	"byteHardLimit=40;bytes=7,count=1":                      {-1, 40},
	"count=-1,bytes=-1=;byteHardLimit=90;countHardLimit=12": {12, 90},
}

// limitsIn are those that some data says; separators alone say none.
func limitsIn(data []byte) (limits [2]int64, reads bool) {
	limits, reads = olimits[strings.Trim(string(data), ",;")]
	return limits, reads
}

const quotas = "/zookeeper/quota"

// mayGrow tells whether path may get the data, and created be made, one after
// the other.
func (o *oracle) mayGrow(path string, data []byte, created []string) protocol.Code {
	for _, name := range []string{"/zookeeper_limits", "/zookeeper_stats"} {
		if strings.HasPrefix(path+"/", quotas+name+"/") {
			return protocol.BadArguments
		}
	}
	if strings.HasPrefix(path, quotas+"/") && strings.HasSuffix(path, "/zookeeper_limits") {
		if _, reads := limitsIn(data); !reads {
			return protocol.BadArguments
		}
	}
	if string(o.nodes[quotas].data) != "enforce=on" {
		return protocol.OK
	}
	for i, p := range created {
		of, limits := o.quotaOf(p)
		count, _ := o.usage(of)
		for _, made := range created[:i+1] {
			if within(made, of) {
				count++
			}
		}
		if limits[0] >= 0 && count > limits[0] {
			return protocol.QuotaExceeded
		}
	}
	grown := int64(len(data))
	if n := o.nodes[path]; n != nil {
		grown -= int64(len(n.data))
	}
	of, limits := o.quotaOf(path)
	if _, bytes := o.usage(of); grown != 0 && limits[1] >= 0 && bytes+grown > limits[1] {
		return protocol.QuotaExceeded
	}
	return protocol.OK
}

// quotaOf returns the nearest node with a quota, "" without one.
func (o *oracle) quotaOf(path string) (of string, limits [2]int64) {
	for ; path != "/"; path = above(path) {
		if n := o.nodes[quotas+path+"/zookeeper_limits"]; n != nil {
			limits, _ = limitsIn(n.data)
			return path, limits
		}
	}
	return "", [2]int64{-1, -1}
}

func within(path, top string) bool { return path == top || strings.HasPrefix(path, top+"/") }

func (o *oracle) usage(top string) (count, bytes int64) {
	for path, n := range o.nodes {
		if within(path, top) {
			count++
			bytes += int64(len(n.data))
		}
	}
	return count, bytes
}

// shown is what a reader is told of a node.
func (o *oracle) shown(path string) (data []byte, stat znode.Stat) {
	n := o.nodes[path]
	data, stat = n.data, n.stat
	if of, ok := strings.CutSuffix(path, "/zookeeper_stats"); ok && strings.HasPrefix(of, quotas+"/") {
		count, bytes := o.usage(of[len(quotas):])
		data = fmt.Appendf(nil, "count=%d,bytes=%d", count, bytes)
		stat.DataLength = len(data)
	}
	return data, stat
}
