package cli

// release is the version of a release: .ci/release writes it into the commit
// that the version's tag names. Elsewhere it is "", and Go's own record counts.
const release = ""
