package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/config"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/terraform"
)

func newImportCommand(s *shell) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Make a flotilla.yaml of what another tool has",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImportTerraformCommand(s))
	return cmd
}

func newImportTerraformCommand(s *shell) *cobra.Command {
	var options terraform.Options
	var out string
	cmd := &cobra.Command{
		Use:   "terraform DIR",
		Short: "Make a flotilla.yaml of a Terraform configuration for hcloud",
		Long: `Reads the .tf files of DIR (hcloud resources and data sources, variables,
locals, count, for_each, local modules) and prints a flotilla.yaml that declares
the same. Nothing is run and no provider is asked. What has no place in a fleet
is listed at the end, with file, line and what to do instead; outputs, backends,
version constraints and depends_on make nothing and are left out.

With --state, the state decides names and locations and gives the values that
only the provider knows. Afterwards: flotilla adopt NAME takes over the servers,
and flotilla plan shows no change.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			imported, err := terraform.Read(cmd.Context(), args[0], options)
			if err != nil {
				return err
			}
			return s.showImport(imported, out)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.State, "state", "", "a terraform.tfstate, as terraform state pull prints it")
	flags.StringArrayVar(&options.VarFiles, "var-file", nil, "a file of variables beside terraform.tfvars and *.auto.tfvars; may be repeated")
	flags.StringVar(&options.Fleet, "fleet", "", "the fleet's name (default: the name of DIR)")
	flags.StringVar(&out, "out", "", "file to write, which must not exist yet (default: print it)")
	return cmd
}

// importResult is the JSON form of an import.
type importResult struct {
	Version  string         `json:"version"`
	Fleet    string         `json:"fleet"`
	Imported map[string]int `json:"imported"` // section → how many
	Gaps     []importGap    `json:"gaps"`
	YAML     string         `json:"yaml"`
}

type importGap struct {
	At      problem.Position `json:"at"`
	Address string           `json:"address"`
	What    string           `json:"what"`
	Instead string           `json:"instead"`
}

func (s *shell) showImport(imported terraform.Import, out string) error {
	text, err := importedYAML(imported)
	if err != nil {
		return err
	}
	name := out
	if name == "" {
		name = config.FileName
	}
	_, invalid := config.Parse(name, text)
	switch {
	case s.format == "json":
		err = writeJSON(s, importJSON(imported, text))
	case out == "":
		_, err = s.out.Write(text)
	}
	if err == nil && out != "" {
		err = writeNew(out, text)
	}
	if err != nil {
		return err
	}
	summary := fmt.Sprintf("imported %s; %s", counted(imported.Fleet), gapCount(len(imported.Gaps)))
	if out != "" {
		summary = "wrote " + out + ": " + summary
	}
	_, err = fmt.Fprintln(s.err, summary)
	if invalid != nil {
		err = errors.Join(err, &problem.Problem{
			Summary: "the configuration declares what a fleet cannot have: correct these places of " + name, At: problem.Position{File: name},
		}, invalid)
	}
	return err
}

// importedYAML is the file with the list of what is missing at its end. What
// Terraform knows nothing of has the defaults of an empty file.
func importedYAML(imported terraform.Import) ([]byte, error) {
	f, err := config.Parse(config.FileName, []byte("fleet: x"))
	if err != nil {
		return nil, err
	}
	ssh, rollout := f.SSH, f.Rollout
	f = imported.Fleet
	f.SSH, f.Rollout = ssh, rollout
	text, err := config.Format(f)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Write(text)
	if len(imported.Gaps) > 0 {
		b.WriteString("\n# Not carried over from Terraform:\n")
	}
	for _, g := range imported.Gaps {
		b.WriteString("#\n# " + place(g) + "\n")
		for _, line := range []string{g.What + ".", g.Instead} {
			for _, part := range wrapped(line, 96) {
				b.WriteString("#   " + part + "\n")
			}
		}
	}
	return b.Bytes(), nil
}

func place(g terraform.Gap) string {
	return strings.TrimSuffix(strings.TrimPrefix(g.At.String()+"  "+g.Address, "  "), "  ")
}

// wrapped breaks a text into lines between words.
func wrapped(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// sections are what an import counts, by the keys of flotilla.yaml.
func sections(f fleet.Fleet) ([]string, map[string]int) {
	return []string{"servers", "networks", "ssh_keys", "firewalls", "placement_groups", "volumes", "primary_ips", "load_balancers"},
		map[string]int{
			"servers": len(f.Servers), "networks": len(f.Networks), "ssh_keys": len(f.SSHKeys), "firewalls": len(f.Firewalls),
			"placement_groups": len(f.PlacementGroups), "volumes": len(f.Volumes), "primary_ips": len(f.PrimaryIPs), "load_balancers": len(f.LoadBalancers),
		}
}

func counted(f fleet.Fleet) string {
	nouns := map[string]string{
		"servers": "server", "networks": "network", "ssh_keys": "SSH key", "firewalls": "firewall",
		"placement_groups": "placement group", "volumes": "volume", "primary_ips": "primary IP", "load_balancers": "load balancer",
	}
	order, counts := sections(f)
	var parts []string
	for _, section := range order {
		switch n := counts[section]; n {
		case 0:
		case 1:
			parts = append(parts, "1 "+nouns[section])
		default:
			parts = append(parts, fmt.Sprintf("%d %ss", n, nouns[section]))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func gapCount(n int) string {
	switch n {
	case 0:
		return "nothing is missing"
	case 1:
		return "1 thing was not carried over, see the end of the file"
	}
	return fmt.Sprintf("%d things were not carried over, see the end of the file", n)
}

func importJSON(imported terraform.Import, text []byte) importResult {
	_, counts := sections(imported.Fleet)
	result := importResult{Version: "1", Fleet: imported.Fleet.Name, Imported: counts, Gaps: []importGap{}, YAML: string(text)}
	for _, g := range imported.Gaps {
		result.Gaps = append(result.Gaps, importGap(g))
	}
	return result
}

// writeNew writes a file that is not there yet: a flotilla.yaml is somebody's
// work.
func writeNew(name string, text []byte) (err error) {
	file, err := os.OpenFile(filepath.Clean(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // a file of the repo, for everybody
	if err != nil {
		p := &problem.Problem{Summary: "cannot write the file", At: problem.Position{File: name}, Cause: err}
		if errors.Is(err, os.ErrExist) {
			p.Hints = []string{"Name another file with --out, or move this one away."}
		}
		return p
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = file.Write(text)
	return err
}
