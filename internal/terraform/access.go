package terraform

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// access is what an import may read: everything below the repository that the
// folder is in, and public keys (*.pub) anywhere. A configuration is often
// somebody else's, and what it reads ends in a file that is committed.
type access struct {
	roots []string // absolute, symbolic links resolved
	base  string   // absolute; what relative paths start from, as in Terraform
}

var (
	errOutside = errors.New("it lies outside of the repository")
	errNotFile = errors.New("it is not a regular file")
	errTooBig  = fmt.Errorf("it is larger than %d KiB", maxFileSize>>10)
	errSecret  = errors.New("it holds a private key")
)

func newAccess(dir string) access {
	base, err := filepath.Abs(dir)
	if err != nil {
		base = dir
	}
	root := base
	for folder := base; ; folder = filepath.Dir(folder) {
		if _, err := os.Lstat(filepath.Join(folder, ".git")); err == nil {
			root = folder
			break
		}
		if folder == filepath.Dir(folder) {
			break
		}
	}
	if resolved, err := filepath.EvalSymlinks(root); err == nil {
		root = resolved
	}
	return access{roots: []string{root}, base: base}
}

// list names the files of a folder, sorted.
func (a access) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// read reads a file of the configuration itself: modules may lie elsewhere,
// but no symbolic link leads out of their folder and the repository.
func (a access) read(file string) ([]byte, error) {
	resolved, err := filepath.EvalSymlinks(file)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	if resolved, err = filepath.Abs(resolved); err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if filepath.Dir(resolved) != dir && !a.inside(resolved) {
		return nil, errOutside
	}
	return slurp(resolved, maxFileSize)
}

// content reads a file that an expression names.
func (a access) content(name string) ([]byte, error) {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		name = filepath.Join(home, rest)
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(a.base, name)
	}
	resolved, err := filepath.EvalSymlinks(name)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(resolved, ".pub") && !a.inside(resolved) {
		return nil, errOutside
	}
	data, err := slurp(resolved, maxFileSize)
	if err == nil && strings.Contains(string(data), "PRIVATE KEY-----") {
		return nil, errSecret
	}
	return data, err
}

func (a access) inside(file string) bool {
	for _, root := range a.roots {
		if rel, err := filepath.Rel(root, file); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			return true
		}
	}
	return false
}

func slurp(file string, limit int64) (data []byte, err error) {
	info, err := os.Stat(file) // before opening, which would wait for ever on a pipe
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotFile
	}
	f, err := os.Open(file) //nolint:gosec // the caller has checked where it lies
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, errTooBig
	}
	return data, err
}

// reason is an error without the operation and path that its reader knows.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
