package config

import (
	"path"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// fleet turns a checked file into the words of package fleet. root gives the
// order of the hosts: section.
func (f *fleetFile) fleet(root *node) fleet.Fleet {
	out := fleet.Fleet{
		Name: f.Fleet,
		SSH:  fleet.SSH{User: f.SSH.User, Port: f.SSH.Port, Key: fleet.EnvRef(f.SSH.Key), Address: f.SSH.Address},
		Rollout: fleet.Rollout{
			MaxParallel:       f.Rollout.MaxParallel,
			MaxUnavailable:    f.Rollout.MaxUnavailable,
			OnFailure:         fleet.FailurePolicy(f.Rollout.OnFailure),
			ActivationTimeout: time.Duration(f.Rollout.ActivationTimeout),
			ConfirmTimeout:    time.Duration(f.Rollout.ConfirmTimeout),
			KeepGenerations:   f.Rollout.KeepGenerations,
		},
		Review:     fleet.Review{DirectPush: fleet.DirectPush(f.Review.DirectPush)},
		Evaluation: fleet.Evaluation{Workers: f.Evaluation.Workers, Memory: int64(f.Evaluation.Memory), Timeout: time.Duration(f.Evaluation.Timeout)},
	}
	if f.Hive != "" {
		out.Hive.File = path.Clean(f.Hive)
	}
	if f.Flake != "" {
		out.Hive.Flake = path.Clean(f.Flake)
	}
	if h := f.Provider.Hetzner; h != nil {
		out.Hetzner = &fleet.Hetzner{Token: fleet.EnvRef(h.Token), Endpoint: h.Endpoint, PollInterval: time.Duration(h.PollInterval)}
	}
	f.resources(&out)
	if hosts := root.get("hosts"); hosts != nil {
		for _, entry := range hosts.fields {
			out.Hosts = append(out.Hosts, f.Hosts[entry.name].settings(entry.name))
		}
	}
	for _, w := range f.Rollout.Waves {
		out.Rollout.Waves = append(out.Rollout.Waves, selector(w))
	}
	return out
}

func (h hostSelection) settings(name string) fleet.HostSettings {
	out := fleet.HostSettings{Selector: selector(name), Address: h.Address, HostKey: trimKey(h.HostKey)}
	for _, c := range h.Health {
		out.Health = append(out.Health, c.check())
	}
	return out
}

func (c checkEntry) check() fleet.Check {
	switch {
	case c.HTTP != nil:
		return fleet.Check{
			HTTP:   &fleet.HTTPCheck{URL: c.HTTP.URL, Status: c.HTTP.Status, Body: c.HTTP.Body, Via: string(c.HTTP.Via)},
			Within: time.Duration(c.HTTP.Within),
		}
	case c.TCP != nil:
		return fleet.Check{TCP: &fleet.TCPCheck{Port: c.TCP.Port}, Within: time.Duration(c.TCP.Within)}
	case c.Command != nil:
		return fleet.Check{Command: &fleet.CommandCheck{Argv: c.Command.Run}, Within: time.Duration(c.Command.Within)}
	case c.Units != nil:
		return fleet.Check{Units: &fleet.UnitsCheck{Active: c.Units.Active}, Within: time.Duration(c.Units.Within)}
	}
	return fleet.Check{}
}

// selector parses what check has accepted.
func selector(s string) fleet.Selector {
	parsed, err := fleet.ParseSelector(s)
	if err != nil {
		return fleet.Selector{}
	}
	return parsed
}
