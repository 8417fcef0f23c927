package terraform

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// unsupported notes a resource that has no place in a fleet.
func (s *scope) unsupported(r *resource) {
	if r.data && strings.HasPrefix(r.kind, "hcloud_") {
		return // it looks something up and makes nothing; what uses it says what is missing
	}
	what, instead := s.counterpart(r)
	s.in.gap(r.at, s.address(r.address()), what, instead)
}

func (s *scope) counterpart(r *resource) (what, instead string) {
	text := strings.ToLower(s.in.blockText(r.body))
	switch {
	case strings.Contains(text, "nixos-infect") || strings.Contains(text, "nixos-anywhere"):
		return "it installs NixOS, which Flotilla does itself", "Leave it out."
	case r.kind == "null_resource" || r.kind == "terraform_data":
		if has(r.body, "provisioner") {
			return "it runs commands, which a fleet does not", "Say in the host's NixOS configuration what they set up."
		}
		return "it makes nothing at the provider", "Leave it out."
	}
	switch r.kind {
	case "hcloud_floating_ip", "hcloud_floating_ip_assignment":
		return "floating IPs are not carried over", "A primary IP outlives its server as well: declare one, or keep the floating IP outside of the fleet."
	case "hcloud_managed_certificate", "hcloud_uploaded_certificate":
		return "certificates are not carried over; load balancers of the fleet name them", "It stays in the project as it is. Take it out of Terraform's state with terraform state rm before you end Terraform."
	case "hcloud_snapshot":
		return "snapshots are not made by a fleet", "It stays in the project. Give it a label, and name it by that: image: os=nixos."
	case "hcloud_zone", "hcloud_zone_record", "hcloud_zone_rrset":
		return "DNS zones are not carried over", "Keep them in Terraform or another tool; flotilla facts prints the addresses."
	}
	kind, _, _ := strings.Cut(r.kind, "_")
	switch {
	case strings.HasPrefix(r.kind, "hcloud_"):
		return "resources of type " + r.kind + " are not carried over", "It stays in the project as it is."
	case r.data:
		return "data of the provider " + kind + " is not read", "Write the value where it is used, or import with --state terraform.tfstate."
	case kind == "random" || kind == "tls" || kind == "time":
		return "it makes a value and no server; where the state has the value, it is carried over", "Write the value where it is used; keep secrets in sops files of the hosts."
	}
	return "it belongs to the provider " + kind + ", not to hcloud", "Keep it in Terraform, or do what it does in the hosts' NixOS configuration."
}

func has(body *hclsyntax.Body, kind string) bool {
	for _, b := range body.Blocks {
		if b.Type == kind {
			return true
		}
	}
	return false
}

// blockText is the source of a block.
func (in *importer) blockText(body *hclsyntax.Body) string {
	text, at := in.sources[body.SrcRange.Filename], body.SrcRange
	if at.Start.Byte < 0 || at.End.Byte > len(text) || at.Start.Byte > at.End.Byte {
		return ""
	}
	return string(text[at.Start.Byte:at.End.Byte])
}

// extras notes what hangs on a resource that is carried over.
func (s *scope) extras(r *resource) {
	for _, b := range r.body.Blocks {
		if b.Type != "provisioner" {
			continue
		}
		kind := ""
		if len(b.Labels) > 0 {
			kind = " " + b.Labels[0]
		}
		what, instead := "its provisioner"+kind+" runs commands, which a fleet does not", "Say in the host's NixOS configuration what they set up."
		if text := strings.ToLower(s.in.blockText(b.Body)); strings.Contains(text, "nixos-infect") || strings.Contains(text, "nixos-anywhere") {
			what, instead = "its provisioner installs NixOS, which Flotilla does itself", "Leave it out."
		}
		s.in.gap(b.DefRange(), s.address(r.address()), what, instead)
	}
}

// provider makes the provider section. The token itself is never read: it
// comes from the environment, as for Terraform's provider.
func (b *builder) provider() {
	b.fleet.Hetzner = &fleet.Hetzner{Token: fleet.EnvRef{Env: "HCLOUD_TOKEN"}, PollInterval: 500 * time.Millisecond}
	for _, p := range b.root.folder.providers {
		if p.Labels[0] != "hcloud" {
			continue
		}
		if p.Body.Attributes["alias"] != nil && b.in.home == "" {
			continue // its resources are noted one by one
		}
		if attr := p.Body.Attributes["token"]; attr != nil && len(b.in.refs[attr.Expr]) == 0 {
			b.in.gap(attr.NameRange, "provider.hcloud", "the token stands in the configuration; the fleet takes it from HCLOUD_TOKEN", "Revoke it, if this was committed: it stays in the git history.")
		}
		if attr := p.Body.Attributes["endpoint"]; attr != nil {
			if text, ok := textOf(b.root.eval(attr.Expr, nil)); ok {
				b.fleet.Hetzner.Endpoint = text
			} else {
				b.in.gap(attr.NameRange, "provider.hcloud", "its endpoint is not known", "Set HCLOUD_ENDPOINT, or write it under provider.")
			}
		}
		if attr := p.Body.Attributes["poll_interval"]; attr != nil {
			text, _ := textOf(b.root.eval(attr.Expr, nil))
			if d, err := time.ParseDuration(text); err == nil && d >= 10*time.Millisecond && d <= time.Minute {
				b.fleet.Hetzner.PollInterval = d
			} else {
				b.in.gap(attr.NameRange, "provider.hcloud", "its poll_interval is not carried over", "Write a time from 10ms to 1m under provider.")
			}
		}
	}
}

// leftInState notes what Terraform has made and the configuration does not
// declare.
func (b *builder) leftInState() {
	if b.in.state == nil {
		return
	}
	for _, address := range b.in.state.order {
		i := b.in.state.instances[address]
		if i.used || i.data || !strings.HasPrefix(i.kind, "hcloud_") {
			continue
		}
		name, _ := textOf(i.attrs["name"])
		if name != "" {
			name = fmt.Sprintf(" (%s)", short(name))
		}
		b.in.gap(nowhere(b.in.state.file), i.address, "the state has it"+name+", but the configuration does not declare it, so it is not in the fleet",
			"Declare it in flotilla.yaml to keep it, or remove it from Terraform first.")
	}
}
