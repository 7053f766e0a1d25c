package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lycaon-io/lycaon/client"
)

// What Tab offers is asked of cobra, by the shell and by the scripts of bash,
// zsh and fish alike: it knows commands and flags, and asks back here for what
// arguments and flags may be.

// completeWithin is how long a Tab may take: it must not hang on a lost server.
// Tests on a busy machine wait longer.
var completeWithin = time.Second

const completeMost = 200

const (
	noSpace = cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	noFiles = cobra.ShellCompDirectiveNoFileComp
	files   = cobra.ShellCompDirectiveDefault // the shell knows them
)

// completeArgument offers what the next argument of a command may be.
func (e *env) completeArgument(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return e.offer(argumentAt(cmd, len(args)), word)
}

// beforeCompleting does nothing but where a script, or the shell, asks what may
// come behind args.
func (e *env) beforeCompleting(cmd *cobra.Command, args []string) {
	if cmd.Name() == cobra.ShellCompRequestCmd && len(args) > 0 {
		e.completeFlags(cmd.Root(), args[:len(args)-1])
	}
}

// completeFlags has cobra ask for the values of the flags of the command that
// is being completed. Cobra keeps such a question as long as the process lives,
// so it is put for this one command alone.
func (e *env) completeFlags(root *cobra.Command, line []string) {
	cmd, _, err := root.Find(line)
	if err != nil {
		return
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name, _ := pflag.UnquoteUsage(f)
		a := argument{name: name}
		if strings.Contains(name, "|") && strings.ToLower(name) == name {
			a.choices = strings.Split(name, "|")
		}
		// Its error is of a flag that is not there, or asked about twice.
		_ = cmd.RegisterFlagCompletionFunc(f.Name, func(_ *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return e.offer(a, word)
		})
	})
}

// offer is what may stand for the name of a usage line, or of a flag's value.
func (e *env) offer(a argument, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	directive := noFiles
	switch {
	case a.choices != nil:
		found = a.choices
	case pathNames[a.name]:
		found, directive = e.offerPaths(word), noSpace
	case localNames[a.name]:
		return nil, files
	case a.name == "DATA", a.name == "VALUE":
		found, directive = offerData(word), noSpace
	case a.name == "ACL":
		found, directive = e.offerACL(word), noSpace
	case a.name == "SCHEME":
		found = []cobra.Completion{"digest\tUSER:PASSWORD"}
	case a.name == "digest:USER:PASSWORD":
		found, directive = []cobra.Completion{"digest:"}, noSpace
	case a.name == "FORM":
		for _, f := range forms {
			found = append(found, string(f))
		}
	case a.name == "ID", strings.HasPrefix(a.name, "ID["):
		found = e.offerMembers()
	case a.name == "SESSION":
		found = e.offerSessions()
	}
	return slices.DeleteFunc(slices.Clone(found), func(c string) bool { return !strings.HasPrefix(c, word) }), directive
}

// asking is a connection for a question of Tab's, nil if there is none to be
// had at once. The shell's is never opened anew here: that its session was lost
// is for the next command to say.
func (e *env) asking() (context.Context, context.CancelFunc, *client.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), completeWithin)
	if e.shell {
		if e.conn == nil || e.conn.Session().State() != client.Connected {
			return ctx, cancel, nil
		}
		return ctx, cancel, e.conn
	}
	c, err := e.reader(ctx)
	if err != nil {
		return ctx, cancel, nil
	}
	return ctx, cancel, c
}

// offerPaths goes on with a path. A node on its own that has children gets the
// slash behind which they are.
func (e *env) offerPaths(word string) []cobra.Completion {
	cut := strings.LastIndexByte(word, '/') + 1
	parent, typed := word[:cut], word[cut:]
	if e.shell && (typed == "." || typed == "..") {
		return []cobra.Completion{word + "/"}
	}
	if parent == "" && !e.shell {
		parent = "/"
	}
	above, err := e.path(parent, false)
	if err != nil {
		return nil
	}
	ctx, cancel, c := e.asking()
	defer cancel()
	if c == nil {
		return nil
	}
	var found []cobra.Completion
	for _, name := range namesFrom(ctx, c, above, typed) {
		if (e.shell || !strings.ContainsAny(name, evaluated)) && !hides(name) { // it would be drawn as it is
			found = append(found, parent+name)
		}
	}
	if len(found) == 1 {
		if st, err := c.Exists(ctx, below(above, strings.TrimPrefix(found[0], parent))); err == nil && st != nil && st.NumChildren > 0 {
			found[0] += "/"
		}
	}
	return found
}

// evaluated is what no name offered to bash or fish may have: what several names
// begin with they put into the line as it is, and the next Tab evaluates the line.
const evaluated = "$`\\();&|<>!"

// namesFrom lists the children of parent whose names begin with prefix.
func namesFrom(ctx context.Context, c *client.Client, parent, prefix string) (found []string) {
	if prefix != "" {
		if st, err := c.Exists(ctx, below(parent, prefix)); err == nil && st != nil {
			found = append(found, prefix)
		}
	}
	names, _ := c.Children(ctx, parent, client.Limit(completeMost), client.After(prefix)) // none is none
	for _, name := range names {
		if !strings.HasPrefix(name, prefix) {
			break // they come in order
		}
		found = append(found, name)
	}
	return found
}

// offerData completes the file of @FILE.
func offerData(word string) (found []cobra.Completion) {
	if !strings.HasPrefix(word, "@") {
		return nil
	}
	for _, file := range localFiles(word[1:]) {
		found = append(found, "@"+file)
	}
	return found
}

// localFiles lists the files that a word may go on to name, a directory with a
// slash behind it.
func localFiles(word string) (found []string) {
	dir, typed := filepath.Split(word)
	entries, _ := os.ReadDir(filepath.Join(".", dir))
	if filepath.IsAbs(dir) {
		entries, _ = os.ReadDir(dir)
	}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, typed) || typed == "" && name[0] == '.' || hides(name) {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.IsDir() {
			name += "/"
		}
		if found = append(found, dir+name); len(found) == completeMost {
			break
		}
	}
	return found
}

var aclSchemes = []cobra.Completion{
	"world:anyone:\teveryone", "auth::\tyourself", "digest:\tUSER:HASH", "ip:\tADDRESS or ADDRESS/BITS",
	"x509:\tsubject of a certificate", "sasl:\tuser who logged in with SASL",
}

var aclPermissions = []struct{ letter, says string }{
	{"c", "create children"}, {"d", "delete children"}, {"r", "read"}, {"w", "write"}, {"a", "change the ACL"},
}

// offerACL goes on with the last entry of an ACL: its scheme, who I am under
// it, and then permissions that are not there yet.
func (e *env) offerACL(word string) (found []cobra.Completion) {
	done, entry := "", word
	if cut := strings.LastIndexByte(word, ','); cut >= 0 {
		done, entry = word[:cut+1], word[cut+1:]
	}
	scheme, rest, ok := strings.Cut(entry, ":")
	_, perms, atPerms := cutLast(rest, ":")
	switch {
	case !ok:
		for _, s := range aclSchemes {
			found = append(found, done+s)
		}
	case atPerms && (scheme != "digest" || strings.Count(rest, ":") > 1):
		for _, p := range aclPermissions {
			if !strings.Contains(perms, p.letter) {
				found = append(found, word+p.letter+"\t"+p.says)
			}
		}
	default:
		for _, id := range e.identities(scheme) {
			found = append(found, done+scheme+":"+id+":\twho you are")
		}
	}
	return found
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// identities are those of this connection under a scheme.
func (e *env) identities(scheme string) (found []string) {
	ctx, cancel, c := e.asking()
	defer cancel()
	if c == nil {
		return nil
	}
	ids, _ := c.WhoAmI(ctx)
	for _, id := range ids {
		if id.Scheme == scheme {
			found = append(found, id.ID)
		}
	}
	return found
}

func (e *env) offerMembers() (found []cobra.Completion) {
	ctx, cancel, c := e.asking()
	defer cancel()
	if c == nil {
		return nil
	}
	members, _ := c.Members(ctx)
	for _, m := range members {
		found = append(found, fmt.Sprintf("%d\t%s %s", m.ID, m.Role, m.PeerAddr))
	}
	return found
}

// offerSessions lists the live ones to whoever may see them, and else our own.
func (e *env) offerSessions() (found []cobra.Completion) {
	ctx, cancel, c := e.asking()
	defer cancel()
	if c == nil {
		return nil
	}
	page, err := c.Sessions(ctx, client.SessionQuery{Limit: completeMost})
	if err != nil {
		if id := c.Session().ID(); id != 0 {
			found = append(found, id.String()+"\tthis one")
		}
		return found
	}
	for _, s := range page.Sessions {
		found = append(found, client.SessionID(s.ID).String())
	}
	return found
}

// offerCommands is what help helps with.
func offerCommands(cmd *cobra.Command, args []string, word string) (found []cobra.Completion, directive cobra.ShellCompDirective) {
	about, rest, err := cmd.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return nil, noFiles
	}
	for _, sub := range about.Commands() {
		if sub.IsAvailableCommand() && strings.HasPrefix(sub.Name(), word) {
			found = append(found, sub.Name()+"\t"+sub.Short)
		}
	}
	return found, noFiles
}

// completer is Tab in the shell.
type completer struct {
	env  *env
	tell io.Writer // above the prompt
}

// Do returns what may follow the typed part of the word, and how much of it
// the list of them repeats.
func (c *completer) Do(line []rune, pos int) ([][]rune, int) {
	words, last := scanWords(string(line[:pos]))
	word := last.text
	found, directive := c.ask(append(words, word))
	if len(found) == 0 && directive&noFiles == 0 {
		found, directive = localFiles(word), noSpace
	}
	if _, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(word, "-") {
		word = value // of --flag=value cobra offers the value
	}
	var rest [][]rune
	for _, f := range found {
		text, _, _ := strings.Cut(f, "\t")
		goesOn, ok := strings.CutPrefix(text, word)
		if !ok {
			continue
		}
		goesOn = escapeIn(last.quote, goesOn)
		if len(found) == 1 && directive&cobra.ShellCompDirectiveNoSpace == 0 {
			goesOn += last.close() + " "
		}
		rest = append(rest, []rune(goesOn))
	}
	if strings.HasPrefix(word, "-") && len(rest) > 1 && diverge(rest) {
		c.describe(found)
		return nil, 0
	}
	shown := word[strings.LastIndexByte(word, '/')+1:] // paths are long
	return rest, len([]rune(shown))
}

// ask has cobra complete the last of the words.
func (c *completer) ask(words []string) (found []cobra.Completion, directive cobra.ShellCompDirective) {
	var out bytes.Buffer
	root := newShellRoot(c.env)
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs(append([]string{cobra.ShellCompRequestCmd}, words...))
	if root.Execute() != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	last := lines[len(lines)-1]
	n, err := strconv.Atoi(strings.TrimPrefix(last, ":"))
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return lines[:len(lines)-1], cobra.ShellCompDirective(n)
}

// diverge tells that no further character is common to all.
func diverge(rest [][]rune) bool {
	return slices.ContainsFunc(rest, func(r []rune) bool { return len(r) == 0 || r[0] != rest[0][0] })
}

// describe lists flags with what they do, the two forms of one on one line. The
// list of names that the line editor shows has no room for that.
func (c *completer) describe(found []cobra.Completion) {
	var names, says []string
	for _, f := range found {
		name, text, _ := strings.Cut(f, "\t")
		if n := len(says); n > 0 && says[n-1] == text {
			names[n-1] += ", " + name
			continue
		}
		names, says = append(names, name), append(says, text)
	}
	wide := 0
	for _, n := range names {
		wide = max(wide, len(n))
	}
	var list bytes.Buffer
	for i := range names {
		fmt.Fprintf(&list, "  %-*s  %s\n", wide, names[i], strings.ReplaceAll(says[i], "`", ""))
	}
	c.tell.Write(list.Bytes()) // at once: the prompt is drawn anew below
}
