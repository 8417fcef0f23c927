package lab

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWriteTree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "nixpkgs")
	if err := WriteTree(dir); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(dir, "lib", "stale.nix")
	if err := os.WriteFile(stale, []byte("{ }"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteTree(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("a file of an older tree stayed: %v", err)
	}
	for _, name := range []string{"default.nix", "flake.nix", "lib/default.nix", "nixos/lib/eval-config.nix", "nixos/modules/system/switch/switch-to-configuration.pl"} {
		got, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the test's own folder
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(filepath.FromSlash(treeRoot), name)) //nolint:gosec // the package's own files
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s differs from the source", name)
		}
	}
	left, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(left) != 1 {
		t.Errorf("left beside the tree: %v %v", left, err)
	}
}

func TestHashOf(t *testing.T) {
	image, err := hashOf(imageRoot)
	if err != nil {
		t.Fatal(err)
	}
	again, err := hashOf(imageRoot)
	if err != nil || again != image {
		t.Errorf("%s then %s: %v", image, again, err)
	}
	both, err := hashOf(imageRoot, treeRoot)
	if err != nil || both == image || len(both) != 12 {
		t.Errorf("with the tree %q, without %q: %v", both, image, err)
	}
	if _, err := hashOf("nixos/nowhere"); err == nil {
		t.Error("a folder that does not exist has a hash")
	}
}

func TestDebianMirror(t *testing.T) {
	tests := []struct{ name, file, text, want string }{
		{"nothing", "sources.list", "", ""},
		{"one line", "sources.list", "deb [arch=amd64] http://mirror.example/debian/ bookworm main\n", "http://mirror.example/debian"},
		{"deb822", "sources.list.d/debian.sources", "Types: deb\n# http://snapshot.example/archive/debian/2025\nURIs: https://m.example/debian\nSuites: bookworm\n", "https://m.example/debian"},
		{"security alone", "sources.list", "deb http://m.example/debian-security bookworm-security main\n", ""},
		{"another distribution", "sources.list", "deb http://archive.ubuntu.com/ubuntu noble main\n", ""},
		{"commented out", "sources.list", "# deb http://m.example/debian bookworm main\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			apt := t.TempDir()
			file := filepath.Join(apt, tt.file)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := debianMirror(apt); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
