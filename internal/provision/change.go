package provision

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// phase is a half of an apply.
type phase int

const (
	expand   phase = iota // before the hosts: create, attach, widen
	contract              // after them, when they are well: detach, narrow, destroy
)

// ref names a resource.
type ref struct {
	kind plans.ResourceKind
	name string
}

func (r ref) String() string { return fmt.Sprintf("%s %s", kindName(r.kind), r.name) }

// step is one thing that is done at the provider. The steps of one change are
// made one after another, in the order in which they were added.
type step struct {
	phase phase
	// gives says what is so once it is done, after waits for all steps that
	// give these; what no step gives is so already (words.go has the words).
	gives []string
	after []string
	holds []ref  // what it changes beside its own resource: a provider takes one change at a time
	off   string // the server that has to be off; all such steps of a server share one power cycle
	down  string // the server that does not answer from the beginning of this step …
	up    string // … to the end of the one that has it here
	do    func(context.Context, *run) error
}

// part is what is so of a resource and should not be, and how it is mended.
type part struct {
	attributes []plans.Attribute
	steps      []step
}

// change is one line of the plan with all that carries it out.
type change struct {
	plans.Resource
	parts   []part
	refused []error // why it must not be made, whatever is allowed
}

func (c *change) ref() ref { return ref{c.Kind, c.Name} }

// set adds an attribute with the steps that make it so.
func (c *change) set(a plans.Attribute, steps ...step) {
	c.parts = append(c.parts, part{[]plans.Attribute{a}, steps})
}

// setAll adds attributes that the same steps make so.
func (c *change) setAll(attributes []plans.Attribute, steps ...step) {
	c.parts = append(c.parts, part{attributes, steps})
}

// step adds steps that show in no attribute.
func (c *change) step(steps ...step) { c.parts = append(c.parts, part{nil, steps}) }

func (c *change) risk(risks ...plans.Risk) {
	for _, r := range risks {
		if !slices.Contains(c.Risks, r) {
			c.Risks = append(c.Risks, r)
		}
	}
}

func (c *change) lose(what ...string) { c.Lost = append(c.Lost, what...) }

func (c *change) note(format string, args ...any) {
	c.Note = strings.TrimPrefix(c.Note+"\n"+fmt.Sprintf(format, args...), "\n")
}

// empty tells whether there is nothing to do and nothing to say.
func (c *change) empty() bool {
	return c.Action == plans.Update && len(c.parts) == 0 && c.Note == "" && len(c.refused) == 0
}

// resource gives the whole line of the plan.
func (c *change) resource() plans.Resource {
	r := c.Resource
	r.Attributes = []plans.Attribute{} // in JSON [] and not null
	for _, p := range c.parts {
		r.Attributes = append(r.Attributes, p.attributes...)
	}
	r.Risks = append([]plans.Risk{}, r.Risks...)
	return r
}

// in gives the part of a change that is made in one half, and its steps.
func (c *change) in(ph phase) (plans.Resource, []step) {
	r := c.resource()
	r.Attributes = []plans.Attribute{}
	var steps []step
	for _, p := range c.parts {
		now := false
		for _, s := range p.steps {
			if s.phase == ph {
				steps, now = append(steps, s), true
			}
		}
		if now {
			r.Attributes = append(r.Attributes, p.attributes...)
		}
	}
	return r, steps
}

func known(name, before, after string) plans.Attribute {
	return plans.Attribute{Name: name, Old: before, New: after, Known: true}
}

// forced is an attribute that cannot be had in place.
func forced(name, before, after string) plans.Attribute {
	return plans.Attribute{Name: name, Old: before, New: after, Known: true, Forces: true}
}

// powered is an attribute for which a server is switched off.
func powered(name, before, after string) plans.Attribute {
	return plans.Attribute{Name: name, Old: before, New: after, Known: true, Powers: true}
}
