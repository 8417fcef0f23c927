package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/closure"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/remote"
)

// connectTimeout bounds one attempt to log in.
const connectTimeout = 20 * time.Second

// errNoHostKey says why a host must not be logged in to.
var errNoHostKey = errors.New("no SSH host key of it is known")

// targets finds out how to reach hosts. It is made once the account is known.
type targets struct {
	fleet   fleet.Fleet
	account fleet.Account
	signers []ssh.Signer
	known   []string // known_hosts files, for hosts without a server
}

func (f *Flow) targets(ctx context.Context, fl fleet.Fleet, account fleet.Account) (*targets, error) {
	key := f.secret(fl.SSH.Key)
	// A key that is named must be there: falling back to another would hide
	// why the login fails.
	if fl.SSH.Key.Env != "" && key.IsZero() {
		return nil, &problem.Problem{
			Summary: fmt.Sprintf("the SSH key is not set: environment variable %s is empty", fl.SSH.Key.Env),
			Hints:   []string{"It holds the private key itself (BEGIN OPENSSH PRIVATE KEY …), not a file name."},
		}
	}
	home := f.Getenv("HOME")
	var files []string
	if home != "" && key.IsZero() {
		files = remote.DefaultKeyFiles(home)
	}
	signers, err := remote.Signers(ctx, key, key.IsZero(), files)
	if err != nil {
		return nil, err
	}
	known := []string{"/etc/ssh/ssh_known_hosts"}
	if home != "" {
		known = append(known, filepath.Join(home, ".ssh", "known_hosts"))
	}
	return &targets{fleet: fl, account: account, signers: signers, known: known}, nil
}

// of gives the SSH target of a host: the hive's deployment.* first, then
// hosts:, then ssh: and the server's address.
func (t *targets) of(host string, d plans.Deployment) (remote.Target, error) {
	if d.LocalOnly {
		return remote.Target{}, localOnly(host)
	}
	settings, err := t.fleet.HostSettings(host, d.Tags)
	if err != nil {
		return remote.Target{}, err
	}
	target := remote.Target{
		Host: host, Port: t.fleet.SSH.Port, User: t.fleet.SSH.User,
		Signers: t.signers, ConnectTimeout: connectTimeout,
	}
	server, hasServer := t.account.Servers[host]
	if hasServer {
		target.HostKeys = pins(server.Published)
		target.Address = serverAddress(t.fleet.SSH.Address, server)
	}
	if settings.Address != "" {
		target.Address = settings.Address
	}
	if d.TargetHost != "" {
		target.Address = d.TargetHost
	}
	if d.TargetUser != "" {
		target.User = d.TargetUser
	}
	if d.TargetPort != 0 {
		target.Port = d.TargetPort
	}
	if settings.HostKey != "" {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(settings.HostKey))
		if err != nil {
			return remote.Target{}, &problem.Problem{Summary: fmt.Sprintf("hosts: host_key of %s is not a public key", host), Cause: err}
		}
		target.HostKeys = append(target.HostKeys, remote.Fingerprint(key))
	}
	if _, declared := t.fleet.Servers[host]; target.Address == "" && declared && !hasServer {
		return remote.Target{}, &problem.Problem{
			Summary: fmt.Sprintf("the provider has no server %s", host),
			Detail:  "It is declared, and not made yet or gone.",
			Hints:   []string{"A deploy makes it: flotilla deploy --on " + host},
		}
	}
	if target.Address == "" {
		return remote.Target{}, &problem.Problem{
			Summary: fmt.Sprintf("no address for host %s", host),
			Detail:  fmt.Sprintf("It has no server in flotilla.yaml with an address of kind %q, and no deployment.targetHost in the hive.", t.fleet.SSH.Address),
			Hints:   []string{fmt.Sprintf("Declare servers.%s, or set deployment.targetHost and hosts.%s.host_key.", host, host)},
		}
	}
	// A server that Flotilla made has its key in its labels; one that it took over
	// is known to who ran it before.
	if !hasServer || adopted(server) {
		if target.KnownHosts, err = remote.KnownHosts(t.known, target.Address, target.Port); err != nil {
			return remote.Target{}, err
		}
	}
	if hasServer && len(target.HostKeys)+len(target.KnownHosts) == 0 {
		return remote.Target{}, &problem.Problem{
			Summary: fmt.Sprintf("%s cannot be told from an impostor", host), Cause: errNoHostKey,
			Detail: "Its server was taken over and has none in its labels.",
			Hints: []string{
				fmt.Sprintf("Read it on the server (cat /etc/ssh/ssh_host_ed25519_key.pub) and set hosts.%s.host_key in %s,", host, configFile) +
					fmt.Sprintf(" or: flotilla adopt %s --host-key '%s=ssh-ed25519 AAAA…'; known_hosts of OpenSSH counts too.", host, host),
			},
		}
	}
	return target, nil
}

// adopted tells whether a server was not made by Flotilla: what it writes when
// it makes one is not there.
func adopted(server fleet.AccountServer) bool { return server.KeysDigest == "" }

// pins gives the accepted host key fingerprints of a server.
func pins(p fleet.Published) []string {
	var keys []string
	for _, k := range []string{p.HostKey, p.NextHostKey} {
		if k != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

// serverAddress picks the address that ssh.address asks for.
func serverAddress(kind string, server fleet.AccountServer) string {
	if network, ok := strings.CutPrefix(kind, "private."); ok {
		return server.Networks[network]
	}
	if kind == "ipv6" {
		return server.IPv6
	}
	return server.IPv4
}

// dialer gives generation a way to log in afresh.
func dialer(target remote.Target, d plans.Deployment) generation.Dialer {
	return func(ctx context.Context) (generation.Session, error) {
		conn, err := remote.Dial(ctx, target)
		if err != nil {
			return nil, err
		}
		return &session{conn: conn, prefix: escalation(target.User, d)}, nil
	}
}

// escalation gives the words before each command of a user who is not root.
func escalation(user string, d plans.Deployment) []string {
	if user == "root" {
		return nil
	}
	return d.PrivilegeEscalationCommand
}

// session runs commands on a host as root.
type session struct {
	conn   *remote.Conn
	prefix []string
}

// Run implements generation.Session.
func (s *session) Run(ctx context.Context, stdin io.Reader, argv ...string) (process.Result, error) {
	return s.conn.Run(ctx, stdin, s.words(argv)...)
}

// Open implements closure.Opener.
func (s *session) Open(ctx context.Context, argv ...string) (closure.Stream, error) {
	return s.conn.Open(ctx, s.words(argv)...)
}

// Close implements generation.Session.
func (s *session) Close() error { return s.conn.Close() }

func (s *session) words(argv []string) []string {
	return append(append([]string{}, s.prefix...), argv...)
}
