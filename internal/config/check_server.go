package config

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// RFC 1123, and short enough for a label's value.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

// Limits of the provider.
const (
	maxServerName = 63
	maxFirewalls  = 5
	maxSpread     = 10
	maxUserData   = 28 << 10 // of 32 KiB; Flotilla's own needs some
)

func (c *checker) servers(section *node) {
	if section == nil {
		return
	}
	for _, f := range section.fields {
		if !hostPattern.MatchString(f.name) || len(f.name) > maxServerName {
			hint := "The name becomes the host name: 1 to 63 letters, digits, dashes and dots, with a letter or digit at both ends."
			if better := strings.ReplaceAll(f.name, "_", "-"); better != f.name && hostPattern.MatchString(better) {
				hint = fmt.Sprintf("Host names have no underscores. Did you mean %q?", better)
			}
			c.report(f.value.key, fmt.Sprintf("%s cannot be the name of a server", quote(f.name)), hint)
		}
		if f.value.bad {
			continue
		}
		c.server(f.value, f.name, c.file.Servers[f.name])
	}
}

func (c *checker) server(n *node, name string, s serverEntry) {
	where := join("servers", name)
	c.words(n, where, "server_type", "server type", "cx22", "server_type: cx22", s.ServerType)
	if v := c.need(n, "image", where, "Add for example image: debian-12"); v != nil && !image(s.Image) {
		c.report(v.value, fmt.Sprintf("%s is neither an image's name nor a label selector", quote(s.Image)), "Write for example debian-12, or os=nixos for the newest snapshot with that label.")
	}
	c.words(n, where, "location", "location", "nbg1", "location: nbg1, or location: [nbg1, fsn1] for the first with capacity", s.Location)
	c.labels(n.good("labels"), s.Labels)
	c.attachments(n.good("networks"), member{where: where, what: "server", name: name, locations: s.Location}, s.Networks)
	c.loginKeys(n, where, s)
	c.userData(n.good("user_data"), name, s)
	c.publicNet(n, name, s)
	c.serverFirewalls(n.good("firewalls"), where, s)
	if v := n.good("placement_group"); v != nil && c.refer(v.value, where, "placement group", "placement_groups", s.PlacementGroup) {
		c.spread[s.PlacementGroup] = append(c.spread[s.PlacementGroup], name)
		if members := c.spread[s.PlacementGroup]; len(members) > maxSpread {
			c.report(v.value, fmt.Sprintf("placement group %s has more than %d servers", quote(s.PlacementGroup), maxSpread), "The provider takes no more: make a second group.")
		}
	}
	c.serverNames(n.good("dns_ptr"), where, s)
	if v := n.good("rebuild_protection"); v != nil && s.RebuildProtection != nil && !bad(n.get("delete_protection")) && *s.RebuildProtection != c.file.protected(name, s) {
		c.report(v.value, fmt.Sprintf("%s.rebuild_protection must be the same as delete_protection, which is %t", where, c.file.protected(name, s)), "The provider takes no other value: remove the line.")
	}
}

// image tells whether a text can name an image or select one.
func image(text string) bool {
	if word.MatchString(text) {
		return true
	}
	_, bad := badTerm(text)
	return !bad
}

// words checks a key with one name or several.
func (c *checker) words(n *node, where, key, what, example, add string, words []string) {
	v := c.need(n, key, where, "Add for example "+add)
	if v == nil {
		return
	}
	if len(words) == 0 {
		c.report(v.value, where+"."+key+" names none", fmt.Sprintf("Write for example %s: %s", key, example))
	}
	for i, text := range words {
		at := v
		if i < len(v.items) {
			at = v.items[i]
		}
		if at.bad {
			continue
		}
		if !word.MatchString(text) {
			c.report(at.value, fmt.Sprintf("%s is not a %s", quote(text), what), fmt.Sprintf("Write for example %s.", example))
		}
		if slices.Contains(words[:i], text) {
			c.report(at.value, fmt.Sprintf("%s %s stands here twice", what, quote(text)), "Remove one.")
		}
	}
}

func (c *checker) loginKeys(n *node, where string, s serverEntry) {
	v := n.get("ssh_keys")
	if v == nil || v.kind == kindNull {
		hint := "Add ssh_keys: [NAME], with the name of an entry of the section ssh_keys."
		if all := names(c.file.SSHKeys); len(all) > 0 {
			hint = fmt.Sprintf("Add for example ssh_keys: [%s]", all[0])
		}
		c.report(n.key, where+" has no ssh_keys, so nobody could log in", hint, "Write ssh_keys: [] if user_data or the image lets somebody in.")
		return
	}
	if v.bad {
		return
	}
	c.referAll(v, where, "ssh key", "ssh_keys", s.SSHKeys)
}

func (c *checker) serverFirewalls(n *node, where string, s serverEntry) {
	if n == nil {
		return
	}
	c.referAll(n, where, "firewall", "firewalls", s.Firewalls)
	if len(s.Firewalls) > maxFirewalls {
		c.report(n.items[maxFirewalls].value, fmt.Sprintf("%s has %d firewalls", where, len(s.Firewalls)), fmt.Sprintf("The provider takes %d: put rules together.", maxFirewalls))
	}
	if len(s.Firewalls) > 0 && len(s.PublicNet.families()) == 0 {
		c.report(n.key, where+" has firewalls, but no public address", "The provider's firewalls filter public traffic alone: remove them, or give the server a public address.")
	}
}

// userData checks the text, and reads it from the file that is named.
func (c *checker) userData(n *node, name string, s serverEntry) {
	if n == nil {
		return
	}
	where := join("servers", name) + ".user_data"
	at := n
	if n.kind == kindMapping {
		if at = n.good("file"); at == nil {
			return
		}
		text, ok := c.userDataFile(at, where, s.UserData.File)
		if !ok {
			return
		}
		s.UserData.Text = text
		c.file.Servers[name] = s
	}
	switch text := s.UserData.Text; {
	case len(text) > maxUserData:
		c.report(at.value, fmt.Sprintf("%s is larger than %d KiB", where, maxUserData>>10), "The provider takes 32 KiB, of which Flotilla needs some: let the host fetch what is large, or put it into the hive.")
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		c.report(at.value, where+" is not text", "cloud-init reads UTF-8 text without NUL characters.")
	}
}

func (c *checker) userDataFile(n *node, where, file string) (string, bool) {
	before := len(c.problems)
	c.relative(n, where+".file", file, "user_data: {file: ./cloud-init.yaml}")
	if len(c.problems) > before {
		return "", false
	}
	if c.open == nil {
		c.report(n.value, where+".file cannot be read: the text of "+FileName+" came without its folder", "Write the text itself: user_data: |")
		return "", false
	}
	data, err := c.open(file, maxUserData+1)
	if err != nil {
		hint := fmt.Sprintf("The path is relative to the folder of %s.", FileName)
		if errors.Is(err, errOutside) || errors.Is(err, errGit) {
			hint = "Only files of the repository are read: copy it there."
		}
		var inFile *fs.PathError
		if errors.As(err, &inFile) {
			err = inFile.Err // the path is said already
		}
		p := c.add(n.value, fmt.Sprintf("%s: cannot read %s", where, quote(file)), hint)
		p.Cause = err
		return "", false
	}
	return string(data), true
}

func list(names []string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), ", ")
}
