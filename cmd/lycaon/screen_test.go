package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatComesWhileAnEditorHasTheScreenIsShownAfterIt(t *testing.T) {
	t.Parallel()
	var out, errw bytes.Buffer
	s := &screen{}
	a, b := s.layer(&out), s.layer(&errw)
	fmt.Fprint(a, "before ")
	back := s.lend()
	fmt.Fprint(a, "an event ")
	fmt.Fprint(b, "a warning")
	fmt.Fprint(a, strings.Repeat("x", heldBytes)) // which is too much
	require.Equal(t, "before ", out.String())
	require.Empty(t, errw.String())
	back()
	fmt.Fprint(a, "after")
	require.Equal(t, "before an event after", out.String())
	require.Equal(t, "a warning", errw.String())
}
