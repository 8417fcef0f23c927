package config

import "fmt"

func (c *checker) volumes(section *node) {
	if section == nil {
		return
	}
	for _, f := range section.fields {
		if f.value.bad {
			c.name(f.value.key, "a volume", f.name)
			continue
		}
		v, where := c.file.Volumes[f.name], join("volumes", f.name)
		if c.existing(f, where, "a volume", v.Existing) {
			continue
		}
		c.name(f.value.key, "a volume", f.name)
		c.volume(f.value, where, f.name, v)
	}
}

func (c *checker) volume(n *node, where, name string, v volumeEntry) {
	c.labels(n.good("labels"), v.Labels)
	c.need(n, "size", where, "Add its size in GB, for example size: 50")
	location, server := n.get("location"), n.get("server")
	if location == nil && server == nil {
		c.report(n.key, where+" has neither location nor server", "Add server: NAME, or for example location: nbg1 for a volume without one.")
	}
	c.location(n.good("location"), v.Location)
	if at := n.good("server"); at != nil && c.refer(at.value, where, "server", "servers", v.Server) {
		if at := n.good("location"); at != nil {
			c.sameLocation(at, "volume "+quote(name), v.Location, v.Server, c.file.Servers[v.Server])
		}
	}
	if at := n.good("automount"); at != nil && v.Automount {
		switch {
		case server == nil:
			c.report(at.value, where+" has automount, but no server to be mounted at", "Remove automount, or add server.")
		case n.get("format") == nil:
			c.report(at.value, where+" has automount, but no file system", "Add format: ext4 or format: xfs.")
		}
	}
}

func (c *checker) placementGroups(section *node) {
	if section == nil {
		return
	}
	for _, f := range section.fields {
		g, where := c.file.PlacementGroups[f.name], join("placement_groups", f.name)
		if !f.value.bad && c.existing(f, where, "a placement group", g.Existing) {
			continue
		}
		c.name(f.value.key, "a placement group", f.name)
		c.labels(f.value.good("labels"), g.Labels)
	}
}

// loadBalancers checks the section; the parts are in check_balancer.go.
func (c *checker) loadBalancers(section *node) {
	if section == nil {
		return
	}
	for _, f := range section.fields {
		c.name(f.value.key, "a load balancer", f.name)
		if !f.value.bad {
			c.loadBalancer(f.value, f.name, c.file.LoadBalancers[f.name])
		}
	}
}

func (c *checker) moved(section *node) {
	if section == nil {
		return
	}
	seen := map[string]int{} // what is renamed, or renamed to, → line
	for i, n := range section.items {
		if n.bad || i >= len(c.file.Moved) {
			continue
		}
		where := fmt.Sprintf("moved[%d]", i)
		from := c.need(n, "from", where, "Write - {from: OLD, to: NEW}")
		to := c.need(n, "to", where, "Write - {from: OLD, to: NEW}")
		if from != nil && to != nil {
			c.move(from, to, c.file.Moved[i], seen)
		}
	}
}
