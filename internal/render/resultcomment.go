package render

import "github.com/flotilla-nix/flotilla/internal/plans"

// ResultComment renders a result in short, for the pull request whose merge
// was deployed.
func ResultComment(r plans.Result, budget Budget) string { return ResultMarkdown(r, budget) }
