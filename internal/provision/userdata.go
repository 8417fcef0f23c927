package provision

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/secret"
)

const (
	maxUserData = 32 * 1024 // bytes, in all
	ownUserData = 1024      // room for Flotilla's part: the key pair and the parts' headers
)

// userData is what a new server gets: Flotilla's part and the fleet's own. Two
// parts travel as MIME, which cloud-init takes apart and merges.
func (k hostKey) userData(own string) secret.String {
	if own == "" {
		return k.cloudConfig()
	}
	boundary := "flotilla-" + userDataDigest(own)
	var b strings.Builder
	fmt.Fprintf(&b, "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"%s\"\n\n", boundary)
	fmt.Fprintf(&b, "--%s\nContent-Type: text/cloud-config; charset=\"utf-8\"\n\n%s\n", boundary, k.cloudConfig().Reveal())
	fmt.Fprintf(&b, "--%s\n", boundary)
	if !isMIME(own) { // else it brings its own header
		fmt.Fprintf(&b, "Content-Type: %s; charset=\"utf-8\"\n\n", contentType(own))
	}
	fmt.Fprintf(&b, "%s\n--%s--\n", own, boundary)
	return secret.New(b.String())
}

func isMIME(text string) bool {
	first := strings.ToLower(text[:min(len(text), len("content-type:"))])
	return strings.HasPrefix(first, "mime-version") || strings.HasPrefix(first, "content-type")
}

// contentType is the kind of user data that its first line says.
func contentType(text string) string {
	for _, kind := range []struct{ start, mime string }{
		{"#cloud-config", "text/cloud-config"},
		{"#!", "text/x-shellscript"},
		{"#include", "text/x-include-url"},
		{"#cloud-boothook", "text/cloud-boothook"},
		{"## template: jinja", "text/jinja2"},
	} {
		if strings.HasPrefix(text, kind.start) {
			return kind.mime
		}
	}
	return "text/plain"
}

// unfitUserData says why the fleet's own user data cannot be used, "" if it can.
func unfitUserData(own string) string {
	if size := len(own) + ownUserData; own != "" && size > maxUserData {
		return fmt.Sprintf("its user_data has %d bytes; with Flotilla's own part, %d is the most", len(own), maxUserData-ownUserData)
	}
	setsKeys := func(line string) bool { return strings.HasPrefix(line, "ssh_keys:") }
	if contentType(own) == "text/cloud-config" && slices.ContainsFunc(strings.Split(own, "\n"), setsKeys) {
		return "its user_data sets ssh_keys: Flotilla sets the host key of a new server, by which it knows the server at the first login"
	}
	return ""
}

// userDataDigest is short enough for a label and says whether user_data is
// still what a server was made with.
func userDataDigest(text string) string { return digest(text) }
