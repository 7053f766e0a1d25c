package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/znode"
)

func newAddAuth(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "addauth SCHEME DATA",
		Short: "Add an identity to this connection",
		Long: `Add an identity to this connection: digest USER:PASSWORD. It stays when the shell has
to open a new session. One-shot commands take it as --auth digest:USER:PASSWORD.`,
		Example: "  addauth digest ann:secret",
		GroupID: groupOther,
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			text := args[0] + ":" + args[1]
			cred, err := parseAuth(text)
			if err != nil {
				return err
			}
			if err := e.wantsShell("addauth is for the shell, with which its identity ends; before a command on its own --auth digest:USER:PASSWORD shows one"); err != nil {
				return err
			}
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			if err := c.AddAuth(cmd.Context(), cred); err != nil {
				return err
			}
			if !slices.Contains(e.target.auth, text) {
				e.target.auth = append(e.target.auth, text)
			}
			return nil
		},
	}
}

func newWhoAmI(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "whoami",
		Short:   "List the identities of this connection",
		Example: "  whoami",
		GroupID: groupOther,
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.reader(cmd.Context())
			if err != nil {
				return err
			}
			ids, err := c.WhoAmI(cmd.Context())
			if err != nil {
				return err
			}
			if e.out.structured() {
				list := []map[string]string{}
				for _, id := range ids {
					list = append(list, map[string]string{"scheme": id.Scheme, "id": id.ID})
				}
				return e.out.value(list)
			}
			if err := e.out.line("Auth scheme: User"); err != nil {
				return err
			}
			for _, id := range ids {
				if user, _, ok := strings.Cut(id.ID, ":"); ok && e.out.compat() && id.Scheme == znode.SchemeDigest {
					id.ID = user
				}
				if err := e.out.line("%s: %s", id.Scheme, id.ID); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func newSync(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "sync [PATH]",
		Short: "Wait until this server has seen all that was written before",
		Long: `Wait until the server that holds the connection has applied everything that was
acknowledged to anyone before. PATH is taken as ZooKeeper's shell does and has no
influence.`,
		Example: "  sync",
		GroupID: groupOther,
		Args:    maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := e.reader(cmd.Context())
			if err != nil {
				return err
			}
			zxid, err := c.Barrier(cmd.Context())
			if err != nil {
				return err
			}
			if e.out.structured() {
				return e.out.value(map[string]uint64{"zxid": zxid})
			}
			return e.out.line("Sync is OK")
		},
	}
}

func newEphemerals(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "getEphemerals [PREFIX]",
		Short:   "List the ephemeral nodes of this session",
		Example: "  getEphemerals\n  getEphemerals /locks",
		GroupID: groupOther,
		Args:    maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := e.wantsShell("getEphemerals is for the shell, with whose session its nodes end; session ID lists those of another"); err != nil {
				return err
			}
			prefix := "/"
			if len(args) > 0 {
				prefix = args[0]
			}
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			paths, err := c.Ephemerals(cmd.Context(), prefix)
			if err != nil {
				return err
			}
			return e.out.names(paths)
		},
	}
}
