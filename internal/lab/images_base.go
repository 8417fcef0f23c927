package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
)

const (
	baseImage = "debian:trixie-slim"
	baseSuite = "trixie"

	pullLimit      = 20 * time.Second // a registry that takes longer is as good as none
	bootstrapLimit = 10 * time.Minute
)

// ensureBase makes sure that Debian's base image exists: from the registry, or
// made of packages under the registry's name.
func ensureBase(ctx context.Context, say func(string, ...any)) error {
	exists, err := imageExists(ctx, baseImage)
	if err != nil {
		return err
	}
	if exists {
		say("base image %s: exists", baseImage)
		return nil
	}
	begun := time.Now()
	pulled, err := pullBase(ctx)
	if err != nil {
		return err
	}
	if pulled {
		say("base image %s: pulled (%s)", baseImage, took(begun))
		return nil
	}
	if os.Geteuid() != 0 {
		return &problem.Problem{
			Summary: "the base image " + baseImage + " can neither be pulled nor made",
			Hints:   []string{"Run this as root, or pull the image by hand."},
		}
	}
	if err := ensureDebootstrap(ctx, say); err != nil {
		return err
	}
	mirror := debianMirror("/etc/apt")
	say("base image %s: no registry answers, making it from %s …", baseImage, mirror)
	if err := bootstrapBase(ctx, mirror); err != nil {
		return err
	}
	say("base image %s: made (%s)", baseImage, took(begun))
	return nil
}

func pullBase(ctx context.Context) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, pullLimit)
	defer cancel()
	_, err := process.Run(limited, process.Command{Program: "docker", Args: []string{"pull", "--quiet", baseImage}})
	if err == nil {
		return true, nil
	}
	// Whatever the registry's failure is, the image can be made here. Only the
	// caller's own end counts.
	if ctx.Err() != nil {
		return false, fmt.Errorf("pull %s: %w", baseImage, context.Cause(ctx))
	}
	return false, nil
}

func ensureDebootstrap(ctx context.Context, say func(string, ...any)) error {
	if _, err := exec.LookPath("debootstrap"); err == nil {
		return nil
	}
	begun := time.Now()
	limited, cancel := context.WithTimeout(ctx, bootstrapLimit)
	defer cancel()
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", "debootstrap"}} {
		c := process.Command{Program: "apt-get", Args: args, Env: append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")}
		if result, err := process.Run(limited, c); err != nil {
			return &problem.Problem{Summary: "cannot install debootstrap", Cause: err, Source: result.Stderr, Hints: []string{"Install debootstrap by hand."}}
		}
	}
	say("debootstrap: installed (%s)", took(begun))
	return nil
}

// bootstrapBase makes a minimal Debian and imports it under the registry's name.
func bootstrapBase(ctx context.Context, mirror string) error {
	ctx, cancel := context.WithTimeout(ctx, bootstrapLimit)
	defer cancel()
	root, err := os.MkdirTemp("", "flotilla-lab-rootfs-")
	if err != nil {
		return fmt.Errorf("folder of the base image: %w", err)
	}
	defer func() { _ = os.RemoveAll(root) }()
	// Programs of the new system run in it as other users.
	if err := os.Chmod(root, 0o755); err != nil { //nolint:gosec // a system's root folder
		return fmt.Errorf("folder of the base image: %w", err)
	}
	args := []string{"--variant=minbase", baseSuite, root}
	if mirror != "" {
		args = append(args, mirror)
	}
	if result, err := process.Run(ctx, process.Command{
		Program: "debootstrap",
		Args:    args,
		Stdout:  io.Discard,
	}); err != nil {
		return &problem.Problem{
			Summary: "cannot make the base image " + baseImage,
			Cause:   err,
			Source:  result.Stderr,
			Hints:   []string{"debootstrap needs a Debian mirror: see whether the machine reaches " + cmp.Or(mirror, "its default one") + ".", "Or pull or load " + baseImage + " by hand."},
		}
	}
	return importRoot(ctx, root)
}

// importRoot makes an image of a folder, without what a container never reads.
func importRoot(ctx context.Context, root string) error {
	reader, writer := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		_, err := process.Run(ctx, process.Command{
			Program: "tar",
			Args: []string{
				"-C", root,
				"--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/cache/apt/*.bin", "--exclude=./var/lib/apt/lists/*",
				"--exclude=./usr/share/doc/*", "--exclude=./usr/share/man/*", "--exclude=./usr/share/info/*", "--exclude=./usr/share/locale/*",
				"-c", ".",
			},
			Stdout: writer,
		})
		_ = writer.CloseWithError(err)
		packed <- err
	}()
	_, err := process.Run(ctx, process.Command{Program: "docker", Args: []string{"import", "-", baseImage}, Stdin: reader, Stdout: io.Discard})
	_ = reader.Close()
	if err := errors.Join(<-packed, err); err != nil {
		return fmt.Errorf("import the base image %s: %w", baseImage, err)
	}
	return nil
}

// debianMirror is the mirror that the machine's own apt uses, as far as it is a
// Debian's, else "" for debootstrap's own; apt is the folder of its configuration.
func debianMirror(apt string) string {
	files, _ := filepath.Glob(filepath.Join(apt, "sources.list.d", "*.sources"))
	lists, _ := filepath.Glob(filepath.Join(apt, "sources.list.d", "*.list"))
	files = append(append(files, filepath.Join(apt, "sources.list")), lists...)
	sort.Strings(files)
	address := regexp.MustCompile(`https?://[^\s\]]+`)
	for _, file := range files {
		data, err := os.ReadFile(file) //nolint:gosec // apt's own files
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "URIs:") && !strings.HasPrefix(line, "deb ") {
				continue
			}
			for _, uri := range address.FindAllString(line, -1) {
				if strings.HasSuffix(strings.TrimRight(uri, "/"), "/debian") {
					return strings.TrimRight(uri, "/")
				}
			}
		}
	}
	return ""
}
