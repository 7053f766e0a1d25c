GO      ?= go
FUZZTIME ?= 10s
BENCHTIME ?= 1s

.PHONY: build run cluster test lint fuzz faults recipe-faults replay soak-sim compat downstream differential bench bench-peers bench-profile bench-scale bench-report bench-consul pgo clean

## build: compile bin/lycaon, by the profile of what is hot in it
build:
	$(GO) build -trimpath -pgo=cmd/lycaon/server.pgo -o bin/lycaon ./cmd/lycaon

## run: build and serve on 127.0.0.1:2181 with the data in ./data
run: build
	exec bin/lycaon serve --id 1 --data-dir data --client-addr 127.0.0.1:2181 --peer-addr 127.0.0.1:2888 --http-addr 127.0.0.1:8080

## cluster: build and serve from three servers on loopback, clients at 127.0.0.1:2181 to 2183, the data in ./data-cluster
cluster: build
	@exec ./.ci/cluster

## test: everything CI runs
test: lint
	./.ci/test

## lint: gofmt, go vet, staticcheck
lint:
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not gofmt-ed: $$out"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

## fuzz: every fuzz target for FUZZTIME each
fuzz:
	./.ci/fuzz $(FUZZTIME)

## faults: real servers killed, paused, cut off, slowed down and filled up, FAULTS_ROUNDS times (10 by default); wants root
faults:
	FAULTS_ROUNDS=$${FAULTS_ROUNDS:-10} $(GO) test -count=1 -timeout 24h -v -run TestFaults ./server/faults

## recipe-faults: LYCAON_RECIPE_GRANTS grants (10,000 by default) of locks, leases, leaderships and items while servers and holders are killed and paused
recipe-faults:
	LYCAON_RECIPE_GRANTS=$${LYCAON_RECIPE_GRANTS:-10000} $(GO) test -count=1 -timeout 2h -v ./server/faults/recipes

## replay: check the history again that a run of faults left in HISTORY
replay:
	$(GO) test -count=1 -v -run Replay ./server/faults -history $(abspath $(HISTORY))

## soak-sim: whole clusters in virtual time under new seeded faults for SOAK of wall time (1h by default); SEED=n repeats one
soak-sim:
	LYCAON_SOAK=$(or $(SOAK),1h) LYCAON_SEED=$(SEED) $(GO) test -count=1 -timeout 0 -v -run TestSoakBubble ./server

## compat: real clients of ZooKeeper against one server and three, also while servers die; PEER=zookeeper runs them against ZooKeeper
compat:
	LYCAON_COMPAT_PEER=$(PEER) $(GO) test -count=1 -timeout 30m -v -run TestCompat ./server/compat/clients

## downstream: ClickHouse, Patroni, Prometheus and tooz over three servers that are killed meanwhile; installs Debian's packages, wants root
downstream:
	GO=$(GO) ./.ci/downstream

## differential: the same requests to a real ZooKeeper and to ours, LYCAON_DIFFERENTIAL_OPS of them (5 million by default); LYCAON_SEED=n repeats a run
differential:
	LYCAON_DIFFERENTIAL_OPS=$${LYCAON_DIFFERENTIAL_OPS:-5000000} $(GO) test -count=1 -timeout 24h -v -run TestDifferential ./server/compat/differential

## bench: the benchmarks beside the code, for BENCHTIME each
bench:
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./znode/... ./session ./protocol ./server/state ./server/watch ./server/pipeline ./server/raftlog

## bench-peers: beside ZooKeeper and etcd, and bin/consul if it is there, into docs/PERFORMANCE.md and docs/performance; 2 hours, or 14 minutes with ARGS=-short; wants root to install ZooKeeper
bench-peers:
	./.ci/bench-peers $(ARGS)

## bench-profile: where the CPU of a server goes in every workload, into docs/PERFORMANCE.md, docs/performance/profile.md and profile-all.md; 6 minutes, 1 with ARGS="-scenes sessions"
bench-profile: build
	cd bench && $(GO) build -o ../bin/bench . && exec ../bin/bench profile -lycaon ../bin/lycaon -scenes all -page ../docs/PERFORMANCE.md -details ../docs/performance $(ARGS)

## bench-scale: Lycaon alone at up to 10,000 connections, 5 million nodes, 5 servers, 100,000 watches, into docs/PERFORMANCE.md; 50 minutes, or 6 with ARGS=-short
bench-scale:
	./.ci/bench-scale $(ARGS)

## pgo: take the profile anew that `build` compiles by, from a server without it under load; 2 minutes on a machine that does nothing else
pgo:
	$(GO) build -trimpath -o bin/lycaon-plain ./cmd/lycaon
	cd bench && $(GO) build -o ../bin/bench . && exec ../bin/bench profile -lycaon ../bin/lycaon-plain -servers 1 -scenes "writes;50 % reads;reads;sessions" -length 10s -pgo ../cmd/lycaon/server.pgo

## bench-consul: bin/consul, which `make bench-peers` then compares with too, from its source in the Go module proxy; licence BUSL 1.1
bench-consul:
	./.ci/bench-consul

## bench-report: docs/PERFORMANCE.md, its plots and docs/performance/everything.md made again from the results of bench-peers and bench-scale, or those in docs/performance
bench-report:
	cd bench && $(GO) run . report -page ../docs/PERFORMANCE.md -plots ../docs/performance $(foreach f,results scale,$(addprefix ../,$(firstword $(wildcard bench/$(f).json docs/performance/$(f).json))))

clean:
	rm -rf bin
