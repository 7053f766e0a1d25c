//go:build !unix

package main

func spending() (spent, bool) { return spent{}, false }
