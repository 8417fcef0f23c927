package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

const serveStart = 60 * time.Second

// UpOptions set up Up.
type UpOptions struct {
	Name          string
	Listen        string // host:port; port 0: the lab's last one, or a free one
	ActionLatency time.Duration
	Program       string // the flotilla binary that serves; "": this one
	Say           Say
}

// Up brings a lab up: engine, base images, NixOS tree, and the API in the
// background. A lab that runs is left as it is. One that was stopped goes on
// with its servers.
func Up(ctx context.Context, opt UpOptions) error {
	l, err := find(opt.Name)
	if err != nil {
		return err
	}
	release, err := lock(ctx, filepath.Join(l.root, "up.lock")) // one at a time: they share engine and images
	if err != nil {
		return err
	}
	defer release()
	if s, _, err := l.running(ctx); err == nil {
		opt.Say("lab %s runs already at http://%s", l.name, s.Address)
		return nil
	}
	if err := (engine{root: l.root, say: opt.Say}).ensure(ctx); err != nil {
		return err
	}
	if err := l.refuseStrangers(ctx); err != nil {
		return err
	}
	images, err := EnsureImages(ctx, opt.Say)
	if err != nil {
		return err
	}
	s, err := l.prepare()
	if err != nil {
		return err
	}
	s.Images = imageNames(images)
	if err := l.keep(s); err != nil {
		return err
	}
	begun := time.Now()
	if err := WriteTree(l.file("nixpkgs")); err != nil {
		return err
	}
	opt.Say("NixOS tree: written to %s (%s)", l.file("nixpkgs"), took(begun))
	return l.start(ctx, opt, s)
}

// start runs `lab serve` in the background and waits until it answers.
func (l lab) start(ctx context.Context, opt UpOptions, s settings) error {
	begun := time.Now()
	program := opt.Program
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return fmt.Errorf("find the flotilla binary: %w", err)
		}
	}
	log := l.file("serve.log")
	// Tokens come from lab.json, never from the command line.
	id, err := detach(log, program, "lab", "serve", "--quiet", "--name", l.name, "--machines", MachinesDocker, "--listen", sameAddress(ctx, opt.Listen, s.Address),
		"--request-log", l.file("requests.log"), "--action-latency", opt.ActionLatency.String())
	if err != nil {
		return err
	}
	var now serving
	answers := func() bool {
		now, _, err = l.running(ctx)
		return err == nil
	}
	if _, err := until(ctx, serveStart, func() bool { return answers() || !id.alive() }); err != nil {
		return err
	}
	if !answers() {
		return &problem.Problem{Summary: "the lab's API does not answer", Cause: err, Source: logTail(log, 20), Hints: []string{"The whole log is in " + log + "."}}
	}
	opt.Say("API: answers at http://%s (%s)", now.Address, took(begun))
	return nil
}

// sameAddress keeps the port that the lab had, if the user does not mind, so
// that the environment of open shells stays right.
func sameAddress(ctx context.Context, listen, last string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port != "0" || last == "" {
		return listen
	}
	lastHost, _, err := net.SplitHostPort(last)
	if err != nil || lastHost != host {
		return listen
	}
	var free net.ListenConfig
	listener, err := free.Listen(ctx, "tcp", last)
	if err != nil {
		return listen // taken by somebody else meanwhile
	}
	_ = listener.Close()
	return last
}

// running gives the process that serves the lab; an error means that none
// answers.
func (l lab) running(ctx context.Context) (serving, settings, error) {
	var now serving
	found, err := readJSON(l.file("serve.json"), &now)
	if err != nil {
		return now, settings{}, err
	}
	if !found || !now.Process.alive() {
		return now, settings{}, noLab(l.name, nil)
	}
	s, _, err := l.settings()
	if err != nil {
		return now, s, err
	}
	if err := get(ctx, now.Address, s.Token, "/_lab/ready", nil); err != nil {
		return now, s, noLab(l.name, err)
	}
	return now, s, nil
}

// request timeouts are short: the API is on this machine.
func client() *http.Client { return &http.Client{Timeout: 10 * time.Second} }
