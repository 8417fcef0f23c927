package machine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

const (
	// pool is where labs take their /24 networks from.
	pool = "10.213.0.0/16"
	// createTries bounds how many free looking networks are tried.
	createTries = 16

	inotifySetting = "/proc/sys/fs/inotify/max_user_instances"
	// inotifyWanted is enough for some hundred systemds; the usual 128 is full
	// with twenty.
	inotifyWanted = 1024
)

// openNetwork gives the range of the lab's docker network, which it makes if
// there is none.
func openNetwork(ctx context.Context, lab string) (netip.Prefix, error) {
	name := NetworkName(lab)
	if p, found, err := findNetwork(ctx, name); err != nil || found {
		return p, err
	}
	used, err := usedRanges()
	if err != nil {
		return netip.Prefix{}, err
	}
	base := netip.MustParsePrefix(pool).Addr().As4()
	tries := 0
	for n := range 256 {
		candidate := netip.PrefixFrom(netip.AddrFrom4([4]byte{base[0], base[1], byte(n), 0}), 24)
		if overlaps(used, candidate) {
			continue
		}
		_, err = docker(ctx, nil, "network", "create", "--label", Label+"="+lab, "--subnet", candidate.String(), name)
		if err == nil {
			return candidate, nil
		}
		if tries++; tries == createTries || ctx.Err() != nil {
			break
		}
		// Somebody may have taken the range meanwhile: the next one is as good.
	}
	if err == nil {
		return netip.Prefix{}, fmt.Errorf("docker network for the lab: no free /24 in %s; remove labs with `flotilla lab down`", pool)
	}
	return netip.Prefix{}, fmt.Errorf("docker network for the lab: %w", err)
}

func findNetwork(ctx context.Context, name string) (netip.Prefix, bool, error) {
	id, err := docker(ctx, nil, "network", "ls", "--filter", "name=^"+name+"$", "--format", "{{.ID}}")
	if err != nil || id == "" {
		return netip.Prefix{}, false, err
	}
	text, err := docker(ctx, nil, "network", "inspect", "--format", "{{range .IPAM.Config}}{{println .Subnet}}{{end}}", id)
	if err != nil {
		return netip.Prefix{}, false, err
	}
	p, err := netip.ParsePrefix(strings.TrimSpace(text))
	if err != nil {
		return netip.Prefix{}, false, fmt.Errorf("docker network %s: %w", name, err)
	}
	return p, true, nil
}

// usedRanges are those of the machine's own interfaces, docker's bridges among
// them.
func usedRanges() ([]netip.Prefix, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("network interfaces: %w", err)
	}
	var used []netip.Prefix
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			used = append(used, p.Masked())
		}
	}
	return used, nil
}

func overlaps(used []netip.Prefix, p netip.Prefix) bool {
	for _, u := range used {
		if u.Overlaps(p) {
			return true
		}
	}
	return false
}

// RaiseLimits makes room for many systemds on one kernel. raised tells that a
// setting was changed.
func RaiseLimits() (raised bool, err error) {
	text, err := os.ReadFile(inotifySetting)
	if err != nil {
		return false, fmt.Errorf("kernel limit: %w", err)
	}
	have, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || have >= inotifyWanted {
		return false, err
	}
	if err := os.WriteFile(inotifySetting, []byte(strconv.Itoa(inotifyWanted)), 0o644); err != nil { //nolint:gosec // a kernel setting has no mode of ours
		return false, fmt.Errorf("kernel limit fs.inotify.max_user_instances is %d, about 20 servers: %w", have, err)
	}
	return true, nil
}

// Count gives the number of containers of a lab, found by label.
func Count(ctx context.Context, lab string) (int, error) {
	list, err := docker(ctx, nil, "ps", "--all", "--quiet", "--filter", "label="+Label+"="+lab)
	if err != nil {
		return 0, fmt.Errorf("find the lab's containers: %w", err)
	}
	return len(strings.Fields(list)), nil
}

// Cleanup removes the containers and the network of a lab, found by label, so
// that it works without the lab's state. It gives the number of containers.
func Cleanup(ctx context.Context, lab string) (int, error) {
	list, err := docker(ctx, nil, "ps", "--all", "--quiet", "--filter", "label="+Label+"="+lab)
	if err != nil {
		return 0, fmt.Errorf("find the lab's containers: %w", err)
	}
	ids := strings.Fields(list)
	if len(ids) > 0 {
		if _, err := docker(ctx, nil, append([]string{"rm", "--force", "--volumes"}, ids...)...); err != nil {
			return 0, fmt.Errorf("remove the lab's containers: %w", err)
		}
	}
	list, err = docker(ctx, nil, "network", "ls", "--quiet", "--filter", "label="+Label+"="+lab)
	if err != nil {
		return len(ids), fmt.Errorf("find the lab's network: %w", err)
	}
	for _, id := range strings.Fields(list) {
		if _, err := docker(ctx, nil, "network", "rm", id); err != nil {
			return len(ids), fmt.Errorf("remove the lab's network: %w", err)
		}
	}
	return len(ids), nil
}
