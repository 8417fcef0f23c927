package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/lab/machine"
	"github.com/flotilla-nix/flotilla/internal/process"
)

// DownOptions set up Down.
type DownOptions struct {
	Name   string
	Images bool // remove the base images too; other labs build them again
	Say    Say
}

// Down removes a lab: its process, containers, network and state, and the
// docker engine if a lab started it and no other lab is left. It finds the
// containers by their label, so it works after a crash too. A lab that does not
// exist is no error.
func Down(ctx context.Context, opt DownOptions) error {
	l, err := find(opt.Name)
	if err != nil {
		return err
	}
	release, err := lock(ctx, filepath.Join(l.root, "up.lock"))
	if err != nil {
		return err
	}
	defer release()
	existed := l.exists()
	var now serving
	if _, err := readJSON(l.file("serve.json"), &now); err != nil {
		opt.Say("warning: %v", err) // what can be found without it still goes
	}
	if now.Process.alive() {
		if err := now.Process.stop(ctx, 20*time.Second); err != nil {
			return err
		}
		opt.Say("API: stopped")
	}
	e := engine{root: l.root, say: opt.Say}
	if err := l.removeMachines(ctx, e, opt); err != nil {
		return err
	}
	if err := os.RemoveAll(l.dir); err != nil {
		return fmt.Errorf("state of lab %s: %w", l.name, err)
	}
	others, err := l.others()
	if err != nil {
		return err
	}
	if !others {
		if err := e.release(ctx); err != nil {
			return err
		}
		_ = os.Remove(filepath.Join(l.root, "up.lock"))
		_ = os.Remove(l.root) // only if nothing is left in it
	}
	if existed {
		opt.Say("lab %s: removed", l.name)
	} else {
		opt.Say("lab %s: there was none", l.name)
	}
	return nil
}

func (l lab) removeMachines(ctx context.Context, e engine, opt DownOptions) error {
	if err := e.answers(ctx); err != nil {
		opt.Say("docker engine: does not answer, so nothing of the lab runs there (containers that it keeps are removed by `lab down` once it runs)")
		return nil //nolint:nilerr // without an engine there is nothing to remove now
	}
	begun := time.Now()
	count, err := machine.Cleanup(ctx, l.name)
	if err != nil {
		return err
	}
	if count > 0 {
		opt.Say("servers: %d removed (%s)", count, took(begun))
	}
	return l.removeImages(ctx, opt)
}

// removeImages removes the host images of every version, or says that they stay.
func (l lab) removeImages(ctx context.Context, opt DownOptions) error {
	var names []string
	for _, repository := range []string{debianRepository, nixosRepository} {
		list, err := process.Run(ctx, process.Command{
			Program: "docker", Args: []string{"image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository},
		})
		if err != nil {
			return fmt.Errorf("find the host images: %w", err)
		}
		names = append(names, strings.Fields(string(list.Stdout))...)
	}
	if !opt.Images {
		if len(names) > 0 {
			opt.Say("host images: kept for the next lab (--images removes them)")
		}
		return nil
	}
	for _, name := range names {
		// An image that another lab's servers use stays; docker says so.
		if _, err := process.Run(ctx, process.Command{Program: "docker", Args: []string{"image", "rm", name}}); err != nil {
			opt.Say("warning: image %s stays: %v", name, err)
			continue
		}
		opt.Say("image %s: removed", name)
	}
	return nil
}
