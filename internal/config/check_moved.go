package config

import "fmt"

// move checks one rename. seen holds those before it.
func (c *checker) move(from, to *node, m moveEntry, seen map[string]int) {
	section, old, name := c.known.move(m)
	fromSection, _ := qualified(m.From)
	toSection, _ := qualified(m.To)
	switch {
	case fromSection != "" && toSection != "" && fromSection != toSection:
		c.report(to.value, fmt.Sprintf("moved: %s and %s are in different sections", quote(m.From), quote(m.To)), "A resource stays what it is; only its name changes.")
		return
	case section == "":
		c.unclear(to, m)
		return
	}
	if !c.refer(to.value, "moved", singular(section), section, name) {
		return
	}
	if c.file.isExisting(section, name) {
		c.report(to.value, fmt.Sprintf("moved: %s is existing: true", join(section, name)), "What is not the fleet's cannot be renamed.")
	}
	switch {
	case old == name:
		c.report(from.value, fmt.Sprintf("moved: %s is moved to itself", quote(m.From)), "Remove the entry.")
		return
	case c.known[section][old]:
		c.report(from.value, fmt.Sprintf("moved: %s is still declared", join(section, old)), "Remove it from the section, or this entry.")
	case !namePattern.MatchString(old):
		c.report(from.value, fmt.Sprintf("moved: %s cannot have been a name of the fleet's", quote(old)), "Write the name as it stood in this file.")
	}
	for at, entry := range map[*node]string{from: "from " + join(section, old), to: "to " + join(section, name)} {
		if line, ok := seen[entry]; ok {
			c.report(at.value, fmt.Sprintf("moved: %s stands in line %d already", entry, line), "A resource is renamed once, and each name is given once.")
		}
		seen[entry] = at.value.line
	}
}

// unclear reports a bare name that no section has, or several.
func (c *checker) unclear(to *node, m moveEntry) {
	holding := c.known.holding(m.To)
	if len(holding) > 1 {
		c.report(to.value, fmt.Sprintf("moved: %s is in several sections (%s)", quote(m.To), list(holding)), fmt.Sprintf("Write the section before it: %s.%s", holding[0], mask(m.To)))
		return
	}
	for _, other := range c.file.Moved {
		if other.From == m.To {
			c.report(to.value, fmt.Sprintf("moved: %s is renamed itself", quote(m.To)), fmt.Sprintf("Write one entry: {from: %s, to: %s}", mask(m.From), mask(other.To)))
			return
		}
	}
	c.report(to.value, fmt.Sprintf("moved: %s is not declared", quote(m.To)), c.suggest(m.To, "names", sectionNames()...))
}

func (f *fleetFile) isExisting(section, name string) bool {
	switch section {
	case "networks":
		return f.Networks[name].Existing
	case "ssh_keys":
		return f.SSHKeys[name].Existing
	case "firewalls":
		return f.Firewalls[name].Existing
	case "placement_groups":
		return f.PlacementGroups[name].Existing
	case "primary_ips":
		return f.PrimaryIPs[name].Existing
	case "volumes":
		return f.Volumes[name].Existing
	}
	return false
}

// singular names one entry of a section to people.
func singular(section string) string {
	switch section {
	case "ssh_keys":
		return "ssh key"
	case "placement_groups":
		return "placement group"
	case "primary_ips":
		return "primary IP"
	case "load_balancers":
		return "load balancer"
	}
	return section[:len(section)-1]
}
