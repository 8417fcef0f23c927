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
		in, err := from.Open(name)
		if err != nil {
			return err
		}
		defer in.Close()
		return writeFile(to, name, info.Mode()&0o100 != 0, func(out io.Writer) error {
			_, err := io.Copy(out, in)
			return err
		})
	default:
		return errors.New("it is no file; submodules are not supported")
	}
}
