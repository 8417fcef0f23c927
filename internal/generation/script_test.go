package generation

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

var update = flag.Bool("update", false, "write golden files")

func path(t testing.TB, name string) storepath.Path {
	t.Helper()
	p, err := storepath.Parse("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-" + name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCommands pins every word that is run as root on a host.
func TestCommands(t *testing.T) {
	old, next := path(t, "old"), path(t, "new")
	commands := []command{
		lookCommand(),
		lockCommand("TOKEN", "run 1 of acme's fleet", 90*time.Second),
		unlockCommand("TOKEN"),
		rootCommand(next),
		store("d1", "record", "text"),
		armCommand("d1", old, next, 12*time.Minute, 10*time.Minute, 90*time.Second, 5, "TOKEN"),
		startCommand("d1"),
		disarmCommand("d1", `it's "not" $(right)`),
		statusCommand("d1", 4096, 2500*time.Millisecond),
		unitsCommand("d1", []string{"nginx.service", `dev-disk-by\x2dlabel.swap`}),
		commitCommand("d1"),
		returnCommand("d1", "status 500\nin two lines", true),
		returnCommand("d1", "cancelled", false),
		toldCommand("d1"),
		settleCommand("TOKEN"),
		recordsCommand(20),
		presentCommand([]storepath.Path{old, next}),
		holdCommand("anna", `"quoted"`),
		releaseCommand(),
		hostKeyPrepareCommand(),
		hostKeyActivateCommand(),
		sendCommand(tokenKey()),
		keysLookCommand([]Key{tokenKey()}),
		keysPutCommand("d1", keyEarly),
		keysNowCommand([]Key{tokenKey()}, []string{"/run/keys/token"}),
		store("d1", "keys", keysText([]Key{tokenKey()}, nil)),
	}
	var got strings.Builder
	for _, c := range commands {
		for _, word := range c.argv {
			got.WriteString("[" + word + "] ")
		}
		switch c.stdin {
		case "":
		case script():
			got.WriteString("< script")
		default:
			got.WriteString("< " + c.stdin)
		}
		got.WriteString("\n")
	}
	golden := filepath.Join("testdata", "commands.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("commands changed (-update writes them):\n%s", got.String())
	}
}

func TestScriptIsClean(t *testing.T) {
	for _, c := range []process.Command{
		{Program: "shellcheck", Args: []string{"--shell=sh", "--severity=style", "-"}},
		{Program: "dash", Args: []string{"-n"}},
	} {
		c.Stdin = strings.NewReader(script())
		if r, err := process.Run(t.Context(), c); err != nil {
			t.Errorf("%v\n%s%s", err, r.Stdout, r.Stderr)
		}
	}
	for _, file := range []string{"build.sh", "init", "switch-to-configuration"} {
		c := process.Command{Program: "shellcheck", Args: []string{"--shell=sh", filepath.Join("testdata", "host", file)}}
		if r, err := process.Run(t.Context(), c); err != nil {
			t.Errorf("%v\n%s", err, r.Stdout)
		}
	}
}

// TestPartOfScriptDoesNothing: a transfer that is cut short must not run half a
// verb. The store verbs below would fail loudly, since they are not there.
func TestPartOfScriptDoesNothing(t *testing.T) {
	whole := script()
	run := func(text string) (string, error) {
		r, err := process.Run(t.Context(), process.Command{
			Program: "/bin/sh", Args: []string{"-s", "--", "no-such-verb"}, Stdin: strings.NewReader(text), Dir: t.TempDir(),
		})
		return string(r.Stdout) + r.Stderr, err
	}
	if out, err := run(whole); err == nil || !strings.Contains(out, "unknown verb no-such-verb") {
		t.Fatalf("the whole script says %q, %v", out, err)
	}
	last := strings.LastIndex(whole, "main \"$@\"")
	cuts := []int{last, last + 2, last + len("main")}
	for i := 997; i < last; i += 997 {
		cuts = append(cuts, i)
	}
	for _, cut := range cuts {
		if out, _ := run(whole[:cut]); strings.Contains(out, "unknown verb") {
			t.Errorf("cut at %d of %d, it ran: %q", cut, len(whole), out)
		}
	}
}

// TestStoreWantsAllOfIt: a file that came incomplete is not there at all.
func TestStoreWantsAllOfIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "d1", "file")
	// The folder of the host's state is not this machine's.
	text := strings.ReplaceAll(storeText, "chmod 700 /var/lib/flotilla", "true")
	run := func(stdin, size string) error {
		_, err := process.Run(t.Context(), process.Command{Program: "/bin/sh", Args: []string{"-c", text, "sh", file, size}, Stdin: strings.NewReader(stdin)})
		return err
	}
	if err := run("half", "8"); err == nil {
		t.Error("half a file was taken")
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("half a file is there")
	}
	if err := run("complete", "8"); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "complete" {
		t.Errorf("got %q, %v", b, err)
	}
}

// TestBootDefault reads the files of each boot loader.
func TestBootDefault(t *testing.T) {
	system := path(t, "nixos-system-web").String()
	entry := "title NixOS\nversion Generation 7\noptions systemConfig=" + system + " init=" + system + "/init loglevel=4\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"systemd-boot", map[string]string{"/boot/loader/loader.conf": "timeout 5\ndefault nixos-generation-7.conf\n", "/boot/loader/entries/nixos-generation-7.conf": entry}, system},
		{"boot counting", map[string]string{"/boot/loader/loader.conf": "preferred nixos-ab.conf\ndefault nixos-*\n", "/boot/loader/entries/nixos-ab+3.conf": entry}, system},
		{"glob", map[string]string{"/boot/loader/loader.conf": "default nixos-*\n", "/boot/loader/entries/nixos-ab.conf": entry}, ""},
		{"no default", map[string]string{"/boot/loader/loader.conf": "timeout 5\n", "/boot/loader/entries/nixos-ab.conf": entry}, ""},
		{"other folder", map[string]string{"/efi/loader/loader.conf": "default nixos-generation-7.conf\n", "/efi/loader/entries/nixos-generation-7.conf": entry}, system},
		{"grub", map[string]string{"/boot/grub/grub.cfg": "  set default=\"0\"\nmenuentry \"NixOS\" {\n  linux /k init=" + system + "/init quiet\n}\nmenuentry \"old\" {\n linux /k init=/nix/store/zzz/init\n}\n"}, system},
		{"grub saved", map[string]string{"/boot/grub/grub.cfg": "set default=\"saved\"\nlinux /k init=" + system + "/init quiet\n"}, ""},
		{"extlinux", map[string]string{"/boot/extlinux/extlinux.conf": "DEFAULT nixos-default\nLABEL nixos-default\n  APPEND init=" + system + "/init\nLABEL nixos-7\n  APPEND init=/nix/store/zzz/init\n"}, system},
		{"none", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range c.files {
				file := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			text := strings.NewReplacer("/boot", root+"/boot", "/efi ", root+"/efi ", "/sys/firmware", root+"/sys/firmware", "/sbin/init", root+"/sbin/init").Replace(scriptLook)
			r, err := process.Run(t.Context(), process.Command{Program: "/bin/sh", Args: []string{"-s"}, Stdin: strings.NewReader(text + "\nboot_default || true\n")})
			if err != nil || strings.TrimSpace(string(r.Stdout)) != c.want {
				t.Errorf("got %q, %v; want %q", r.Stdout, err, c.want)
			}
		})
	}
}
