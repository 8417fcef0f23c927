package cloudinit

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Extra is what a machine's disk gets beside its user data.
type Extra struct {
	AuthorizedKeys []string          // the API's ssh_keys
	Files          map[string]string // path → content, mode 0644
}

// Tar gives the files of a first boot as a tar stream for the root directory,
// in a fixed order, all of them root's unless the user data says otherwise.
func (c Config) Tar(extra Extra, now time.Time) ([]byte, error) {
	d := &disk{now: now}
	d.tar = tar.NewWriter(&d.out)
	keys := slices.Concat(extra.AuthorizedKeys, c.AuthorizedKeys)
	if len(keys) > 0 {
		d.dir("/root/.ssh", 0o700)
		d.file("/root/.ssh/authorized_keys", []byte(lines(keys)), 0o600, 0, 0)
	}
	for _, name := range slices.Sorted(maps.Keys(c.HostKeys)) {
		kind, half, _ := strings.Cut(name, "_")
		file, mode := "/etc/ssh/ssh_host_"+kind+"_key", int64(0o600)
		if half == "public" {
			file, mode = file+".pub", 0o644
		}
		d.file(file, []byte(c.HostKeys[name]), mode, 0, 0)
	}
	script := c.Script
	for _, f := range c.Files {
		uid, gid, known, err := numbers(f.Owner)
		if err != nil {
			return nil, fmt.Errorf("user data: %s: %w", f.Path, err)
		}
		if !known {
			script = chown(script, f)
		}
		d.file(f.Path, f.Content, f.Mode, uid, gid)
	}
	if script != "" {
		d.file(RunScript, []byte(script), 0o755, 0, 0)
	}
	if len(c.Notes) > 0 {
		d.file(Log, []byte(lines(c.Notes)), 0o644, 0, 0)
	}
	for _, name := range slices.Sorted(maps.Keys(extra.Files)) {
		d.file(name, []byte(extra.Files[name]), 0o644, 0, 0)
	}
	if d.err == nil {
		d.err = d.tar.Close()
	}
	return d.out.Bytes(), d.err
}

// chown puts a line below the script's first, since names of users are known
// in the machine only.
func chown(script string, f File) string {
	if script == "" {
		script = "#!/bin/sh\n"
	}
	head, rest, _ := strings.Cut(script, "\n")
	return head + "\nchown " + f.Owner + " " + quote(f.Path) + "\n" + rest
}

func lines(all []string) string { return strings.Join(all, "\n") + "\n" }

type disk struct {
	out bytes.Buffer
	tar *tar.Writer
	now time.Time
	err error
	had []string
}

func (d *disk) dir(name string, mode int64) {
	d.header(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(name, "/") + "/", Mode: mode, ModTime: d.now})
	d.had = append(d.had, name)
}

// file writes one file. Directories that need not exist in an image are made
// with mode 0755; those that do are left as they are.
func (d *disk) file(name string, content []byte, mode int64, uid, gid int) {
	d.parents(path.Dir(name))
	d.header(&tar.Header{
		Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "/"), Mode: mode, Uid: uid, Gid: gid, Size: int64(len(content)), ModTime: d.now,
	})
	if d.err == nil {
		_, d.err = d.tar.Write(content)
	}
}

func (d *disk) parents(dir string) {
	for _, present := range []string{
		"/", "/etc", "/etc/ssh", "/root", "/var", "/var/lib", "/var/log", "/opt", "/home", "/srv", "/tmp", "/run", "/usr", "/usr/local",
		"/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/lib", "/bin", "/sbin", "/boot", "/etc/systemd", "/etc/systemd/system",
	} {
		if dir == present {
			return
		}
	}
	if slices.Contains(d.had, dir) {
		return
	}
	d.parents(path.Dir(dir))
	mode := int64(0o755)
	if dir == "/root/.ssh" {
		mode = 0o700
	}
	d.dir(dir, mode)
}

func (d *disk) header(h *tar.Header) {
	if d.err == nil {
		d.err = d.tar.WriteHeader(h)
	}
}
