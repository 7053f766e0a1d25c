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

func TestAnExportTellsItsProgressUnlessItWouldStandBetweenTheNodes(t *testing.T) {
	t.Parallel()
	var out, errw bytes.Buffer
	e := newEnv(nil, &out, &errw, noEnv)
	x := e.exporter(nil, "/", &out, formYAMLTree)
	require.False(t, x.barIsBetween())
	x.doc.tty = true
	require.False(t, x.barIsBetween(), "the errors are in a file: a line at times")
	e.ask = func(string) (string, error) { return "", nil } // at a prompt, which is a terminal for both
	require.True(t, x.barIsBetween())
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
