package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lycaon-io/lycaon/client"
)

// defaultAdminToken spares the users of make run and make cluster a flag. Each
// server has a token of its own, so with several one server is settled on. What
// no server takes is left over from another one, or was never for the servers
// that are asked.
func (e *env) defaultAdminToken(ctx context.Context) {
	if e.target.adminToken != "" || len(e.target.auth) > 0 || e.conn != nil {
		return
	}
	files, err := filepath.Glob(filepath.Join(clusterDir, "*", tokenFile))
	if err != nil || len(files) == 0 && !readable(runToken) {
		return
	}
	hosts, chroot, _ := strings.Cut(e.target.server, "/")
	for addr := range strings.SplitSeq(hosts, ",") {
		one := e.target
		one.server = addr
		id, err := one.serverID(ctx)
		if err != nil {
			continue
		}
		for _, file := range []string{runToken, filepath.Join(clusterDir, fmt.Sprint(id), tokenFile)} {
			if one.adminToken = file; !readable(file) {
				continue
			}
			if _, err := one.serverID(ctx); err == nil { // it takes the token
				e.target.server, e.target.adminToken = strings.TrimSuffix(addr+"/"+chroot, "/"), file
				return
			}
		}
	}
}

const (
	tokenFile  = "admin.token"
	runToken   = "data/" + tokenFile // of make run
	clusterDir = "data-cluster"      // of make cluster, a directory a server
)

func readable(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// serverID asks the server at an address who it is.
func (t *contact) serverID(ctx context.Context) (uint64, error) {
	servers, opts, err := t.options()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, min(connectWithin, t.timeout))
	defer cancel()
	c, err := client.OpenGuest(ctx, servers, opts...)
	if err != nil {
		return 0, err
	}
	defer c.Abandon()
	st, err := c.Status(ctx)
	if err != nil {
		return 0, err
	}
	return st.ServerID, nil
}

// askTerminal asks the person at the terminal of a one-shot command, nil if
// there is none.
func (e *env) askTerminal() func(question string) (string, error) {
	if !isTerminal(e.in) {
		return nil
	}
	return func(question string) (string, error) {
		fmt.Fprint(e.errw, question)
		line, err := bufio.NewReader(e.in).ReadString('\n')
		if line != "" {
			err = nil
		}
		return line, err
	}
}
