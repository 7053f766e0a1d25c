package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
)

// configNode holds the servers in the form of ZooKeeper's dynamic configuration:
// a line server.ID=HOST:PORT:PORT:ROLE;CLIENT each, and version=HEX.
const configNode = systemNodes + "/config"

func newConfig(e *env) *cobra.Command {
	var addresses, watch, stat bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the servers of the cluster as ZooKeeper writes them",
		Long: `Print the servers of the cluster as ZooKeeper writes them, a line each and the version
behind them. It is empty where a server is and was alone; member list tells more.`,
		Example: "  config\n  config -c",
		GroupID: groupServer,
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			open := e.reader
			if watch {
				open = e.session
			}
			c, err := open(ctx)
			if err != nil {
				return err
			}
			return e.watching(ctx, c, watch, configNode, watchData, func() error {
				node, err := c.Get(ctx, configNode)
				if err != nil {
					return err
				}
				return e.printConfig(node, addresses, stat)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&addresses, "clients", "c", false, "the version and where clients reach the servers, H:P,H:P")
	f.BoolVarP(&watch, "watch", "w", false, "tell the next change")
	f.BoolVarP(&stat, "stat", "s", false, "print the stat too")
	return cmd
}

func (e *env) printConfig(node *client.Node, addresses, stat bool) error {
	conf := parseConfig(node.Data)
	if e.out.structured() {
		v := map[string]any{"version": conf.version, "servers": conf.servers, "clients": conf.clients}
		if stat {
			v["stat"] = statValue(node.Stat)
		}
		return e.out.value(v)
	}
	text := string(node.Data)
	if addresses {
		text = conf.version + " " + strings.Join(conf.clients, ",")
	}
	if err := e.out.line("%s", text); err != nil || !stat {
		return err
	}
	return e.out.statBlock(node.Stat)
}

// dynamicConfig is what configNode says.
type dynamicConfig struct {
	version string   // in hex; "" where nothing is said
	servers []string // server.ID=..., in the order of ids
	clients []string // H:P of those that have said
}

func parseConfig(text []byte) dynamicConfig {
	conf := dynamicConfig{servers: []string{}, clients: []string{}}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if version, ok := strings.CutPrefix(line, "version="); ok {
			conf.version = version
		}
		if !strings.HasPrefix(line, "server.") {
			continue
		}
		conf.servers = append(conf.servers, line)
		if _, addr, ok := strings.Cut(line, ";"); ok {
			conf.clients = append(conf.clients, addr)
		}
	}
	return conf
}
