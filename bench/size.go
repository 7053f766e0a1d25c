package main

import (
	"fmt"
	"strconv"
)

// How much there is in each act, whoever serves.
const (
	churners = 32
	fillers  = 32
	children = 10_000
	listers  = 8
	idlers   = 1000
	fan      = 1000 // nodes in a directory

	leafBytes = 100
)

func directory(d int) string { return fmt.Sprintf("/fill/directory-%06d", d) }

// leaf is written without fmt: a load program writes many.
func leaf(i int) string {
	var room [64]byte
	b := padded(append(room[:0], "/fill/directory-"...), i/fan, 6)
	return string(padded(append(b, "/node-"...), i, 8))
}

func padded(b []byte, n, width int) []byte {
	for limit := 10; width > 1; width, limit = width-1, limit*10 {
		if n < limit {
			b = append(b, zeros[:width-1]...)
			break
		}
	}
	return strconv.AppendInt(b, int64(n), 10)
}

const zeros = "00000000"

func child(i int) string { return fmt.Sprintf("/many/child-%06d", i) }
