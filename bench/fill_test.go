package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// tallying is a pipe that answers at once and notes how much was on its way.
type tallying struct {
	*pipeOf
	sizes       []int // of the requests that are not answered
	under, most int   // nodes on their way
}

func (p *tallying) createAll(paths []string, _ []byte) {
	p.sent++
	p.sizes = append(p.sizes, len(paths))
	p.under += len(paths)
	p.most = max(p.most, p.under)
}

func (p *tallying) create(path string, _ []byte) { p.createAll([]string{path}, nil) }

func (p *tallying) receive() error {
	p.under -= p.sizes[0]
	p.sizes = p.sizes[1:]
	return p.pipeOf.receive()
}

// transacting is a client whose transactions are counted.
type transacting struct {
	stalling
	sizes chan int
}

func (c *transacting) createAll(_ context.Context, paths []string, _ []byte) error {
	c.sizes <- len(paths)
	return nil
}

func TestAsManyNodesAreOnTheirWayInTransactionsAsWithout(t *testing.T) {
	for name, batch := range map[string]int{"each by itself": 1, "in transactions": batchOf, "in small transactions": 5} {
		t.Run(name, func(t *testing.T) {
			p := &tallying{pipeOf: &pipeOf{stalling: &stalling{}}}
			made, err := pipeLoader{p}.fill(counted(1000, leaf), batch, nil)
			require.NoError(t, err)
			require.Len(t, made.answered, 1000, "a figure a node")
			require.Equal(t, fillDepth/batch*batch, p.most)
		})
	}
}

func TestAClientThatCallsCreatesInTransactionsIfItCan(t *testing.T) {
	c := &transacting{sizes: make(chan int, 100)}
	made, err := callLoader{c}.fill(counted(70, leaf), 32, nil)
	require.NoError(t, err)
	require.Len(t, made.answered, 70)
	require.Equal(t, []int{32, 32, 6}, []int{<-c.sizes, <-c.sizes, <-c.sizes})
	_, err = callLoader{&stalling{}}.fill(counted(70, leaf), 32, nil)
	require.ErrorContains(t, err, "one node at a time")
}

func TestTheResultsOfAMultiTellWhetherItWasDone(t *testing.T) {
	require.NoError(t, zkMultiFailure(append(zkMultiHeader(nil, zkCreate, false), "..."...)))
	failed := append(zkMultiHeader(nil, zkMultiEnd, false)[:5], 0xff, 0xff, 0xff, 0x92)
	require.ErrorIs(t, zkMultiFailure(failed), zkError(zkNodeExists))
	require.ErrorContains(t, zkMultiFailure(failed[:8]), "8 bytes")
}
