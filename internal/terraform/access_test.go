package terraform_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/terraform"
)

// What an expression may read: the repository, and public keys anywhere.
func TestFiles(t *testing.T) {
	outside, repo := t.TempDir(), t.TempDir()
	dir := filepath.Join(repo, "infra")
	write(t, filepath.Join(repo, ".git", "HEAD"), "")
	write(t, filepath.Join(repo, "keys", "a"), "in the repository")
	write(t, filepath.Join(outside, "b.pub"), "a public key")
	write(t, filepath.Join(outside, "c"), "outside")
	write(t, filepath.Join(dir, "d"), "-----BEGIN OPENSSH PRIVATE KEY-----\nxyz\n")
	if err := os.Symlink(filepath.Join(outside, "c"), filepath.Join(dir, "e")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, want, gap string }{
		"in the repository": {file: "../keys/a", want: "in the repository"},
		"a public key":      {file: filepath.Join(outside, "b.pub"), want: "a public key"},
		"outside":           {file: filepath.Join(outside, "c"), gap: "it lies outside of the repository"},
		"a link to outside": {file: "e", gap: "it lies outside of the repository"},
		"a private key":     {file: "d", gap: "it holds a private key"},
		"a folder":          {file: "../keys", gap: "it is not a regular file"},
		"nothing":           {file: "nothing", gap: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, filepath.Join(dir, "main.tf"), "resource \"hcloud_ssh_key\" \"k\" {\n  name = \"k\"\n  public_key = file(\""+c.file+"\")\n}\n")
			got, err := terraform.Read(t.Context(), dir, terraform.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if key := got.Fleet.SSHKeys["k"]; key.PublicKey != c.want || key.Existing != (c.want == "") {
				t.Errorf("the key is %+v, want %q", key, c.want)
			}
			text := ""
			for _, g := range got.Gaps {
				text += g.String() + "\n"
			}
			if c.gap == "" && text != "" || !strings.Contains(text, c.gap) || strings.Contains(text, "xyz") {
				t.Errorf("the gaps are %q, want %q", text, c.gap)
			}
		})
	}
}

// A .tf file that is a link to something else is not read, nor shown.
func TestLinkedFile(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "secret"), "not for anybody's eyes\n")
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "main.tf")); err != nil {
		t.Fatal(err)
	}
	_, err := terraform.Read(t.Context(), dir, terraform.Options{})
	if text := problem.Text(err); !strings.Contains(text, "outside of the repository") || strings.Contains(text, "eyes") {
		t.Errorf("the error is %s", text)
	}
}

// The places of a broken state, and of one that another version wrote.
func TestBrokenState(t *testing.T) {
	for name, c := range map[string]struct{ state, want string }{
		"not JSON":       {"resource {}", "this is not a Terraform state"},
		"other version":  {`{"version": 3}`, "the state is of version 3"},
		"no object":      {`{"version": 4, "resources": [{"type": "t", "name": "n", "instances": [{"attributes": [1]}]}]}`, "t.n: its attributes are not an object"},
		"nested":         {strings.Repeat("[", 1000), "nested too deep"},
		"version a text": {`{"version": "4"}`, "this is not a Terraform state"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "main.tf"), "")
			write(t, filepath.Join(dir, "terraform.tfstate"), c.state)
			_, err := terraform.Read(t.Context(), dir, terraform.Options{State: filepath.Join(dir, "terraform.tfstate")})
			if text := problem.Text(err); !strings.Contains(text, c.want) || !strings.Contains(text, "terraform.tfstate: ") {
				t.Errorf("the error is %s, want %s", text, c.want)
			}
		})
	}
}

// A cancelled import ends, however much is left to evaluate.
func TestCancelled(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.tf"), hostile()[1])
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := terraform.Read(ctx, dir, terraform.Options{})
	if !errors.Is(err, context.Canceled) || problem.CodeOf(err) != problem.Cancelled {
		t.Errorf("the error is %v", err)
	}
}

// The name of the fleet is the folder's, made fit for a label.
func TestFleetName(t *testing.T) {
	for folder, want := range map[string]string{
		"prod": "prod", "My Fleet (old)": "My-Fleet-old", "--": "fleet",
		strings.Repeat("long-", 10): "long-long-long-long-long-long-lo",
	} {
		dir := filepath.Join(t.TempDir(), folder)
		write(t, filepath.Join(dir, "main.tf"), "")
		got, err := terraform.Read(t.Context(), dir, terraform.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got.Fleet.Name != want {
			t.Errorf("the fleet of %q is %q, want %q", folder, got.Fleet.Name, want)
		}
	}
}
