package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
)

const (
	engineStart = 30 * time.Second
	aptLimit    = 10 * time.Minute
)

// engine is the one docker engine of this machine. engine.json among the labs'
// state says that a lab started it.
type engine struct {
	root string
	say  Say
}

func (e engine) record() string { return filepath.Join(e.root, "engine.json") }

// answers tells whether there is an engine to talk to.
func (e engine) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, err := process.Run(ctx, process.Command{Program: "docker", Args: []string{"info", "--format", "{{.ServerVersion}}"}})
	return err
}

// ensure makes an engine answer: it installs the distribution's and starts it,
// as far as that is needed. An engine that answers is used as it is.
func (e engine) ensure(ctx context.Context) error {
	if e.answers(ctx) == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return &problem.Problem{
			Summary: "no docker engine answers",
			Hints:   []string{"Run `flotilla lab up` as root, which installs and starts one.", "Or start docker, and add your user to the group docker."},
		}
	}
	if err := e.install(ctx); err != nil {
		return err
	}
	if e.answers(ctx) == nil {
		e.say("docker engine: runs since its installation")
		return nil
	}
	return e.start(ctx)
}

func (e engine) install(ctx context.Context) error {
	if found("dockerd") && found("docker") {
		return nil
	}
	if !found("apt-get") {
		return &problem.Problem{Summary: "docker is not installed, and there is no apt-get to install it", Hints: []string{"Install docker and debootstrap."}}
	}
	begun := time.Now()
	e.say("docker engine: installing docker.io and debootstrap …")
	ctx, cancel := context.WithTimeout(ctx, aptLimit)
	defer cancel()
	for _, args := range [][]string{{"update"}, {"install", "-y", "docker.io", "debootstrap"}} {
		c := process.Command{Program: "apt-get", Args: args, Env: append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")}
		if result, err := process.Run(ctx, c); err != nil {
			return &problem.Problem{Summary: "cannot install docker", Cause: err, Source: result.Stderr, Hints: []string{"Install docker.io and debootstrap by hand."}}
		}
	}
	e.say("docker engine: installed (%s)", took(begun))
	return nil
}

func (e engine) start(ctx context.Context) error {
	begun := time.Now()
	if err := os.MkdirAll(e.root, 0o700); err != nil {
		return fmt.Errorf("state of labs: %w", err)
	}
	log := filepath.Join(e.root, "dockerd.log")
	var id processID
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		if _, err := process.Run(ctx, process.Command{Program: "systemctl", Args: []string{"start", "docker.service"}}); err != nil {
			return &problem.Problem{Summary: "cannot start docker", Cause: err, Hints: []string{"See `journalctl -u docker`."}}
		}
	} else {
		if id, err = detach(log, "dockerd"); err != nil {
			return err
		}
		// Noted before anything can fail: Down must find it.
		if err := writeJSON(e.record(), id); err != nil {
			return err
		}
	}
	answered, err := until(ctx, engineStart, func() bool { return e.answers(ctx) == nil || id.PID != 0 && !id.alive() })
	if err != nil {
		return err
	}
	if !answered || e.answers(ctx) != nil {
		return &problem.Problem{Summary: "the docker engine does not start", Source: logTail(log, 20), Hints: []string{"The whole log is in " + log + "."}}
	}
	e.say("docker engine: started (%s)", took(begun))
	return nil
}

// ours gives the dockerd that a lab started, if it runs.
func (e engine) ours() (processID, bool) {
	var id processID
	found, err := readJSON(e.record(), &id)
	return id, err == nil && found && id.alive()
}

// release stops the engine if a lab started it.
func (e engine) release(ctx context.Context) error {
	id, ours := e.ours()
	if ours {
		if err := id.stop(ctx, engineStart); err != nil {
			return fmt.Errorf("docker engine: %w", err)
		}
		e.say("docker engine: stopped")
	}
	for _, name := range []string{e.record(), filepath.Join(e.root, "dockerd.log")} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("docker engine: %w", err)
		}
	}
	return nil
}

func found(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func took(begun time.Time) time.Duration { return time.Since(begun).Round(100 * time.Millisecond) }
