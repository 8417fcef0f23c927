package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// ExportTracked writes the files of the work tree that git tracks into dir,
// which must be empty or absent: with what they hold now, committed or not, as
// Nix takes in the work tree of a flake. What is deleted is left out; submodules
// are an error. After an error dir may hold a part.
func (r *Repo) ExportTracked(ctx context.Context, dir string) error {
	out, err := r.git.run(ctx, nil, nil, "-C", r.root, "ls-files", "-z", "--cached", "--full-name")
	if err != nil {
		return fmt.Errorf("list the tracked files: %w", err)
	}
	from, err := os.OpenRoot(r.root)
	if err != nil {
		return fmt.Errorf("read the work tree: %w", err)
	}
	defer from.Close()
	to, err := emptyFolder(dir)
	if err != nil {
		return err
	}
	defer to.Close()
	made := map[string]bool{".": true}
	last := ""
	for _, name := range names(string(out)) {
		if name == last {
			continue // once for each side of a conflict
		}
		last = name
		if err := checkPath(name); err != nil {
			return err
		}
		if err := copyTracked(from, to, name, made); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read the work tree: %q: %w", name, err)
		}
	}
	return nil
}

func copyTracked(from, to *os.Root, name string, made map[string]bool) error {
	info, err := from.Lstat(name)
	if err != nil {
		return err
	}
	if err := makeFolders(to, path.Dir(name), made); err != nil {
		return err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := from.Readlink(name)
		if err != nil {
			return err
		}
		return to.Symlink(target, name)
	case info.Mode().IsRegular():
		return copyFile(from, to, name, info.Mode())
	default:
		return errors.New("it is no file; submodules are not supported")
	}
}

func copyFile(from, to *os.Root, name string, mode fs.FileMode) (err error) {
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	perm := fs.FileMode(0o644)
	if mode&0o100 != 0 {
		perm = 0o755
	}
	out, err := to.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Chmod(perm)
}
