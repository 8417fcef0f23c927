// Command flotilla runs a fleet of NixOS servers from a git repository.
package main

import (
	"os"

	"github.com/flotilla-nix/flotilla/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
