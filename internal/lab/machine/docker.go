// Package machine runs the lab's servers as docker containers that boot
// systemd.
//
// Names are predictable, so that tests and people can break things by hand:
// network flotilla-lab-<lab>, container flotilla-lab-<lab>-<server id>; both
// carry the label dev.flotilla.lab=<lab>. `docker kill` is a power cut, `docker
// pause` a host that hangs, `docker network disconnect` one that cannot be
// reached.
//
// Rule: a container's disk lives until Remove; its address changes only while
// it is off.
// Non-goals: other engines than docker, limits of memory and CPU.
package machine

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/lab/cloudinit"
	"github.com/flotilla-nix/flotilla/internal/process"
)

const (
	// Label marks everything that belongs to a lab; its value is the lab's name.
	Label = "dev.flotilla.lab"
	// AddressFile holds a machine's addresses in private networks, one "10.0.1.3/16"
	// per line; the image adds them to eth0 at boot.
	AddressFile = "/var/lib/lab/addresses"

	serverLabel = "dev.flotilla.lab.server"
	stopTimeout = 30 * time.Second
	stopSignal  = "SIGRTMIN+3" // tells systemd to halt
)

// NetworkName is the docker network of a lab.
func NetworkName(lab string) string { return "flotilla-lab-" + lab }

// ContainerName is the container of a server.
func ContainerName(lab string, server int64) string {
	return "flotilla-lab-" + lab + "-" + strconv.FormatInt(server, 10)
}

// Docker is the machines of one lab. Make it with Open.
type Docker struct {
	lab    string
	images map[string]string // os → docker image
	prefix netip.Prefix
	v2     bool // the engine's machine has cgroup v2 only
	log    func(format string, args ...any)
}

var _ cloud.Machines = (*Docker)(nil)

// Open connects to the engine and finds or makes the lab's network. images
// gives the docker image for each os ("debian", "nixos").
func Open(ctx context.Context, lab string, images map[string]string, log func(string, ...any)) (*Docker, error) {
	version, err := docker(ctx, nil, "info", "--format", "{{.CgroupVersion}}")
	if err != nil {
		return nil, fmt.Errorf("docker engine: %w", err)
	}
	d := &Docker{lab: lab, images: images, v2: version == "2", log: log}
	d.prefix, err = openNetwork(ctx, lab)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Prefix is the lab's network.
func (d *Docker) Prefix() netip.Prefix { return d.prefix }

// Create makes the container, and its disk with what the user data asks for.
func (d *Docker) Create(ctx context.Context, m cloud.Machine) error {
	image := d.images[m.OS]
	if image == "" {
		return fmt.Errorf("the lab has no image for %q", m.OS)
	}
	config, err := cloudinit.Parse(m.UserData)
	if err != nil {
		return err
	}
	for _, note := range config.Notes {
		d.log("server %s: user data: %s", m.Name, note)
	}
	disk, err := config.Tar(cloudinit.Extra{AuthorizedKeys: m.SSHKeys, Files: map[string]string{AddressFile: addressLines(m.Private)}}, time.Now())
	if err != nil {
		return err
	}
	hostname := config.Hostname
	if hostname == "" {
		hostname = m.Name
	}
	name := ContainerName(d.lab, m.ID)
	args, err := d.createArgs(ctx, name, hostname, image, m)
	if err != nil {
		return err
	}
	if _, err := docker(ctx, nil, args...); err != nil {
		return fmt.Errorf("create machine: %w", err)
	}
	if _, err := docker(ctx, disk, "cp", "-", name+":/"); err != nil {
		_ = d.Remove(context.WithoutCancel(ctx), m.ID) // half a disk is worth nothing; the error above is what counts
		return fmt.Errorf("write the machine's disk: %w", err)
	}
	return nil
}

// createArgs are the words of docker create: systemd needs a writable cgroup
// tree, mounts and its own /run and /tmp, and no seccomp filter.
func (d *Docker) createArgs(ctx context.Context, name, hostname, image string, m cloud.Machine) ([]string, error) {
	args := []string{
		"create", "--name", name, "--hostname", hostname,
		"--label", Label + "=" + d.lab, "--label", serverLabel + "=" + strconv.FormatInt(m.ID, 10),
		"--network", NetworkName(d.lab), "--ip", m.IPv4.String(), "--restart", "unless-stopped", "--stop-signal", stopSignal,
		"--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN",
		"--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
		"--tmpfs", "/run:exec,mode=755", "--tmpfs", "/tmp:exec,mode=1777", "-e", "container=docker",
	}
	if !d.v2 {
		return append(args,
			"--cgroupns=host", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw",
			"-e", "SYSTEMD_PROC_CMDLINE=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1", image), nil
	}
	// On cgroup v2 the container's own tree is mounted read-only, and SYS_ADMIN
	// allows to change that before systemd starts.
	words, err := docker(ctx, nil, "image", "inspect", "--format", `{{range .Config.Entrypoint}}{{println .}}{{end}}{{range .Config.Cmd}}{{println .}}{{end}}`, image)
	if err != nil {
		return nil, fmt.Errorf("read image %s: %w", image, err)
	}
	args = append(args, "--cgroupns=private", "--entrypoint", "/bin/sh", image, "-c", `mount -o remount,rw /sys/fs/cgroup; exec "$@"`, "sh")
	return append(args, strings.Fields(words)...), nil
}

// Start boots the machine. Its image sets the private addresses at boot.
func (d *Docker) Start(ctx context.Context, id int64) error { return d.run(ctx, id, "start") }

// PowerOff cuts the power. A machine that is off stays off.
func (d *Docker) PowerOff(ctx context.Context, id int64) error {
	power, err := d.Power(ctx, id)
	if err != nil || power != cloud.PowerOn {
		return err
	}
	return d.run(ctx, id, "kill")
}

// Shutdown asks the guest to stop, and cuts the power after 30 s. It asks again
// every second: a guest that has just begun to boot does not hear it yet.
func (d *Docker) Shutdown(ctx context.Context, id int64) error {
	asking, stop := context.WithCancel(ctx)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for {
			select {
			case <-asking.Done():
				return
			case <-time.After(time.Second):
				// It fails when the machine is off by now, which is what is wanted.
				// Not cut off by stop, or it might hit the next boot.
				_ = d.run(ctx, id, "kill", "--signal", stopSignal)
			}
		}
	}()
	err := d.run(ctx, id, "stop", "--time", seconds(stopTimeout))
	stop()
	<-asked
	return err
}

// Reset cuts the power and boots. The kill goes to a machine that hangs too.
func (d *Docker) Reset(ctx context.Context, id int64) error {
	if err := d.PowerOff(ctx, id); err != nil {
		return err
	}
	return d.Start(ctx, id)
}

// Reboot stops the guest in order and boots.
func (d *Docker) Reboot(ctx context.Context, id int64) error {
	if err := d.Shutdown(ctx, id); err != nil {
		return err
	}
	return d.Start(ctx, id)
}

// SetPrivate writes the addresses for later boots and, when the machine runs,
// changes its interface at once.
func (d *Docker) SetPrivate(ctx context.Context, id int64, addresses []netip.Prefix) error {
	power, err := d.Power(ctx, id)
	if err != nil {
		return err
	}
	name := ContainerName(d.lab, id)
	if power == cloud.PowerOn {
		const change = `for old in $(cat ` + AddressFile + ` 2>/dev/null); do
  case " $* " in *" $old "*) ;; *) ip addr del "$old" dev eth0 ;; esac
done
for new; do ip addr replace "$new" dev eth0 || exit 1; done`
		args := []string{"exec", name, "/bin/sh", "-c", change, "sh"}
		for _, a := range addresses {
			args = append(args, a.String())
		}
		if _, err := docker(ctx, nil, args...); err != nil {
			return fmt.Errorf("set addresses: %w", err)
		}
	}
	files, err := cloudinit.Config{}.Tar(cloudinit.Extra{Files: map[string]string{AddressFile: addressLines(addresses)}}, time.Now())
	if err != nil {
		return err
	}
	if _, err := docker(ctx, files, "cp", "-", name+":/"); err != nil {
		return fmt.Errorf("write addresses: %w", err)
	}
	return nil
}

// SetPublic connects the container anew, with another address.
func (d *Docker) SetPublic(ctx context.Context, id int64, address netip.Addr) error {
	name, network := ContainerName(d.lab, id), NetworkName(d.lab)
	if _, err := docker(ctx, nil, "network", "disconnect", "--force", network, name); err != nil {
		return fmt.Errorf("take the machine's address: %w", err)
	}
	if _, err := docker(ctx, nil, "network", "connect", "--ip", address.String(), network, name); err != nil {
		return fmt.Errorf("give the machine the address %s: %w", address, err)
	}
	return nil
}

// Remove destroys the container and its disk.
func (d *Docker) Remove(ctx context.Context, id int64) error {
	power, err := d.Power(ctx, id)
	if err != nil || power == cloud.PowerGone {
		return err
	}
	return d.run(ctx, id, "rm", "--force", "--volumes")
}

// Power asks the engine. A paused or restarting machine counts as on.
func (d *Docker) Power(ctx context.Context, id int64) (cloud.Power, error) {
	state, err := docker(ctx, nil, "ps", "--all", "--filter", "name=^/"+ContainerName(d.lab, id)+"$", "--format", "{{.State}}")
	switch {
	case err != nil:
		return cloud.PowerUnknown, fmt.Errorf("look at machine: %w", err)
	case state == "":
		return cloud.PowerGone, nil
	case state == "running", state == "paused", state == "restarting":
		return cloud.PowerOn, nil
	}
	return cloud.PowerOff, nil
}

func (d *Docker) run(ctx context.Context, id int64, words ...string) error {
	if _, err := docker(ctx, nil, append(words, ContainerName(d.lab, id))...); err != nil {
		return fmt.Errorf("%s machine: %w", words[0], err)
	}
	return nil
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

func addressLines(addresses []netip.Prefix) string {
	var b strings.Builder
	for _, a := range addresses {
		b.WriteString(a.String() + "\n")
	}
	return b.String()
}

// docker runs the client and gives its output without the last newline.
func docker(ctx context.Context, stdin []byte, args ...string) (string, error) {
	c := process.Command{Program: "docker", Args: args}
	if stdin != nil {
		c.Stdin = bytes.NewReader(stdin)
	}
	result, err := process.Run(ctx, c)
	return strings.TrimSpace(string(result.Stdout)), err
}
