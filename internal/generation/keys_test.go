package generation

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

func tokenKey() Key {
	return Key{Name: "token", Path: "/run/keys/token", User: "nginx", Group: "root", Mode: "0400", Content: secret.New("sesame")}
}

func TestKeyCheck(t *testing.T) {
	for _, c := range []struct {
		change func(*Key)
		want   string // part of the refusal
	}{
		{func(*Key) {}, ""},
		{func(k *Key) { k.Path = "/var/lib/my keys/a b" }, ""},
		{func(k *Key) { k.User, k.Group = "1000", "100" }, ""},
		{func(k *Key) { k.Mode = "440" }, ""},
		{func(k *Key) { k.Path = "run/keys/token" }, "its path"},
		{func(k *Key) { k.Path = "/token" }, "its path"},
		{func(k *Key) { k.Path = "/run/keys/../token" }, "its path"},
		{func(k *Key) { k.Path = "/run/keys/token\nnone /etc/passwd" }, "its path"},
		{func(k *Key) { k.Path = "/run/keys/token " }, "its path"},
		{func(k *Key) { k.Path = "/run/keys/" }, "its path"},
		{func(k *Key) { k.User = "-R" }, "its owner"},
		{func(k *Key) { k.Group = "a b" }, "its owner"},
		{func(k *Key) { k.Mode = "u+x" }, "its permissions"},
		{func(k *Key) { k.Mode = "0888" }, "its permissions"},
	} {
		k := tokenKey()
		c.change(&k)
		err := k.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", k, err, c.want)
		}
	}
	other := tokenKey()
	other.Name = "second"
	if err := checkKeys([]Key{tokenKey(), other}); err == nil || !strings.Contains(err.Error(), "are one file") {
		t.Errorf("two keys at one path: %v", err)
	}
}

// A key's content is on standard input alone.
func TestKeyContentIsNoArgument(t *testing.T) {
	k := tokenKey()
	for _, c := range []command{sendCommand(k), keysLookCommand([]Key{k}), keysNowCommand([]Key{k}, []string{k.Path}), store("d1", "keys", keysText([]Key{k}, []string{k.Path}))} {
		if text := fmt.Sprint(c.argv); strings.Contains(text, "sesame") {
			t.Errorf("on the command line: %s", text)
		}
	}
	if strings.Contains(fmt.Sprintf("%+v %#v", k, k), "sesame") {
		t.Error("a key prints its content")
	}
}

// keyShell runs verbs of the script in folders of the test's own.
type keyShell struct {
	t    *testing.T
	root string
}

func (s keyShell) run(script string) (string, error) {
	text := strings.NewReplacer("/var/lib/flotilla", s.root+"/lib", "/run/flotilla", s.root+"/run").Replace(scriptBase) + scriptKeys +
		"\ntools() { :; }\nload() { id=$1 dir=$lib/deployments/$1 here=$run/$1; mkdir -p \"$dir\" \"$here\"; }\n" + script
	r, err := process.Run(s.t.Context(), process.Command{Program: "/bin/sh", Args: []string{"-s"}, Stdin: strings.NewReader(text)})
	return string(r.Stdout) + r.Stderr, err
}

func (s keyShell) must(script string) string {
	s.t.Helper()
	out, err := s.run(script)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

func (s keyShell) send(k Key) {
	s.t.Helper()
	c := sendCommand(k)
	if _, err := process.Run(s.t.Context(), process.Command{Program: c.argv[0], Args: c.argv[1:], Stdin: strings.NewReader(c.stdin)}); err != nil {
		s.t.Fatal(err)
	}
}

func (s keyShell) file(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "none"
	}
	return string(b)
}

// TestKeysOnTheHost: what the deployment puts there is taken back with it, and
// stays with a commit; the verbs may be repeated.
func TestKeysOnTheHost(t *testing.T) {
	for _, end := range []string{"keys_back", "keys_keep"} {
		t.Run(end, func(t *testing.T) {
			s := keyShell{t, t.TempDir()}
			folder := filepath.Join(s.root, "my keys")
			me := strconv.Itoa(os.Getuid())
			key := func(name, content string, late bool) Key {
				return Key{Name: name, Path: filepath.Join(folder, name), User: me, Group: strconv.Itoa(os.Getgid()), Mode: "0440", Late: late, Content: secret.New(content)}
			}
			keys := []Key{key("old", "new content", false), key("fresh", "first", false), key("late", "second", true), key("same", "x", false)}
			for _, k := range keys {
				if err := k.Check(); err != nil {
					t.Fatal(err)
				}
			}
			s.send(key("old", "old content", false))
			s.must("keys_now early 0600 " + me + " " + me + " '" + keys[0].Path + "'")
			if got := s.file(keys[0].Path); got != "old content" {
				t.Fatalf("keys_now left %q", got)
			}
			s.must("load d1; cat >\"$dir/keys\" <<'END'\n" + keysText(keys, []string{keys[0].Path, keys[1].Path, keys[2].Path}) + "END\n")
			if out, err := s.run("keys_put d1 early"); err == nil || !strings.Contains(out, "did not come") {
				t.Fatalf("a key that was not sent: %v %s", err, out)
			}
			s.send(keys[0])
			s.send(keys[1])
			s.must("keys_put d1 early")
			s.must("keys_put d1 early")
			s.send(keys[2])
			s.must("keys_put d1 late")
			for _, k := range keys[:3] {
				info, err := os.Stat(k.Path)
				if err != nil || s.file(k.Path) != k.Content.Reveal() || info.Mode().Perm() != 0o440 {
					t.Errorf("%s is %q, %v, %v", k.Name, s.file(k.Path), info, err)
				}
			}
			s.must("load d1; " + end)
			s.must("load d1; " + end)
			want := []string{"old content", "none", "none"}
			if end == "keys_keep" {
				want = []string{"new content", "first", "second"}
			}
			for i, w := range want {
				if got := s.file(keys[i].Path); got != w {
					t.Errorf("%s: %s is %q, want %q", end, keys[i].Name, got, w)
				}
			}
			entries, err := os.ReadDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if strings.HasPrefix(e.Name(), ".") {
					t.Errorf("left over: %s", e.Name())
				}
			}
			if end == "keys_keep" {
				if out := s.must("look_keys"); strings.TrimSpace(out) != "key-missing "+keys[3].Path {
					t.Errorf("missing: %q", out)
				}
			}
		})
	}
}

// What was kept and could not be replaced is as it was.
func TestKeyWithoutItsOwner(t *testing.T) {
	s := keyShell{t, t.TempDir()}
	k := Key{Name: "k", Path: filepath.Join(s.root, "keys", "k"), User: "nobody-knows", Group: "root", Mode: "0400", Late: true, Content: secret.New("new")}
	if err := os.MkdirAll(filepath.Dir(k.Path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.Path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must("load d1; cat >\"$dir/keys\" <<'END'\n" + keysText([]Key{k}, []string{k.Path}) + "END\n")
	s.send(k)
	if out, err := s.run("keys_put d1 late"); err == nil || !strings.Contains(out, "no such user or group") {
		t.Errorf("%v %s", err, out)
	}
	s.must("load d1; keys_back")
	entries, err := os.ReadDir(filepath.Dir(k.Path))
	if got := s.file(k.Path); err != nil || got != "old" || len(entries) != 1 {
		t.Errorf("left %q among %v, %v", got, entries, err)
	}
}

// What the guard took back stays back.
func TestKeysComeTooLate(t *testing.T) {
	s := keyShell{t, t.TempDir()}
	k := Key{Name: "k", Path: filepath.Join(s.root, "keys", "k"), User: "0", Group: "0", Mode: "0400", Content: secret.New("x")}
	s.must("load d1; cat >\"$dir/keys\" <<'END'\n" + keysText([]Key{k}, []string{k.Path}) + "END\n")
	s.send(k)
	if out, err := s.run("load d1; decide return; keys_put d1 early"); err == nil || !strings.Contains(out, "guard's time is over") {
		t.Errorf("%v %s", err, out)
	}
	s.must("load d1; keys_back")
	if got := s.file(k.Path) + s.file(filepath.Dir(k.Path)+"/.k.flotilla-new"); got != "nonenone" {
		t.Errorf("left: %q", got)
	}
}

// TestChangedKeys: the files that are right are not sent again.
func TestKeyIs(t *testing.T) {
	k := tokenKey()
	const sum = "d8d8ee0bd6ed7c8b2c2b0f8fa1de3bb6e8d37e2f0c0c5f0ba0f5a0d44a9d4e9b"
	if k.is([]string{sum, "400", "nginx", "60", "root", "0"}) {
		t.Error("another content is taken for the key's")
	}
	out, err := process.Run(t.Context(), process.Command{Program: "sha256sum", Stdin: strings.NewReader("sesame")})
	if err != nil {
		t.Fatal(err)
	}
	real, _, _ := strings.Cut(string(out.Stdout), " ")
	for _, c := range []struct {
		file []string
		want bool
	}{
		{[]string{real, "400", "nginx", "60", "root", "0"}, true},
		{[]string{real, "440", "nginx", "60", "root", "0"}, false},
		{[]string{real, "400", "root", "0", "root", "0"}, false},
		{nil, false},
	} {
		if got := k.is(c.file); got != c.want {
			t.Errorf("%v: %v", c.file, got)
		}
	}
	k.User = "60"
	if !k.is([]string{real, "400", "nginx", "60", "root", "0"}) {
		t.Error("a number is a user too")
	}
}
