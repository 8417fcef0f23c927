package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/lab"
)

// newLabCommand makes `flotilla lab` with up, env, serve, status and down.
func newLabCommand() *cobra.Command {
	name := lab.DefaultName
	c := &cobra.Command{
		Use:   "lab",
		Short: "A cloud on this machine: a Hetzner-compatible API whose servers are containers",
		Long: `A cloud on this machine, to try Flotilla and to test against: an API that the
hcloud CLI and Flotilla take for Hetzner Cloud, servers that are containers with
systemd, sshd and Nix, and a small NixOS tree that builds offline.

  flotilla lab up
  eval "$(flotilla lab env)"
  hcloud server list
  flotilla lab down

Servers are reached by their addresses from this machine. Their containers are
named flotilla-lab-<lab>-<server id>: "docker kill" is a power cut, "docker pause"
a host that hangs. POST /_lab/faults at the API makes requests fail, GET
/_lab/requests counts them.`,
	}
	c.PersistentFlags().StringVar(&name, "name", name, "the lab's name; labs of different names live side by side")
	c.AddCommand(newLabUpCommand(&name), newLabEnvCommand(&name), newLabServeCommand(&name), newLabStatusCommand(&name), newLabDownCommand(&name))
	return c
}

// labSay prints progress to stderr, where all of Flotilla's progress goes.
func labSay(c *cobra.Command) lab.Say {
	return func(format string, args ...any) {
		_, _ = fmt.Fprintf(c.ErrOrStderr(), format+"\n", args...)
	}
}

func newLabUpCommand(name *string) *cobra.Command {
	opt := lab.UpOptions{Listen: "127.0.0.1:0", ActionLatency: 200 * time.Millisecond}
	c := &cobra.Command{
		Use:   "up",
		Short: "Start a lab in the background, with all that it needs",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			opt.Name, opt.Say = *name, labSay(c)
			return lab.Up(c.Context(), opt)
		},
	}
	c.Flags().StringVar(&opt.Listen, "listen", opt.Listen, "address of the API; port 0 keeps the lab's last port or takes a free one")
	c.Flags().DurationVar(&opt.ActionLatency, "action-latency", opt.ActionLatency, "least time that an action takes")
	return c
}

func newLabEnvCommand(name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: `Print the export lines that point flotilla, nix and hcloud at the lab: eval "$(flotilla lab env)"`,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			env, err := lab.Env(c.Context(), *name)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.OutOrStdout(), env)
			return err
		},
	}
}

func newLabServeCommand(name *string) *cobra.Command {
	var quiet bool
	opt := lab.ServeOptions{Listen: "127.0.0.1:0", Machines: lab.MachinesDocker, ActionLatency: 200 * time.Millisecond}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the API in the foreground; prints its export lines",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			opt.Name, opt.Log = *name, labSay(c)
			if !quiet {
				opt.Out = c.OutOrStdout()
			}
			// Nothing is in hand that a first interrupt would have to spare.
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return lab.Serve(ctx, opt)
		},
	}
	f := c.Flags()
	f.BoolVar(&quiet, "quiet", false, "do not print the export lines, which hold the token")
	f.StringVar(&opt.Listen, "listen", opt.Listen, "address of the API; port 0 takes a free one")
	f.StringVar(&opt.Machines, "machines", opt.Machines, "what servers are: docker, or none (state changes only)")
	f.StringVar(&opt.RequestLog, "request-log", "", `append one "METHOD path?query" per request to this file`)
	f.DurationVar(&opt.ActionLatency, "action-latency", opt.ActionLatency, "least time that an action takes")
	f.IntVar(&opt.RateLimit, "rate-limit", 0, "requests per hour (default 3600)")
	f.StringVar(&opt.Token, "token", "", "token that requests need (default: the lab's own, or a random one)")
	f.StringVar(&opt.StateFile, "state", "", "file that keeps the API's objects (default: the lab's own with docker, none otherwise)")
	return c
}

func newLabStatusCommand(name *string) *cobra.Command {
	format := "text"
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the lab's API, servers and images",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			status, err := lab.StatusOf(c.Context(), *name)
			if err != nil {
				return err
			}
			if format != "json" {
				_, err = fmt.Fprint(c.OutOrStdout(), status.Text())
				return err
			}
			out := json.NewEncoder(c.OutOrStdout())
			out.SetIndent("", "  ")
			return out.Encode(status)
		},
	}
	c.Flags().StringVar(&format, "format", format, "text or json")
	return c
}

func newLabDownCommand(name *string) *cobra.Command {
	var images bool
	c := &cobra.Command{
		Use:   "down",
		Short: "Remove the lab: servers, network, state, process",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return lab.Down(c.Context(), lab.DownOptions{Name: *name, Images: images, Say: labSay(c)})
		},
	}
	c.Flags().BoolVar(&images, "images", false, "remove the base images too")
	return c
}
