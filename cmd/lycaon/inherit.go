package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/znode"
)

// environ hands these settings to a command, so that a lycaon in it reaches the
// same servers as the same user. All are named, lest one that was overruled here
// comes through.
func (t *contact) environ() []string {
	return []string{
		variable("server", t.server),
		variable("timeout", t.timeout.String()),
		variable("session-timeout", t.sessionTimeout.String()),
		variable("auth", t.auth...),
		variable("tls", strconv.FormatBool(t.useTLS)),
		variable("admin-token", fromRoot(t.adminToken)),
		variable("ca", fromRoot(t.ca)),
		variable("cert", fromRoot(t.cert)),
		variable("key", fromRoot(t.key)),
		variable("guard", t.guards...),
	}
}

// fromRoot names a file for who may be in another directory.
func fromRoot(file string) string {
	if file == "" {
		return ""
	}
	if abs, err := filepath.Abs(file); err == nil {
		return abs
	}
	return file
}

// prepare settles the settings and puts the guards on all that a command writes.
func (e *env) prepare(cmd *cobra.Command) error {
	if err := e.settle(); err != nil {
		return err
	}
	ctx, err := e.guarded(cmd.Context())
	cmd.SetContext(ctx)
	return err
}

// guarded puts the guards of the settings on all that is written under ctx.
func (e *env) guarded(ctx context.Context) (context.Context, error) {
	for _, text := range e.target.guards {
		g, err := parseGuard(text)
		if err != nil {
			return ctx, usageError{err}
		}
		ctx = client.WithGuard(ctx, g)
	}
	return ctx, nil
}

func parseGuard(text string) (client.Guard, error) {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return client.Guard{}, fmt.Errorf("guard %q: want PATH@CZXID", text)
	}
	czxid, err := strconv.ParseUint(text[at+1:], 0, 64)
	if err != nil {
		return client.Guard{}, fmt.Errorf("guard %q: want PATH@CZXID, the transaction as a number", text)
	}
	if err := znode.ValidatePath(text[:at]); err != nil {
		return client.Guard{}, fmt.Errorf("guard: %w", err)
	}
	return client.NewGuard(text[:at], czxid), nil
}
