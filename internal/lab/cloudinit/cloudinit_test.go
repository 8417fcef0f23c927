package cloudinit_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/lab/cloudinit"
)

var update = flag.Bool("update", false, "write the golden files")

// TestDisk compares the tar stream of each testdata/<case>.yaml with the
// listing in <case>.golden.
func TestDisk(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(cases) < 4 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			userData, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := listing(t, string(userData))
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("listing is\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// listing is the parsed user data and its disk as text.
func listing(t *testing.T, userData string) string {
	t.Helper()
	c, err := cloudinit.Parse(userData)
	if err != nil {
		t.Fatal(err)
	}
	extra := cloudinit.Extra{AuthorizedKeys: []string{"ssh-ed25519 AAAA api"}, Files: map[string]string{"/var/lib/lab/addresses": "10.0.1.3/16\n"}}
	data, err := c.Tar(extra, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "hostname %q\n", c.Hostname)
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(&b, "%s %d:%d %s\n", h.FileInfo().Mode(), h.Uid, h.Gid, h.Name)
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.SplitAfter(string(content), "\n") {
			if line != "" {
				_, _ = fmt.Fprintf(&b, "  | %s\n", strings.TrimSuffix(line, "\n"))
			}
		}
	}
}

func TestRefused(t *testing.T) {
	for userData, want := range map[string]string{
		"hello":                                                                   "first line",
		"Content-Type: multipart/mixed":                                           "boundary",
		"#cloud-config\nwrite_files: 5":                                           "write_files",
		"#cloud-config\n a: [":                                                    "user data",
		"#cloud-config\nwrite_files:\n- {path: a/b}":                              "not absolute",
		"#cloud-config\nruncmd:\n- {a: b}":                                        "runcmd[0]",
		"#cloud-config\nruncmd:\n- true\n- [a]\n- {}":                             "runcmd[0]",
		"#cloud-config\nwrite_files:\n- {path: /a, permissions: 0644}":            "quoted",
		"#cloud-config\nwrite_files:\n- {path: /a, permissions: '0999'}":          "octal",
		"#cloud-config\nwrite_files:\n- {path: /a, encoding: rot13}":              "rot13",
		"#cloud-config\nwrite_files:\n- {path: /a, encoding: b64, content: '%'}":  "base64",
		"#cloud-config\nwrite_files:\n- {path: /a, encoding: gzip, content: abc}": "gzip",
	} {
		_, err := cloudinit.Parse(userData)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want something about %s", userData, err, want)
		}
	}
	c, err := cloudinit.Parse("#cloud-config\nwrite_files:\n- {path: /a, owner: 'x; reboot'}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tar(cloudinit.Extra{}, time.Now()); err == nil {
		t.Error("an owner that is shell text is accepted")
	}
}

func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range seeds {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, userData string) {
		c, err := cloudinit.Parse(userData)
		if err != nil {
			return
		}
		data, err := c.Tar(cloudinit.Extra{}, time.Unix(0, 0))
		if err != nil {
			return
		}
		r := tar.NewReader(bytes.NewReader(data))
		for {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("the tar stream is damaged: %v", err)
			}
			if strings.HasPrefix(h.Name, "/") || strings.Contains("/"+h.Name+"/", "/../") {
				t.Fatalf("file %q leaves the disk", h.Name)
			}
		}
	})
}
