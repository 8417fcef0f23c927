package deploy

// proposed is the flow for a change that nobody merged: what evaluating it
// finds out is kept apart from what deploys read.
func (f *Flow) proposed() *Flow {
	apart := *f
	apart.Cache.Proposed = true
	return &apart
}
