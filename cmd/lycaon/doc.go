// Command lycaon is the whole product in one binary: the server (serve), the
// interactive shell (shell) and every shell command on its own (get, set, ...).
// It holds flags, wiring and what a person reads; the work is done by packages
// server and client.
package main
