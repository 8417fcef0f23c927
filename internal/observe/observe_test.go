//go:build linux && (amd64 || arm64)

package observe

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// The test's own program is what Become turns into others.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "become" {
		fmt.Fprintln(os.Stderr, Become(os.Args[2:]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// watch runs a program and gives what it looked at.
func watch(t *testing.T, dir string, args ...string) Seen {
	t.Helper()
	w, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, append([]string{"become"}, args...)...)
	cmd.Dir, cmd.Stdin = dir, w.Child()
	out, err := cmd.CombinedOutput()
	seen := w.End()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return seen
}

func TestSeen(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"read", "listed/x", "deep/er/file", "asked"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("read", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		opened string // "": only asked for
		asked  string
	}{
		{[]string{"cat", dir + "/read"}, dir + "/read", ""},
		{[]string{"cat", "read"}, dir + "/read", ""},
		{[]string{"cat", "deep/../read"}, dir + "/deep/../read", ""},
		{[]string{"ls", dir + "/listed"}, dir + "/listed", ""},
		{[]string{"test", "-e", dir + "/asked"}, "", dir + "/asked"},
		{[]string{"test", "!", "-e", dir + "/absent"}, "", dir + "/absent"},
		{[]string{"readlink", dir + "/link"}, "", dir + "/link"},
		{[]string{"find", "deep", "-newer", "read"}, dir + "/deep/er", dir + "/deep/er/file"},
		{[]string{"cat", dir + "/" + strings.Repeat("./", 600) + "read"}, dir + "/" + strings.Repeat("./", 600) + "read", ""},
	} {
		seen := watch(t, dir, c.args...)
		if seen.Doubt != "" {
			t.Errorf("%v: doubt: %s", c.args, seen.Doubt)
		}
		if c.opened != "" && !slices.Contains(seen.Opened, c.opened) {
			t.Errorf("%v: opened %q", c.args, seen.Opened)
		}
		if c.asked != "" && !slices.Contains(slices.Concat(seen.Opened, seen.Asked), c.asked) {
			t.Errorf("%v: asked for %q and opened %q", c.args, seen.Asked, seen.Opened)
		}
		if c.opened == "" && slices.Contains(seen.Opened, c.asked) {
			t.Errorf("%v: opened %q, which was only asked for", c.args, seen.Opened)
		}
	}
}

func TestDoubt(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	for _, args := range [][]string{
		{"sh", "-c", "cat /etc/hostname; true"},
		{"bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/127.0.0.1/%d", port)},
	} {
		if seen := watch(t, t.TempDir(), args...); seen.Doubt == "" {
			t.Errorf("%v: no doubt", args)
		}
	}
}

// A program that never comes up, or does not call Become, was not watched.
func TestNotWatched(t *testing.T) {
	w, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "true")
	cmd.Stdin = w.Child()
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if seen := w.End(); seen.Doubt == "" {
		t.Error("no doubt")
	}
}

// Where a container does not allow the quicker way.
func TestMemoryFile(t *testing.T) {
	text := []byte("a name\x00")
	into := make([]byte, len(text))
	n, err := readMemoryFile(uint32(os.Getpid()), uint64(uintptr(unsafe.Pointer(&text[0]))), into)
	if err != nil || n != len(text) || !slices.Equal(into, text) {
		t.Errorf("%q, %d, %v", into, n, err)
	}
}
