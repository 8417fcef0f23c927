package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// items compares what a host has beyond units and files. Those that put data
// at risk come first.
func items(old, new plans.System) []plans.Item {
	a, b := old.Services, new.Services
	list := databases(a.PostgreSQL, b.PostgreSQL)
	list = append(list, compareItems(plans.ItemMount, a.Mounts, b.Mounts, mountFields, mountRisk)...)
	list = append(list, secrets(old, new)...)
	list = append(list, deploymentKeys(old, new)...)
	list = append(list, compareItems(plans.ItemContainer, containers(old), containers(new), containerFields, nil)...)
	list = append(list, compareItems(plans.ItemSite, a.Sites, b.Sites, siteFields, nil)...)
	list = append(list, compareItems(plans.ItemCertificate, a.Certificates, b.Certificates, certificateFields, nil)...)
	slices.SortStableFunc(list, func(a, b plans.Item) int {
		return cmp.Compare(min(len(b.Data), 1), min(len(a.Data), 1))
	})
	return list
}

// field is one named value of an item, "" if it has none.
type field struct{ name, value string }

// compareItems compares things by name. fields gives the same names in the
// same order for every value; risk, where it is set, says why data is at risk.
func compareItems[V any](kind plans.ItemKind, old, new map[string]V, fields func(V) []field, risk func(name string, old, new *V) string) []plans.Item {
	var list []plans.Item
	for _, name := range keysOfBoth(old, new) {
		before, inOld := old[name]
		after, inNew := new[name]
		item := plans.Item{Kind: kind, Name: name, Action: plans.Update, Changes: attributes(fields(before), fields(after))}
		oldValue, newValue := &before, &after
		switch {
		case !inOld:
			item.Action, oldValue = plans.Create, nil
		case !inNew:
			item.Action, newValue = plans.Destroy, nil
			item.Changes = nil
		case len(item.Changes) == 0:
			continue
		}
		if risk != nil {
			item.Data = risk(name, oldValue, newValue)
		}
		list = append(list, item)
	}
	return list
}

func attributes(old, new []field) []plans.Attribute {
	var list []plans.Attribute
	for i, f := range new {
		if a, b := withoutHashes(old[i].value), withoutHashes(f.value); a != b {
			list = append(list, plans.Attribute{Name: f.name, Old: a, New: b, Known: true})
		}
	}
	return list
}

// databases tells a new major version of PostgreSQL: it does not read the data
// of the old one, and NixOS gives it a folder of its own.
func databases(old, new plans.PostgreSQL) []plans.Item {
	set := func(p plans.PostgreSQL) map[string]plans.PostgreSQL {
		if p == (plans.PostgreSQL{}) {
			return nil
		}
		return map[string]plans.PostgreSQL{"PostgreSQL": p}
	}
	fields := func(p plans.PostgreSQL) []field {
		return []field{{"version", p.Version}, {"dataDir", p.DataDir}}
	}
	return compareItems(plans.ItemDatabase, set(old), set(new), fields, func(_ string, old, new *plans.PostgreSQL) string {
		switch {
		case old == nil:
			return ""
		case new == nil:
			return "switched off; its data stays in " + orNone(old.DataDir)
		case old.Major != new.Major && old.DataDir != new.DataDir:
			return fmt.Sprintf("%s → %s starts empty in %s: data must be migrated by hand (pg_upgrade, or dump and restore)", old.Major, new.Major, new.DataDir)
		case old.Major != new.Major:
			return fmt.Sprintf("%s → %s does not start on the data of %s: it must be migrated by hand (pg_upgrade, or dump and restore)", old.Major, new.Major, old.Major)
		case old.DataDir != new.DataDir:
			return fmt.Sprintf("looks for its data in %s, and no longer in %s", new.DataDir, old.DataDir)
		}
		return ""
	})
}

func mountFields(m plans.Mount) []field {
	options := slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return o == "defaults" })
	return []field{{"device", m.Device}, {"fsType", m.Kind}, {"options", strings.Join(options, ",")}, {"autoFormat", m.Format}}
}

// mountRisk tells what is no longer where programs look for it.
func mountRisk(point string, old, new *plans.Mount) string {
	if old == nil || memory(old.Kind) {
		return ""
	}
	switch {
	case new == nil:
		return fmt.Sprintf("no longer mounted: what is on %s is not seen there any more", orNone(old.Device))
	case old.Device != new.Device:
		return fmt.Sprintf("%s is mounted in place of %s", orNone(new.Device), orNone(old.Device))
	case old.Kind != new.Kind:
		return fmt.Sprintf("%s is taken for %s, and was %s", point, new.Kind, old.Kind)
	}
	return ""
}

// memory tells file systems that hold nothing for good.
func memory(kind string) bool {
	switch kind {
	case "tmpfs", "ramfs", "proc", "sysfs", "overlay":
		return true
	}
	return false
}

// containers adds those of which only the image is known.
func containers(s plans.System) map[string]plans.Container {
	all := map[string]plans.Container{}
	for name, image := range s.Images {
		all[name] = plans.Container{Image: image}
	}
	for name, c := range s.Services.Containers {
		all[name] = c
	}
	return all
}

func containerFields(c plans.Container) []field {
	return []field{{"image", c.Image}, {"ports", strings.Join(c.Ports, ", ")}, {"volumes", strings.Join(c.Volumes, ", ")}}
}

func siteFields(s plans.Site) []field {
	return []field{
		{"names", strings.Join(s.Names, ", ")}, {"TLS", s.TLS}, {"ACME", s.ACME}, {"listen", strings.Join(s.Listen, ", ")},
		{"default", s.Default}, {"proxyPass", strings.Join(s.Proxies, ", ")}, {"redirect", s.Redirect},
	}
}

func certificateFields(c plans.Certificate) []field {
	return []field{{"names", strings.Join(c.Names, ", ")}, {"dnsProvider", c.DNS}, {"group", c.Group}}
}
