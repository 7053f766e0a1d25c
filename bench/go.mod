module github.com/lycaon-io/lycaon/bench

go 1.26.0

require github.com/lycaon-io/lycaon v0.0.0

require github.com/cespare/xxhash/v2 v2.3.0 // indirect

replace github.com/lycaon-io/lycaon => ../
