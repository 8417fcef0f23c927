// Package examples holds complete fleet repos to start from. The demo and the
// end-to-end tests deploy them, so that they cannot go stale.
package examples

import "embed"

// TwoServers is a fleet of two servers in a private network: nginx on one,
// a plain one beside it.
//
//go:embed all:two-servers
var TwoServers embed.FS
