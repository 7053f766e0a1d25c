package main

import "fmt"

// How much there is in each act, whoever serves.
const (
	churners = 32
	children = 10_000
	listers  = 8
	idlers   = 1000
	fan      = 1000 // nodes in a directory
)

func directory(d int) string { return fmt.Sprintf("/fill/directory-%06d", d) }

func leaf(i int) string { return fmt.Sprintf("%s/node-%08d", directory(i/fan), i) }

func child(i int) string { return fmt.Sprintf("/many/child-%06d", i) }
