// Package cloudinit reads a server's user data as far as the lab takes it and
// makes of it the files of a machine's disk, as one tar stream.
//
// Rule: what it does not understand it says; nothing is dropped in silence.
// Non-goals: everything of cloud-init beyond write_files, ssh_keys,
// ssh_authorized_keys, hostname and runcmd.
package cloudinit

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// maxFile bounds what a compressed file may grow to.
const maxFile = 16 << 20

// RunScript is where the commands of runcmd go; the image's own unit runs it
// once, at first boot.
const RunScript = "/var/lib/cloud/scripts/runcmd"

// Log is where Files notes what it did not understand, inside the machine.
const Log = "/var/log/cloud-init.log"

// Config is what user data asks for.
type Config struct {
	Hostname       string // "": the server's name
	AuthorizedKeys []string
	HostKeys       map[string]string // ed25519_private → text, …
	Files          []File
	Script         string   // shell script for the first boot; "": none
	Notes          []string // what was not understood, one line each
}

// File is one of write_files.
type File struct {
	Path    string
	Content []byte
	Mode    int64
	Owner   string // "user:group" by name or number; "": root
}

// document is the part of #cloud-config that is understood.
type document struct {
	Hostname       string            `yaml:"hostname"`
	AuthorizedKeys []string          `yaml:"ssh_authorized_keys"`
	HostKeys       map[string]string `yaml:"ssh_keys"`
	WriteFiles     []writeFile       `yaml:"write_files"`
	RunCmd         []any             `yaml:"runcmd"`
}

type writeFile struct {
	Path        string `yaml:"path"`
	Content     string `yaml:"content"`
	Permissions any    `yaml:"permissions"`
	Owner       string `yaml:"owner"`
	Encoding    string `yaml:"encoding"`
	Append      bool   `yaml:"append"`
	Defer       bool   `yaml:"defer"`
}

// Parse reads user data: "" (nothing), a script (#!…), #cloud-config, or a MIME
// message with several of them. An error means that the machine would not come up as meant.
func Parse(userData string) (Config, error) {
	first, _, _ := strings.Cut(userData, "\n")
	first = strings.TrimSpace(first)
	switch {
	case strings.TrimSpace(userData) == "":
		return Config{}, nil
	case strings.HasPrefix(first, "#!"):
		return Config{Script: userData}, nil
	case first == "#cloud-config":
		return parseDocument(userData)
	case isMIME(first):
		return parseParts(userData)
	}
	return Config{}, fmt.Errorf("user data: the first line must be #cloud-config or #!…, not %q", first)
}

func parseDocument(userData string) (Config, error) {
	var all map[string]any
	if err := readYAML(userData, &all); err != nil {
		return Config{}, err
	}
	var doc document
	if err := readYAML(userData, &doc); err != nil {
		return Config{}, err
	}
	c := Config{Hostname: doc.Hostname, AuthorizedKeys: doc.AuthorizedKeys, HostKeys: map[string]string{}}
	c.noteUnknown("", all, "hostname", "ssh_authorized_keys", "ssh_keys", "write_files", "runcmd")
	c.takeHostKeys(doc.HostKeys)
	for i, w := range doc.WriteFiles {
		f, err := w.file()
		if err != nil {
			return Config{}, fmt.Errorf("user data: write_files[%d]: %w", i, err)
		}
		c.Files = append(c.Files, f)
		if entries, ok := all["write_files"].([]any); ok && i < len(entries) {
			if keys, ok := entries[i].(map[string]any); ok {
				c.noteUnknown("write_files[].", keys, "path", "content", "permissions", "owner", "encoding", "append", "defer")
			}
		}
		if w.Append {
			c.Notes = append(c.Notes, "write_files: append is not supported, "+f.Path+" is replaced")
		}
		if under(f.Path, "/run") || under(f.Path, "/tmp") {
			c.Notes = append(c.Notes, "write_files: "+f.Path+" is gone at boot, as /run and /tmp begin empty")
		}
	}
	var err error
	c.Script, err = script(doc.RunCmd)
	return c, err
}

// readYAML decodes text. The library panics on some malformed tags (testdata has
// one), which must not end the lab.
func readYAML(text string, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("user data: not valid YAML (%v)", p)
		}
	}()
	if err := yaml.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("user data: %w", err)
	}
	return nil
}

func under(file, dir string) bool { return strings.HasPrefix(file, dir+"/") }

func (c *Config) noteUnknown(prefix string, has map[string]any, known ...string) {
	for _, key := range slices.Sorted(maps.Keys(has)) {
		if !slices.Contains(known, key) {
			c.Notes = append(c.Notes, "unknown key "+prefix+key+" is ignored")
		}
	}
}

func (c *Config) takeHostKeys(keys map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		kind, half, _ := strings.Cut(name, "_")
		if !slices.Contains([]string{"ed25519", "ecdsa", "rsa"}, kind) || half != "private" && half != "public" {
			c.Notes = append(c.Notes, "unknown key ssh_keys."+name+" is ignored")
			continue
		}
		c.HostKeys[name] = strings.TrimRight(keys[name], "\n") + "\n"
	}
}

func (w writeFile) file() (File, error) {
	if !path.IsAbs(w.Path) {
		return File{}, fmt.Errorf("path %q is not absolute", w.Path)
	}
	f := File{Path: path.Clean(w.Path), Mode: 0o644, Owner: w.Owner}
	if f.Owner == "root" || f.Owner == "root:root" {
		f.Owner = ""
	}
	switch p := w.Permissions.(type) {
	case nil:
	case string:
		mode, err := strconv.ParseInt(p, 8, 64)
		if err != nil || mode < 0 || mode > 0o7777 {
			return File{}, fmt.Errorf("%s: permissions %q are not octal", w.Path, p)
		}
		f.Mode = mode
	default:
		// A bare number was read by YAML's own rules before anybody could tell what was meant.
		return File{}, fmt.Errorf("%s: permissions must be a quoted string such as '0644'", w.Path)
	}
	var err error
	f.Content, err = decode(w.Encoding, w.Content)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", w.Path, err)
	}
	return f, nil
}

func decode(encoding, content string) ([]byte, error) {
	data := []byte(content)
	var packed bool
	switch encoding {
	case "", "text/plain":
		return data, nil
	case "gz", "gzip":
		packed = true
	case "gz+base64", "gzip+base64", "gz+b64", "gzip+b64":
		packed = true
		fallthrough
	case "b64", "base64":
		var err error
		if data, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content), "")); err != nil {
			return nil, fmt.Errorf("content is not base64: %w", err)
		}
	default:
		return nil, fmt.Errorf("unknown encoding %q", encoding)
	}
	if !packed {
		return data, nil
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("content is not gzip: %w", err)
	}
	data, err = io.ReadAll(io.LimitReader(unpacked, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("content is not gzip: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("content is larger than %d bytes", maxFile)
	}
	return data, nil
}

// script makes one shell script of runcmd: strings are shell lines, lists are
// words. As with cloud-init, a line that fails does not stop the next.
func script(commands []any) (string, error) {
	if len(commands) == 0 {
		return "", nil
	}
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	for i, c := range commands {
		switch c := c.(type) {
		case string:
			b.WriteString(c + "\n")
		case []any:
			words := make([]string, len(c))
			for j, w := range c {
				words[j] = quote(fmt.Sprint(w))
			}
			b.WriteString(strings.Join(words, " ") + "\n")
		default:
			return "", fmt.Errorf("user data: runcmd[%d] is neither a string nor a list", i)
		}
	}
	return b.String(), nil
}

func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

var errNoOwner = errors.New("owner is not user or user:group")

// numbers gives uid and gid of an owner, if both are numbers or root; ok false
// means that only the machine can look the names up.
func numbers(owner string) (uid, gid int, ok bool, err error) {
	user, group, has := strings.Cut(owner, ":")
	if !has {
		group = user
	}
	if owner == "" {
		return 0, 0, true, nil
	}
	for _, name := range []string{user, group} {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != "" || name[0] == '-' {
			return 0, 0, false, fmt.Errorf("%q: %w", owner, errNoOwner)
		}
	}
	number := func(name string) (int, bool) {
		if name == "root" {
			return 0, true
		}
		n, err := strconv.Atoi(name)
		return n, err == nil
	}
	uid, ok = number(user)
	gid, okGroup := number(group)
	return uid, gid, ok && okGroup, nil
}
