package logadapter

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// Adapter is an hclog.Logger on a slog.Logger. The library's Info tells of
// its own inner life and goes out as Debug; its level is slog's to set.
type Adapter struct {
	slog    *slog.Logger
	name    string
	implied []any
	demoted []string
}

// New returns an Adapter called name. Messages among demoted are normal where
// this server runs and go out as Debug whatever their level.
func New(to *slog.Logger, name string, demoted ...string) *Adapter {
	return &Adapter{slog: to.With("component", name), name: name, demoted: demoted}
}

// Log writes msg with pairs at the level that stands for lvl.
func (a *Adapter) Log(lvl hclog.Level, msg string, pairs ...any) {
	level := translate(lvl)
	if slices.Contains(a.demoted, msg) {
		level = slog.LevelDebug
	}
	if !a.slog.Enabled(context.Background(), level) {
		return
	}
	all := slices.Concat(a.implied, pairs)
	for i := range all {
		all[i] = plain(all[i])
	}
	a.slog.Log(context.Background(), level, msg, all...)
}

func translate(lvl hclog.Level) slog.Level {
	switch lvl {
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Error:
		return slog.LevelError
	default:
		return slog.LevelDebug
	}
}

// plain renders the values for which hclog has types of its own.
func plain(v any) any {
	switch v := v.(type) {
	case hclog.Format:
		if len(v) > 0 {
			if format, ok := v[0].(string); ok {
				return fmt.Sprintf(format, v[1:]...)
			}
		}
		return fmt.Sprint([]any(v)...)
	case fmt.Stringer:
		return v.String()
	default:
		return v
	}
}

func (a *Adapter) Trace(msg string, pairs ...any) { a.Log(hclog.Trace, msg, pairs...) }
func (a *Adapter) Debug(msg string, pairs ...any) { a.Log(hclog.Debug, msg, pairs...) }
func (a *Adapter) Info(msg string, pairs ...any)  { a.Log(hclog.Info, msg, pairs...) }
func (a *Adapter) Warn(msg string, pairs ...any)  { a.Log(hclog.Warn, msg, pairs...) }
func (a *Adapter) Error(msg string, pairs ...any) { a.Log(hclog.Error, msg, pairs...) }

func (a *Adapter) IsTrace() bool { return a.enabled(hclog.Trace) }
func (a *Adapter) IsDebug() bool { return a.enabled(hclog.Debug) }
func (a *Adapter) IsInfo() bool  { return a.enabled(hclog.Info) }
func (a *Adapter) IsWarn() bool  { return a.enabled(hclog.Warn) }
func (a *Adapter) IsError() bool { return a.enabled(hclog.Error) }

func (a *Adapter) enabled(lvl hclog.Level) bool {
	return a.slog.Enabled(context.Background(), translate(lvl))
}

// ImpliedArgs are the pairs that every message carries.
func (a *Adapter) ImpliedArgs() []any { return a.implied }

// With returns an Adapter whose messages carry pairs.
func (a *Adapter) With(pairs ...any) hclog.Logger {
	b := *a
	b.implied = slices.Concat(a.implied, pairs)
	return &b
}

// Name is the name given.
func (a *Adapter) Name() string { return a.name }

// Named returns an Adapter with name appended.
func (a *Adapter) Named(name string) hclog.Logger { return a.ResetNamed(a.name + "." + name) }

// ResetNamed returns an Adapter with another name.
func (a *Adapter) ResetNamed(name string) hclog.Logger {
	b := *a
	b.name = name
	return &b
}

// SetLevel does nothing: slog's handler decides.
func (a *Adapter) SetLevel(hclog.Level) {}

// GetLevel is the lowest level that slog lets through.
func (a *Adapter) GetLevel() hclog.Level {
	switch {
	case a.enabled(hclog.Debug):
		return hclog.Debug
	case a.enabled(hclog.Warn):
		return hclog.Warn
	default:
		return hclog.Error
	}
}

// StandardLogger returns a log.Logger whose lines go out as Debug.
func (a *Adapter) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return log.New(lines{a}, "", 0)
}

// StandardWriter returns a writer whose lines go out as Debug.
func (a *Adapter) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return lines{a} }

type lines struct{ to *Adapter }

func (l lines) Write(p []byte) (int, error) {
	l.to.Debug(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
