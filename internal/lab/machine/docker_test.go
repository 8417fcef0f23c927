package machine

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

// fakeDocker puts a docker on PATH that answers with a shell script.
func fakeDocker(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestContainerOnBothCgroupVersions(t *testing.T) {
	fakeDocker(t, `[ "$1 $2" = "image inspect" ] && printf '/sbin/lab-init\n--flag\n'`)
	m := cloud.Machine{ID: 7, Name: "web", IPv4: netip.MustParseAddr("10.213.0.10")}
	common := "create --name flotilla-lab-x-7 --hostname web --label dev.flotilla.lab=x --label dev.flotilla.lab.server=7 " +
		"--network flotilla-lab-x --ip 10.213.0.10 --restart unless-stopped --stop-signal SIGRTMIN+3 --cap-add SYS_ADMIN --cap-add NET_ADMIN " +
		"--security-opt seccomp=unconfined --security-opt apparmor=unconfined --tmpfs /run:exec,mode=755 --tmpfs /tmp:exec,mode=1777 -e container=docker "
	for v2, want := range map[bool]string{
		false: common + "--cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup:rw -e SYSTEMD_PROC_CMDLINE=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 img",
		true:  common + `--cgroupns=private --entrypoint /bin/sh img -c mount -o remount,rw /sys/fs/cgroup; exec "$@" sh /sbin/lab-init --flag`,
	} {
		d := &Docker{lab: "x", v2: v2}
		args, err := d.createArgs(context.Background(), ContainerName("x", 7), "web", "img", m)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(args, " "); got != want {
			t.Errorf("v2 %t: got\n%s\nwant\n%s", v2, got, want)
		}
	}
}

func TestPower(t *testing.T) {
	for state, want := range map[string]cloud.Power{
		"running": cloud.PowerOn, "paused": cloud.PowerOn, "restarting": cloud.PowerOn, "exited": cloud.PowerOff, "created": cloud.PowerOff, "": cloud.PowerGone,
	} {
		fakeDocker(t, "echo "+state)
		got, err := (&Docker{lab: "x"}).Power(context.Background(), 7)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", state, got, err)
		}
	}
	fakeDocker(t, "exit 1")
	if got, err := (&Docker{lab: "x"}).Power(context.Background(), 7); err == nil || got != cloud.PowerUnknown {
		t.Errorf("an engine that fails: %v, %v", got, err)
	}
}

func TestAnAddressForAMachineThatIsOff(t *testing.T) {
	calls := filepath.Join(t.TempDir(), "calls")
	fakeDocker(t, `echo "$*" >> `+calls)
	address := netip.MustParseAddr("10.213.0.44")
	if err := (&Docker{lab: "x"}).SetPublic(context.Background(), 7, address); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(calls)
	want := "network disconnect --force flotilla-lab-x flotilla-lab-x-7\nnetwork connect --ip 10.213.0.44 flotilla-lab-x flotilla-lab-x-7\n"
	if err != nil || string(got) != want {
		t.Errorf("docker got %q (%v), want %q", got, err, want)
	}
	for _, failing := range []string{"disconnect", "connect"} {
		fakeDocker(t, `[ "$2" != `+failing+` ]`)
		if err := (&Docker{lab: "x"}).SetPublic(context.Background(), 7, address); err == nil {
			t.Errorf("%s fails, and nobody is told", failing)
		}
	}
}

func TestTheNetworkAvoidsWhatIsTaken(t *testing.T) {
	// The first two ranges that look free are taken by somebody in the meantime.
	fakeDocker(t, `case "$*" in
"network ls"*) ;;
"network create"*10.213.0.0/24*|"network create"*10.213.1.0/24*) echo overlaps >&2; exit 1 ;;
"network create"*) ;;
*) exit 9 ;;
esac`)
	p, err := openNetwork(context.Background(), "x")
	if err != nil || !netip.MustParsePrefix(pool).Contains(p.Addr()) || p.Bits() != 24 || p.Addr().As4()[2] < 2 {
		t.Errorf("network %v, %v", p, err)
	}
	fakeDocker(t, `case "$*" in "network ls"*) ;; *) echo no more networks >&2; exit 1 ;; esac`)
	if _, err := openNetwork(context.Background(), "x"); err == nil || !strings.Contains(err.Error(), "no more networks") {
		t.Errorf("an engine that makes no network: %v", err)
	}
	fakeDocker(t, `case "$*" in "network ls"*) echo abc ;; "network inspect"*) echo 10.213.9.0/24 ;; *) exit 9 ;; esac`)
	if p, err := openNetwork(context.Background(), "x"); err != nil || p.String() != "10.213.9.0/24" {
		t.Errorf("the network that is there: %v, %v", p, err)
	}
}

func TestEventLines(t *testing.T) {
	var seen []int64
	e := &eventLines{seen: func(id int64, running bool) {
		if !running {
			id = -id
		}
		seen = append(seen, id)
	}}
	for _, part := range []string{"sta", "rt 5\ndie 6\nnoise\n", "die \nstart 7", "\n"} {
		if n, err := e.Write([]byte(part)); err != nil || n != len(part) {
			t.Fatal(n, err)
		}
	}
	if want := []int64{5, -6, 7}; !slices.Equal(seen, want) {
		t.Errorf("seen %v, want %v", seen, want)
	}
}
