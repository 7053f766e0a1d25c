package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWithoutATerminalProgressIsALineAtTimes(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	begun := time.Now()
	p := &progress{doing: "importing", unit: "nodes", begun: begun, ended: make(chan struct{})}
	ticks := make(chan time.Time)
	p.telling.Go(func() { p.tell(&said, ticks) })
	p.done.Add(5)
	ticks <- begun.Add(10 * time.Second)
	close(p.ended)
	p.telling.Wait()
	require.Equal(t, "lycaon: importing, 10s, 5 nodes\n", said.String())
}

func TestProgramsThatReadValuesGetNoProgress(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	e := newEnv(nil, &said, &said, noEnv)
	e.out.form = formJSON
	e.ask = func(string) (string, error) { return "", nil } // at a prompt
	p := e.progress("importing")
	p.Add(5)
	p.Finish()
	p.Finish()
	require.Empty(t, said.String())
}
