package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeEngine puts programs on PATH that behave like a docker engine which is
// installed by apt-get and runs while the file "up" exists.
func fakeEngine(t *testing.T, installed bool) (dir string) {
	t.Helper()
	dir = t.TempDir()
	script := func(name, body string) {
		text := "#!/bin/sh\nd=" + quote(dir) + "\necho \"" + name + " $*\" >> $d/calls\n" + body + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script("off-docker", `[ -e $d/up ]`)
	script("off-dockerd", `echo $$ > $d/pid; trap 'rm -f $d/up; exit 0' TERM; touch $d/up; while :; do sleep 0.05; done`)
	script("apt-get", `[ "$1" = update ] || { mv $d/off-docker $d/docker; mv $d/off-dockerd $d/dockerd; }`)
	script("systemctl", `touch $d/up`)
	if installed {
		for _, name := range []string{"docker", "dockerd"} {
			if err := os.Rename(filepath.Join(dir, "off-"+name), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"sh", "sleep", "touch", "rm", "mv"} { // the real ones, without the real docker beside them
		if err := os.Symlink("/bin/"+name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	return dir
}

func calls(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestEngineThatAnswersIsLeftAlone(t *testing.T) {
	dir := fakeEngine(t, true)
	if err := os.WriteFile(filepath.Join(dir, "up"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e := engine{root: t.TempDir(), say: t.Logf}
	if err := e.ensure(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := calls(t, dir); strings.Contains(got, "apt-get") || strings.Contains(got, "dockerd") || strings.Contains(got, "systemctl") {
		t.Errorf("calls were\n%s", got)
	}
	if err := e.release(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "up")); err != nil {
		t.Error("an engine that no lab started was stopped")
	}
}

func TestEngineIsInstalledStartedAndStopped(t *testing.T) {
	if os.Geteuid() != 0 {
		e := engine{root: t.TempDir(), say: t.Logf}
		fakeEngine(t, false)
		if err := e.ensure(context.Background()); err == nil || !strings.Contains(err.Error(), "no docker engine answers") {
			t.Fatalf("without root: %v", err)
		}
		return
	}
	dir := fakeEngine(t, false)
	var said []string
	e := engine{root: t.TempDir(), say: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := e.ensure(ctx); err != nil {
		t.Fatal(err)
	}
	if got := calls(t, dir); !strings.Contains(got, "apt-get install -y docker.io debootstrap") {
		t.Errorf("calls were\n%s", got)
	}
	if len(said) != 3 || !strings.HasPrefix(said[2], "docker engine: started (") {
		t.Errorf("said %q", said)
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		return // systemd keeps the engine, and stops it
	}
	id, ours := e.ours()
	if !ours {
		t.Fatal("nobody remembers that a lab started the engine")
	}
	if err := e.release(ctx); err != nil {
		t.Fatal(err)
	}
	if id.alive() {
		t.Error("the engine still runs")
	}
	if _, err := os.Stat(filepath.Join(dir, "up")); err == nil {
		t.Error("the engine was killed instead of asked to stop")
	}
	if left, err := os.ReadDir(e.root); err != nil || len(left) > 0 {
		t.Errorf("left in the state: %v, %v", left, err)
	}
}

func TestStoppingAnotherProcessOfTheSameNumber(t *testing.T) {
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !self.alive() {
		t.Error("this process is taken for dead")
	}
	other := processID{PID: self.PID, Start: "1"}
	if other.alive() {
		t.Error("a process is known by its number alone")
	}
	if err := other.stop(context.Background(), time.Second); err != nil { // would end this test otherwise
		t.Error(err)
	}
}

func TestImagesAreKeptUnlessAskedFor(t *testing.T) {
	dir := fakeEngine(t, true)
	body := `#!/bin/sh
echo "docker $*" >> ` + quote(dir) + `/calls
case "$*" in
"image ls "*lab-debian) printf 'flotilla-lab-debian:1\nflotilla-lab-debian:2\n' ;;
"image ls "*lab-nixos) echo flotilla-lab-nixos:1 ;;
"image rm flotilla-lab-debian:2") echo "image is being used by running container" >&2; exit 1 ;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	down := func(images bool) string {
		t.Helper()
		var said []string
		say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
		if err := Down(context.Background(), DownOptions{Name: "x", Images: images, Say: say}); err != nil {
			t.Fatal(err)
		}
		return strings.Join(said, "\n")
	}
	if got := down(false); !strings.Contains(got, "kept for the next lab") || strings.Contains(calls(t, dir), "image rm") {
		t.Errorf("without --images: %s\n%s", got, calls(t, dir))
	}
	got := down(true)
	for _, want := range []string{"image flotilla-lab-debian:1: removed", "image flotilla-lab-debian:2 stays", "image flotilla-lab-nixos:1: removed", "lab x: there was none"} {
		if !strings.Contains(got, want) {
			t.Errorf("with --images nothing says %q:\n%s", want, got)
		}
	}
}
