package render

import "github.com/flotilla-nix/flotilla/internal/plans"

// closureText is the size of a built system before and after, what is to push
// and what is free; "" where it was not built.
func closureText(c *plans.Closure) string {
	if c == nil || c.After == 0 {
		return ""
	}
	text := size(c.After)
	if c.Before > 0 {
		text = size(c.Before) + " → " + text
		switch grown := c.After - c.Before; {
		case grown > 0:
			text += " (+" + size(grown) + ")"
		case grown < 0:
			text += " (-" + size(-grown) + ")"
		}
	}
	if !c.Reached {
		return text
	}
	return text + ", " + size(c.Push) + " to push, " + size(c.Free) + " free on /nix"
}
