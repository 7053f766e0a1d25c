package main

import (
	_ "embed"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// bashWords takes the place of a part of the package bash-completion, without
// which cobra's script says nothing but that it is missing.
//
//go:embed completion.bash
var bashWords string

func newCompletion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print what makes Tab complete in bash, zsh or fish",
		Long: `Print a script that makes Tab complete commands, flags and their values, and paths,
which it asks the server for that -s or LYCAON_SERVER names; of one that does not
answer within a second it says nothing. Put into your shell's start-up file

  bash    source <(lycaon completion bash)      in ~/.bashrc
  zsh     source <(lycaon completion zsh)       in ~/.zshrc, behind compinit
  fish    lycaon completion fish | source       in ~/.config/fish/config.fish`,
		Example: "  source <(lycaon completion bash)",
		GroupID: groupOther,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && completionScripts[args[0]] != nil {
				return nil
			}
			return usageError{fmt.Errorf("usage: %s", commandUse(cmd))}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return completionScripts[args[0]](cmd.Root(), cmd.OutOrStdout())
		},
	}
}

var completionScripts = map[string]func(*cobra.Command, io.Writer) error{
	"bash": func(root *cobra.Command, w io.Writer) error {
		if err := root.GenBashCompletionV2(w, true); err != nil {
			return err
		}
		_, err := io.WriteString(w, bashWords)
		return err
	},
	"zsh":  func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
	"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
}
