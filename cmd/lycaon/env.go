package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
)

// contact says which servers to talk to, and as whom.
type contact struct {
	server         string
	output         string
	compat         bool
	timeout        time.Duration
	sessionTimeout time.Duration
	auth           []string
	adminToken     string
	useTLS         bool
	ca, cert, key  string
	guards         []string
}

func (t *contact) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&t.server, "server", "s", "127.0.0.1:2181", "servers to try, `H:P[,H:P...][/chroot]`")
	f.StringVarP(&t.output, "output", "o", "text", "`FORM` of the output: "+formList)
	f.BoolVar(&t.compat, "compat", false, "print what ZooKeeper's shell prints: short for -o compat")
	f.DurationVar(&t.timeout, "timeout", 10*time.Second, "give up on a request after this long")
	f.DurationVar(&t.sessionTimeout, "session-timeout", 10*time.Second, "ask the server for this session timeout")
	f.StringArrayVar(&t.auth, "auth", nil, "identity, as `digest:USER:PASSWORD`; may be repeated")
	f.StringVar(&t.adminToken, "admin-token", "", "`FILE` with the server's admin token (DATA-DIR/admin.token) for administrative commands")
	f.BoolVar(&t.useTLS, "tls", false, "speak TLS; implied by --ca, --cert and --key")
	f.StringVar(&t.ca, "ca", "", "`FILE` of certificates to trust instead of the system's")
	f.StringVar(&t.cert, "cert", "", "`FILE` of our certificate, for servers that ask")
	f.StringVar(&t.key, "key", "", "`FILE` of its key")
	f.StringArrayVar(&t.guards, "guard", nil, "write only while this node is the one that transaction CZXID made, as `PATH@CZXID`; lock and the like set it for their commands")
}

// options turns the flags into what the client takes. Whoever needs none is not told
// what is wrong with them.
func (t *contact) options() (servers []string, opts []client.Option, err error) {
	switch {
	case t.timeout <= 0:
		return nil, nil, usageError{fmt.Errorf("--timeout %v: want more than 0", t.timeout)}
	case t.sessionTimeout < time.Millisecond:
		return nil, nil, usageError{fmt.Errorf("--session-timeout %v: want at least 1ms", t.sessionTimeout)}
	}
	servers, chroot, err := t.hosts()
	if err != nil {
		return nil, nil, err
	}
	if chroot != "" {
		opts = append(opts, client.WithChroot("/"+chroot))
	}
	opts = append(opts, client.WithRequestTimeout(t.timeout), client.WithSessionTimeout(t.sessionTimeout))
	for _, a := range t.auth {
		c, err := parseAuth(a)
		if err != nil {
			return nil, nil, err
		}
		opts = append(opts, client.WithCredentials(c))
	}
	if t.adminToken != "" {
		secret, err := os.ReadFile(t.adminToken)
		if err != nil {
			return nil, nil, usageError{fmt.Errorf("--admin-token: %w", err)}
		}
		opts = append(opts, client.WithCredentials(client.AdminToken(strings.TrimSpace(string(secret)))))
	}
	conf, err := t.tlsConfig()
	if err != nil {
		return nil, nil, usageError{err}
	}
	if conf != nil {
		opts = append(opts, client.WithTLS(conf))
	}
	return servers, opts, nil
}

// hosts takes the servers apart. As in ZooKeeper's shell a port may be left out
// in the compat form.
func (t *contact) hosts() (servers []string, chroot string, err error) {
	hosts, chroot, _ := strings.Cut(t.server, "/")
	for addr := range strings.SplitSeq(hosts, ",") {
		if (t.compat || t.output == string(formCompat)) && addr != "" && !strings.ContainsAny(addr, ":[]") {
			addr += ":2181"
		}
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, "", usageError{fmt.Errorf("server %q: want H:P[,H:P...][/chroot]", addr)}
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, "", usageError{fmt.Errorf("server %q: port %q is not 1 to 65535", addr, port)}
		}
		servers = append(servers, addr)
	}
	return servers, chroot, nil
}

func parseAuth(text string) (client.Credential, error) {
	scheme, rest, _ := strings.Cut(text, ":")
	user, password, ok := strings.Cut(rest, ":")
	if scheme != "digest" || !ok || user == "" {
		return client.Credential{}, usageError{fmt.Errorf("identity %q: want digest:USER:PASSWORD", scheme+":...")}
	}
	return client.Digest(user, password), nil
}

func (t *contact) tlsConfig() (*tls.Config, error) {
	if !t.useTLS && t.ca == "" && t.cert == "" && t.key == "" {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS13}
	if t.ca != "" {
		pem, err := os.ReadFile(t.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca: %s holds no certificate", t.ca)
		}
	}
	if (t.cert == "") != (t.key == "") {
		return nil, errors.New("--cert and --key go together")
	}
	if t.cert != "" {
		pair, err := tls.LoadX509KeyPair(t.cert, t.key)
		if err != nil {
			return nil, fmt.Errorf("--cert and --key: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// env is what commands work with: where they read and write, and the
// connection they share. A one-shot command has it for itself, the shell
// hands one to every line.
type env struct {
	in      io.Reader
	out     printer
	errw    io.Writer
	getenv  func(string) string
	flags   *pflag.FlagSet
	target  contact
	shell   bool // a session stays between commands
	cwd     string
	screen  *screen // of the prompt, nil outside it
	closed  bool    // by close, until connect
	greeted bool    // as ZooKeeper's shell greets
	literal bool    // data is what it is, as in ZooKeeper's shell
	settled bool
	conn    *client.Client
	guest   bool
	history func() []string
	ask     func(question string) (string, error) // nil where nobody can answer
	watches watches
	states  sync.WaitGroup            // of what tells the states of the session
	entries map[string]*recipes.Entry // double barriers that the shell has entered

	allSkips bool // import, export and cp list each node that they skip
}

func newEnv(in io.Reader, out, errw io.Writer, getenv func(string) string) *env {
	return &env{in: in, out: newPrinter(out), errw: errw, getenv: getenv, cwd: "/"}
}

// settle takes what the command line left open from the environment.
func (e *env) settle() error {
	if e.settled {
		return nil
	}
	e.settled = true
	if err := applyEnv(e.flags, e.getenv); err != nil {
		return err
	}
	chosen, err := parseForm(e.target.output)
	if err != nil {
		return usageError{fmt.Errorf("--output %w", err)}
	}
	if e.target.compat && !e.flags.Changed("output") {
		chosen = formCompat
	}
	e.out.form = chosen
	return nil
}

// outputFlag is -o behind a command: it beats the one before it, and in the
// shell holds for its line.
type outputFlag struct{ env *env }

func (outputFlag) Type() string   { return "FORM" }
func (outputFlag) String() string { return "" }

func (f outputFlag) Set(name string) error {
	chosen, err := parseForm(name)
	if err != nil {
		return err
	}
	f.env.out.form = chosen
	return f.env.flags.Set("output", name)
}

func (e *env) addOutputFlag(cmd *cobra.Command) {
	cmd.Flags().VarP(outputFlag{e}, "output", "o", "form of the output: "+formList)
}

// session is a client with a session, opened at first need.
func (e *env) session(ctx context.Context) (*client.Client, error) { return e.connect(ctx, false) }

// reader is a client that may be without a session: a read on its own needs
// none, and a session costs the cluster a write.
func (e *env) reader(ctx context.Context) (*client.Client, error) { return e.connect(ctx, !e.shell) }

func (e *env) connect(ctx context.Context, guest bool) (*client.Client, error) {
	if e.conn != nil && (guest || !e.guest) && e.conn.Session().Context().Err() == nil {
		return e.conn, nil
	}
	if e.closed {
		return nil, errNotConnected
	}
	e.close()
	servers, opts, err := e.target.options()
	if err != nil {
		return nil, err
	}
	open := client.Open
	if guest {
		open = client.OpenGuest
	}
	ctx, cancel := context.WithTimeout(ctx, min(connectWithin, e.target.timeout))
	defer cancel()
	if e.conn, err = open(ctx, servers, opts...); err != nil {
		return nil, err
	}
	e.guest = guest
	e.tellStates()
	return e.conn, nil
}

var (
	// connectWithin is how long a first connection may take: long enough for a
	// server that is starting, short for a person who mistyped an address.
	// Tests have more patience: a machine with other work is no mistake.
	connectWithin = 3 * time.Second

	// closeWithin is how long the end of a session may: nobody waits long for a
	// server that is gone. Tests as above.
	closeWithin = 2 * time.Second
)

// close ends the session.
func (e *env) close() {
	e.watches.stop()
	if e.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	e.leaveAll(ctx)
	if err := e.conn.Close(ctx); err != nil {
		e.tell(fmt.Sprintf("lycaon: the session was not closed and ends by its timeout: %v", err))
	}
	e.conn = nil
	e.states.Wait()
}

// wantsShell refuses, with what helps, a command that would end with nothing done
// outside the shell. ZooKeeper's takes it.
func (e *env) wantsShell(why string) error {
	if e.shell || e.out.compat() {
		return nil
	}
	return usageError{errors.New(why)}
}

// tell writes a line beside the output. It may name what others have made.
func (e *env) tell(line string) {
	if e.errorsAreSeen() {
		line = visible(line)
	}
	fmt.Fprintln(e.errw, line)
}

// errorsAreSeen tells that the error output is a terminal.
func (e *env) errorsAreSeen() bool {
	return e.ask != nil || isTerminal(e.errw) // the shell's prompt stands between it and the terminal
}

// errQuiet ends a command whose message has been printed already.
var errQuiet = errors.New("failed")

// describe words an error for a person, on one line and with what helps.
func describe(err error) string {
	text := oneLine(err.Error())
	call := (*client.Error)(nil)
	switch {
	case errors.Is(err, client.ErrDisconnected):
		text = oneLine(strings.Replace(err.Error(), context.DeadlineExceeded.Error()+"\n", "", 1)) // before the reason itself
		switch {
		case errors.Is(err, client.ErrNotReady): // it runs, and says what it waits for
		case strings.Contains(text, "tls: "), strings.Contains(text, "TLS with "), strings.Contains(text, `it begins with "\x15\x03`): // an alert of TLS
			return text + "; see --tls, --ca, --cert and --key"
		case strings.Contains(text, "dial "), strings.HasSuffix(text, context.DeadlineExceeded.Error()):
			return text + "; is the server running? (-s H:P or LYCAON_SERVER says where)"
		case strings.HasSuffix(text, "the server did not answer"), strings.Contains(text, "awaiting the welcome: "+client.ErrProtocol.Error()):
			return text + "; is that its client port?" + clientPort
		case strings.Contains(text, "awaiting the welcome: "): // and it hung up, as a server does that ends
			return text + "; is the server just ending, or is that not its client port?" + clientPort
		}
	case errors.As(err, &call) && call.Op == "create" && errors.Is(err, client.ErrNoNode):
		return fmt.Sprintf("%s: the parent %s (create -p makes missing parents)", text, path.Dir(call.Path))
	case errors.As(err, &call) && call.Op == "delete" && errors.Is(err, client.ErrNotEmpty):
		return text + " (deleteall deletes it with all below it)"
	}
	return text
}

// clientPort tells of the ports of a server, of which one is for clients.
const clientPort = " (--client-addr of serve, neither --http-addr nor --peer-addr)"

// callError is an error of the client that names the command instead of the call
// by which it was done.
type callError struct {
	error
	text string
}

func (e callError) Error() string { return e.text }
func (e callError) Unwrap() error { return e.error }

// byCommand words an error of the client in the words of who typed command.
func byCommand(command string, err error) error {
	call := (*client.Error)(nil)
	if !errors.As(err, &call) {
		return err
	}
	typed := call.Op
	if command == "deleteall" || command == "edit" || command == "touch" { // of which each does several things
		typed = command
	}
	switch call.Op {
	case "getACL":
		typed = "getAcl"
	case "setACL":
		typed = "setAcl"
	case "children", "count", "expireSession", "sessions", "transferLeader", "walk":
		typed = command
	case "memberChange":
		typed = "member"
	}
	text := strings.Replace(err.Error(), call.Error(), typed+strings.TrimPrefix(call.Error(), call.Op), 1)
	return callError{err, text}
}

// oneLine puts the kind of an error before its causes, of each server one.
func oneLine(text string) string {
	kind, causes, several := strings.Cut(text, "\n")
	if !several {
		return text
	}
	return kind + ": " + strings.ReplaceAll(causes, "\n", "; ")
}

// historyFile is where the shell keeps its lines between runs.
func (e *env) historyFile() string {
	if file := e.getenv("LYCAON_HISTORY"); file != "" {
		return file
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	if err := os.MkdirAll(filepath.Join(dir, "lycaon"), 0o700); err != nil {
		return ""
	}
	return filepath.Join(dir, "lycaon", "history")
}
