package repo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Modes of entries in git's trees.
const (
	modeExecutable = "100755"
	modeSymlink    = "120000"
	modeSubmodule  = "160000"
)

// maxLink bounds the target of a symbolic link, as Linux does.
const maxLink = 4096

// file is one entry of a tree.
type file struct {
	mode string
	hash string
	path string
}

// Export writes the whole tree of a commit into dir, which must be empty or
// absent. Bytes are those of the commit: attributes (export-ignore, ident,
// line ends, filters) change nothing. Executable files have mode 0755, others
// 0644, folders 0755. Symbolic links are written as they are and may point
// anywhere. Submodules are an error. After an error dir may hold a part.
//
// What a partial clone lacks of it is fetched, where there is a Remote.
func (r *Repo) Export(ctx context.Context, commit, dir string) error {
	c, err := r.commit(ctx, commit)
	if err != nil {
		return err
	}
	err = r.export(ctx, commit, c.tree, dir)
	if r.server == nil || !errors.Is(err, errMissing) {
		return err
	}
	if err := r.server.commit(ctx, commit); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("write out commit %s: %w", short(commit), err)
	}
	return r.export(ctx, commit, c.tree, dir)
}

func (r *Repo) export(ctx context.Context, commit, tree, dir string) (err error) {
	files, err := r.files(ctx, commit, tree)
	if err != nil {
		return err
	}
	root, err := emptyFolder(dir)
	if err != nil {
		return fmt.Errorf("write out commit %s: %w", short(commit), err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()

	// Links come last, so that no file is written through one.
	var ordered, links []file
	for _, f := range files {
		if f.mode == modeSymlink {
			links = append(links, f)
		} else {
			ordered = append(ordered, f)
		}
	}
	if err := r.write(ctx, root, append(ordered, links...)); err != nil {
		return r.notWritten(ctx, commit, err)
	}
	return nil
}

// notWritten explains a failed export.
func (r *Repo) notWritten(ctx context.Context, commit string, err error) error {
	if errors.Is(err, errMissing) {
		return &problem.Problem{
			Summary: fmt.Sprintf("the clone does not hold all files of commit %s", short(commit)), Cause: err,
			Hints: []string{"It is a partial or damaged clone. In a GitHub workflow, remove the input filter of actions/checkout; by hand, clone without --filter."},
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("write out commit %s: %w", short(commit), context.Cause(ctx))
	}
	return fmt.Errorf("write out commit %s: %w", short(commit), err)
}

func emptyFolder(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // another uid evaluates what is in it
		return nil, err
	}
	present, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(present) > 0 {
		return nil, fmt.Errorf("%s is not empty: %w", dir, fs.ErrExist)
	}
	return os.OpenRoot(dir)
}

// files lists a tree, checked.
func (r *Repo) files(ctx context.Context, commit, tree string) ([]file, error) {
	out, err := r.git.run(ctx, nil, nil, "ls-tree", "-r", "-z", "--full-tree", tree)
	if exitCode(err) > 0 {
		return nil, r.notWritten(ctx, commit, fmt.Errorf("its folders: %w (%w)", errMissing, err))
	}
	if err != nil {
		return nil, fmt.Errorf("list commit %s: %w", short(commit), err)
	}
	var files []file
	var submodules []string
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if entry == "" {
			continue
		}
		head, name, _ := strings.Cut(entry, "\t")
		words := strings.Fields(head) // mode, type, hash
		if len(words) != 3 || !hashPattern.MatchString(words[2]) {
			return nil, fmt.Errorf("list commit %s: unexpected entry %q", short(commit), entry)
		}
		if err := checkPath(name); err != nil {
			return nil, &problem.Problem{Summary: fmt.Sprintf("commit %s holds a file that cannot be written out", short(commit)), Cause: err, Hints: []string{"Remove that file from the repository."}}
		}
		if words[0] == modeSubmodule {
			submodules = append(submodules, name)
			continue
		}
		files = append(files, file{mode: words[0], hash: words[2], path: name})
	}
	if len(submodules) > 0 {
		return nil, &problem.Problem{
			Summary: fmt.Sprintf("commit %s has git submodules, which Flotilla does not read", short(commit)),
			Detail:  "Submodules: " + strings.Join(quoted(submodules), ", "),
			Hints:   []string{"Make each a flake input or a pinned fetchGit in Nix, or put its files into this repository."},
		}
	}
	return files, nil
}

func quoted(names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, strconv.Quote(n))
	}
	return out
}

// checkPath refuses names that git itself would never check out: a tree can be
// made by hand.
func checkPath(name string) error {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || strings.EqualFold(part, ".git") {
			return fmt.Errorf("the path %q is not allowed", name)
		}
	}
	return nil
}

// write has git print all files, one after the other, and writes them.
func (r *Repo) write(ctx context.Context, root *os.Root, files []file) error {
	if len(files) == 0 {
		return nil
	}
	var wanted strings.Builder
	for _, f := range files {
		wanted.WriteString(f.hash + "\n")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reader, writer := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := writeAll(root, files, bufio.NewReaderSize(reader, 1<<16))
		if err != nil {
			cancel() // git has nothing more to print for us
		}
		_ = reader.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // never fails
		written <- err
	}()
	_, err := r.git.run(ctx, strings.NewReader(wanted.String()), writer, "cat-file", "--batch", "--buffer")
	_ = writer.CloseWithError(io.ErrUnexpectedEOF) // never fails; ends writeAll if git ended early
	if failed := <-written; failed != nil && (err == nil || !errors.Is(failed, io.ErrUnexpectedEOF)) {
		return failed
	}
	if exitCode(err) > 0 {
		return fmt.Errorf("%w: %w", errMissing, err)
	}
	return err
}

var errMissing = errors.New("an object is missing")

func writeAll(root *os.Root, files []file, in *bufio.Reader) error {
	made := map[string]bool{".": true}
	for _, f := range files {
		header, err := in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%q: %w", f.path, io.ErrUnexpectedEOF)
		}
		words := strings.Fields(header) // hash, type, size; or hash, "missing"
		if len(words) == 2 && words[1] == "missing" {
			return fmt.Errorf("%q: %w", f.path, errMissing)
		}
		if len(words) != 3 || words[0] != f.hash || words[1] != "blob" {
			return fmt.Errorf("%q: unexpected answer %q", f.path, header)
		}
		size, err := strconv.ParseInt(words[2], 10, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("%q: unexpected size %q", f.path, words[2])
		}
		if err := makeFolders(root, path.Dir(f.path), made); err != nil {
			return err
		}
		if f.mode == modeSymlink {
			err = writeLink(root, f, in, size)
		} else {
			err = writeFile(root, f.path, f.mode == modeExecutable, func(out io.Writer) error {
				_, err := io.CopyN(out, in, size)
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("%q: %w", f.path, err)
		}
		if end, err := in.ReadByte(); err != nil || end != '\n' {
			return fmt.Errorf("%q: %w", f.path, io.ErrUnexpectedEOF)
		}
	}
	return nil
}

func makeFolders(root *os.Root, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := makeFolders(root, path.Dir(dir), made); err != nil {
		return err
	}
	if err := root.Mkdir(dir, 0o755); err != nil {
		return err
	}
	made[dir] = true
	return root.Chmod(dir, 0o755) // whatever the umask
}

func writeFile(root *os.Root, name string, executable bool, fill func(io.Writer) error) (err error) {
	mode := fs.FileMode(0o644)
	if executable {
		mode = 0o755
	}
	out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := fill(out); err != nil {
		return err
	}
	return out.Chmod(mode)
}

func writeLink(root *os.Root, f file, in io.Reader, size int64) error {
	if size > maxLink {
		return fmt.Errorf("a symbolic link of %d bytes", size)
	}
	target := make([]byte, size)
	if _, err := io.ReadFull(in, target); err != nil {
		return err
	}
	return root.Symlink(string(target), f.path)
}
