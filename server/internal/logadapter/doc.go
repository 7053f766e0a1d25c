// Package logadapter lets hashicorp/raft, which speaks hclog, write to a
// log/slog logger. It translates levels and pairs and holds no state of its
// own. An Adapter may be used from any goroutine.
package logadapter
