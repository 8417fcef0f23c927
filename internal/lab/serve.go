package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/lab/machine"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// What a server is.
const (
	MachinesDocker = "docker" // a container that boots systemd
	MachinesNone   = "none"   // nothing: state changes only, addresses invented
)

// ServeOptions set up Serve.
type ServeOptions struct {
	Name          string // of the lab; used with docker machines only
	Listen        string // host:port; port 0: a free one
	Machines      string // MachinesDocker or MachinesNone
	RequestLog    string // file for one "METHOD path?query" per line; "": none
	ActionLatency time.Duration
	RateLimit     int       // requests in the full bucket; 0: the API's 3600
	Token         string    // "": the lab's own, or a random one
	StateFile     string    // where objects are kept; "": the lab's own with docker, memory with none
	Out           io.Writer // gets the export lines once the API answers
	Log           Say
}

// Serve runs the API until ctx ends. With docker machines it keeps the lab's
// state, so that a later Serve goes on with the same servers; they keep running
// meanwhile.
func Serve(ctx context.Context, opt ServeOptions) error {
	api := cloud.Options{
		Token: opt.Token, StateFile: opt.StateFile, ActionLatency: opt.ActionLatency, RateLimit: opt.RateLimit, Log: opt.Log,
	}
	var l lab
	var docker *machine.Docker
	switch opt.Machines {
	case MachinesNone:
	case MachinesDocker:
		var err error
		if l, err = find(opt.Name); err != nil {
			return err
		}
		// Container names are the machine's, so one process may serve a name,
		// whatever the state directory: an abstract socket goes with its process.
		var only net.ListenConfig
		claim, err := only.Listen(ctx, "unix", "@"+machine.NetworkName(l.name))
		if err != nil {
			return &problem.Problem{Summary: "lab " + l.name + " is being served already", Cause: err, Hints: []string{"See `flotilla lab status`, or choose another --name."}}
		}
		defer func() { _ = claim.Close() }()
		if docker, err = openMachines(ctx, l, opt, &api); err != nil {
			return err
		}
		api.Machines = docker
	default:
		return &problem.Problem{Summary: fmt.Sprintf("machines can be docker or none, not %q", opt.Machines), Code: problem.Usage}
	}
	if api.Token == "" {
		api.Token = newToken()
	}
	if api.ReadOnlyToken == "" {
		api.ReadOnlyToken = newToken()
	}
	if opt.RequestLog != "" {
		log, err := os.OpenFile(opt.RequestLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("request log: %w", err)
		}
		defer func() { _ = log.Close() }()
		api.RequestLog = log
	}
	return serve(ctx, l, opt, api, docker)
}

// openMachines fills in what a lab with machines takes from its state.
func openMachines(ctx context.Context, l lab, opt ServeOptions, api *cloud.Options) (*machine.Docker, error) {
	if err := l.refuseStrangers(ctx); err != nil {
		return nil, err
	}
	s, err := l.prepare()
	if err != nil {
		return nil, err
	}
	if len(s.Images) == 0 {
		images, err := EnsureImages(ctx, opt.Log)
		if err != nil {
			return nil, err
		}
		s.Images = imageNames(images)
		if err := l.keep(s); err != nil {
			return nil, err
		}
	}
	if api.StateFile == "" {
		api.StateFile = l.file("objects.json")
	}
	if api.Token == "" {
		api.Token, api.ReadOnlyToken = s.Token, s.ReadOnlyToken
	}
	if raised, err := machine.RaiseLimits(); err != nil {
		opt.Log("warning: %v", err)
	} else if raised {
		opt.Log("kernel limit fs.inotify.max_user_instances raised to 1024")
	}
	return machine.Open(ctx, l.name, s.Images, opt.Log)
}

// refuseStrangers stops a lab that begins anew while containers of a lab of its
// name exist: their state is elsewhere, or was deleted.
func (l lab) refuseStrangers(ctx context.Context) error {
	if _, err := os.Stat(l.file("objects.json")); err == nil {
		return nil
	}
	count, err := machine.Count(ctx, l.name)
	if err != nil || count == 0 {
		return err
	}
	return &problem.Problem{
		Summary: fmt.Sprintf("%d containers of another lab named %s exist; its state is not in %s", count, l.name, l.dir),
		Hints:   []string{"Remove them with `flotilla lab down --name " + l.name + "`, or choose another --name."},
	}
}

func imageNames(i Images) map[string]string {
	return map[string]string{"debian": i.Debian, "nixos": i.NixOS}
}

func serve(ctx context.Context, l lab, opt ServeOptions, options cloud.Options, docker *machine.Docker) error {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", opt.Listen)
	if err != nil {
		return &problem.Problem{Summary: "the lab's API cannot listen on " + opt.Listen, Cause: err, Hints: []string{"Choose another address with --listen."}}
	}
	defer func() { _ = listener.Close() }()
	api, err := cloud.New(options) //nolint:contextcheck // actions outlive the requests that began them; Close ends them
	if err != nil {
		return err
	}
	defer api.Close()
	address := listener.Addr().String()
	if docker != nil {
		stop, err := l.announce(address)
		if err != nil {
			return err
		}
		defer stop()
		watched := make(chan struct{})
		watching, cancel := context.WithCancel(ctx)
		defer func() { cancel(); <-watched }()
		go func() {
			defer close(watched)
			watch(watching, docker, api, opt.Log)
		}()
	}
	server := &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	if opt.Out != nil {
		if _, err := io.WriteString(opt.Out, apiEnv(address, options.Token, options.ReadOnlyToken)); err != nil {
			return fmt.Errorf("print the lab's address: %w", err)
		}
	}
	select {
	case err := <-ended:
		return fmt.Errorf("the lab's API: %w", err)
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(closing); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the lab's API: %w", err)
	}
	return nil
}

// announce writes serve.json and gives the function that removes it.
func (l lab) announce(address string) (func(), error) {
	id, err := identify(os.Getpid())
	if err != nil {
		return nil, err
	}
	s, err := l.prepare()
	if err != nil {
		return nil, err
	}
	s.Address = address
	if err := l.keep(s); err != nil {
		return nil, err
	}
	if err := writeJSON(l.file("serve.json"), serving{Process: id, Address: address}); err != nil {
		return nil, err
	}
	return func() { _ = os.Remove(l.file("serve.json")) }, nil // a stale one is recognised by its process
}

// watch keeps the API's picture of the machines true, over restarts of the
// engine too.
func watch(ctx context.Context, docker *machine.Docker, api *cloud.API, log Say) {
	for ctx.Err() == nil {
		if err := docker.Watch(ctx, api.Observe); err != nil {
			log("warning: docker events: %v", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
}

func apiEnv(address, token, readOnly string) string {
	endpoint := quote("http://" + address + "/v1")
	return strings.Join([]string{
		"export HCLOUD_ENDPOINT=" + endpoint,
		"export HCLOUD_TOKEN=" + quote(token),
		"export HETZNER_ENDPOINT=" + endpoint,
		"export FLOTILLA_LAB_READ_ONLY_TOKEN=" + quote(readOnly),
		"",
	}, "\n")
}
