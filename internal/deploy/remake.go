package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// checkRemade refuses --rebuild and --replace of what would be passed over
// silently: they mean servers of flotilla.yaml that --on does not leave out.
// One that does not exist yet is fine: the run before this may have got that far.
func checkRemade(f fleet.Fleet, on func(server string) bool, only Only, rebuild, replace []string) error {
	var wrong []error
	refuse := func(flag, name, why string, hints ...string) {
		wrong = append(wrong, &problem.Problem{Summary: fmt.Sprintf("--%s %s: %s", flag, name, why), Hints: hints, Code: problem.Usage})
	}
	for flag, names := range map[string][]string{"rebuild": rebuild, "replace": replace} {
		for _, name := range names {
			_, declared := f.Servers[name]
			switch {
			case only == OnlyHosts:
				refuse(flag, name, "--only hosts leaves servers as they are")
			case !declared && len(f.Servers) == 0:
				refuse(flag, name, configFile+" declares no servers")
			case !declared:
				refuse(flag, name, configFile+" declares no server of that name", "Its servers: "+strings.Join(slices.Sorted(maps.Keys(f.Servers)), ", ")+".")
			case !on(name):
				refuse(flag, name, "--on leaves it out")
			}
		}
	}
	return joinProblems(wrong)
}
