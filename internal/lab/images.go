package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
)

// The small NixOS tree and what the images are made of.
//
//go:embed all:nixos/tree all:nixos/image
var embedded embed.FS

const (
	treeRoot  = "nixos/tree"
	imageRoot = "nixos/image"

	debianRepository = "flotilla-lab-debian"
	nixosRepository  = "flotilla-lab-nixos"

	imageLimit = 10 * time.Minute // one image, built
)

// Images are the docker images that the lab's machines start from, by full
// name. The tag is a hash of all that the image is made of.
type Images struct {
	Debian string // a plain Debian with sshd and Nix
	NixOS  string // a system of the small NixOS tree, built and set as boot default
}

// EnsureImages makes sure that both images exist, and builds what is missing,
// Debian's base included. It needs a docker engine that answers. say gets a
// line per step.
func EnsureImages(ctx context.Context, say func(format string, args ...any)) (Images, error) {
	debian, err := hashOf(imageRoot)
	if err != nil {
		return Images{}, err
	}
	nixos, err := hashOf(imageRoot, treeRoot)
	if err != nil {
		return Images{}, err
	}
	images := Images{Debian: debianRepository + ":" + debian, NixOS: nixosRepository + ":" + nixos}

	missing := map[string]string{} // stage → image
	for stage, image := range map[string]string{"debian": images.Debian, "nixos": images.NixOS} {
		exists, err := imageExists(ctx, image)
		if err != nil {
			return Images{}, err
		}
		if !exists {
			missing[stage] = image
		}
	}
	if len(missing) == 0 {
		say("host images: %s and %s exist", images.Debian, images.NixOS)
		return images, nil
	}
	if err := ensureBase(ctx, say); err != nil {
		return Images{}, err
	}
	folder, err := os.MkdirTemp("", "flotilla-lab-image-")
	if err != nil {
		return Images{}, fmt.Errorf("build folder of the host images: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := writeEmbedded(imageRoot, folder); err != nil {
		return Images{}, err
	}
	if err := WriteTree(filepath.Join(folder, "tree")); err != nil {
		return Images{}, err
	}
	for _, stage := range []string{"debian", "nixos"} {
		if image, ok := missing[stage]; ok {
			if err := buildImage(ctx, folder, stage, image, say); err != nil {
				return Images{}, err
			}
		}
	}
	return images, nil
}

// WriteTree writes the small NixOS tree into dir, which then holds exactly the
// tree. The path can be given to Nix where nixpkgs is expected.
func WriteTree(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // not secret, read by every evaluator
		return fmt.Errorf("the lab's NixOS tree: %w", err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), ".tree-")
	if err != nil {
		return fmt.Errorf("the lab's NixOS tree: %w", err)
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	if err := writeEmbedded(treeRoot, fresh); err != nil {
		return err
	}
	if err := os.Chmod(fresh, 0o755); err != nil { //nolint:gosec // as above
		return fmt.Errorf("the lab's NixOS tree: %w", err)
	}
	// Files of an older tree must not stay and be imported.
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("the lab's NixOS tree: %w", err)
	}
	if err := os.Rename(fresh, dir); err != nil {
		return fmt.Errorf("the lab's NixOS tree: %w", err)
	}
	return nil
}

func writeEmbedded(root, dir string) error {
	err := fs.WalkDir(embedded, root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(strings.TrimPrefix(name, root), "/")))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755) //nolint:gosec // not secret
		}
		data, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o644) //nolint:gosec // not secret
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", path.Base(root), err)
	}
	return nil
}

// hashOf is a short hash of all names and contents below the roots.
func hashOf(roots ...string) (string, error) {
	sum := sha256.New()
	for _, root := range roots {
		// WalkDir goes in the order of names.
		err := fs.WalkDir(embedded, root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := embedded.ReadFile(name)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(sum, "%s %d\n%s", name, len(data), data)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("hash of %s: %w", root, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}

func imageExists(ctx context.Context, image string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, err := process.Run(ctx, process.Command{Program: "docker", Args: []string{"image", "inspect", "--format", "{{.Id}}", image}})
	if err == nil {
		return true, nil
	}
	var failure *process.Error
	if errors.As(err, &failure) && failure.ExitCode == 1 && strings.Contains(strings.ToLower(failure.Tail), "no such image") {
		return false, nil
	}
	return false, fmt.Errorf("look for the image %s: %w", image, err)
}

func buildImage(ctx context.Context, folder, stage, image string, say func(string, ...any)) error {
	begun := time.Now()
	say("host image %s: building …", image)
	ctx, cancel := context.WithTimeout(ctx, imageLimit)
	defer cancel()
	var log bytes.Buffer
	result, err := process.Run(ctx, process.Command{
		Program: "docker",
		Args:    []string{"build", "--network=host", "--target", stage, "--tag", image, "--label", "dev.flotilla.lab.image=" + stage, folder},
		// The old builder is the one that every engine has.
		Env:    append(os.Environ(), "DOCKER_BUILDKIT=0"),
		Stdout: &log,
	})
	if err != nil {
		return &problem.Problem{
			Summary: "cannot build the lab's " + stage + " host image",
			Cause:   err,
			Source:  lastLines(log.String()+result.Stderr, 20),
			Hints:   []string{"The build needs Debian's package mirror: see whether the machine reaches it, then try again."},
		}
	}
	say("host image %s: built (%s)", image, took(begun))
	return nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
