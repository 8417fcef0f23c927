package cli

import (
	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/config"
)

func newSchemaCommand(s *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of flotilla.yaml, for editors",
		Long: `Print the JSON Schema (draft 2020-12) of flotilla.yaml. Editors show its
descriptions, complete keys and mark mistakes, for example with this first line:

  # yaml-language-server: $schema=flotilla.schema.json

Write it with: flotilla schema > flotilla.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			schema, err := config.Schema()
			if err != nil {
				return err
			}
			_, err = s.out.Write(schema)
			return err
		},
	}
}
