package render

import (
	"html/template"
	"io"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// PlanHTML writes the whole plan as one self-contained page.
func PlanHTML(w io.Writer, p plans.Plan) error {
	page, err := template.New("plan").Parse("<!doctype html><title>Plan</title><pre>{{.}}</pre>\n")
	if err != nil {
		return err
	}
	return page.Execute(w, PlanMarkdown(p, Budget{Bytes: 1 << 30}))
}
