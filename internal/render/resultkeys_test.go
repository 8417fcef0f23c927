package render

import (
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

func TestKeysPut(t *testing.T) {
	r := plans.Result{Command: "deploy", Fleet: "acme", Hosts: []plans.HostResult{
		{Host: "db", Outcome: fleet.Unchanged},
		{Host: "web", Outcome: fleet.Unchanged, Keys: []string{"token", "@all <b>"}},
	}}
	var text strings.Builder
	if err := ResultText(&text, r, Options{}); err != nil || !strings.Contains(text.String(), "deployment keys put in place\n  web") || !strings.Contains(text.String(), "token, @all <b>") {
		t.Errorf("%v\n%s", err, text.String())
	}
	md := ResultMarkdown(r, Budget{})
	if !strings.Contains(md, "Deployment keys put in place") || !strings.Contains(md, "token") {
		t.Error(md)
	}
	checkMarkdown(t, md)
	r.Hosts[1].Keys = nil
	if md := ResultMarkdown(r, Budget{}); strings.Contains(md, "eployment keys") {
		t.Error(md)
	}
}
