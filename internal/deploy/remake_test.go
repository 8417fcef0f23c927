package deploy

import (
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

func TestCheckRemade(t *testing.T) {
	f := fleet.Fleet{Servers: map[string]fleet.Server{"web": {}, "db": {}}}
	all := func(string) bool { return true }
	for _, c := range []struct {
		name             string
		on               func(string) bool
		only             Only
		rebuild, replace []string
		want             string
	}{
		{name: "declared", on: all, rebuild: []string{"web"}, replace: []string{"db"}},
		{name: "mistyped", on: all, rebuild: []string{"wbe"}, want: "--rebuild wbe: flotilla.yaml declares no server of that name\nhint: Its servers: db, web."},
		{name: "left out", on: func(s string) bool { return s == "db" }, replace: []string{"web"}, want: "--replace web: --on leaves it out"},
		{name: "other half", on: all, only: OnlyHosts, replace: []string{"web"}, want: "--only hosts leaves servers"},
	} {
		err := checkRemade(f, c.on, c.only, c.rebuild, c.replace)
		if c.want == "" && err != nil || c.want != "" && (problem.CodeOf(err) != problem.Usage || !strings.Contains(problem.Text(err), c.want)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
