package terraform

import (
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// schema is what the provider's types have, as far as an import needs it.
// Everything else in a block is a gap.
type schema struct {
	attrs  map[string]attribute
	blocks map[string]*schema
}

type attribute struct {
	kind     cty.Type
	fallback cty.Value // where the block says nothing
	computed bool      // only the provider knows it
}

// schemaOf gives the schema of a type of the provider's, nil if it has no
// place in a fleet.
func (in *importer) schemaOf(r *resource) *schema {
	name := r.kind
	if r.data {
		name = "data." + r.kind
	}
	if s, ok := in.schemas[name]; ok {
		return s
	}
	text, ok := schemaTexts()[name]
	var s *schema
	if ok {
		s = parseSchema(text)
	}
	in.schemas[name] = s
	return s
}

// schemaTexts holds one line per block: the attributes of the type, then of
// its blocks, which begin with "block:". After a name stands :type (string
// where none does), then =default or, for what only the provider knows, !.
func schemaTexts() map[string]string {
	const protected = " labels:map delete_protection:bool=false id!"
	return map[string]string{
		"hcloud_network":         "name ip_range expose_routes_to_vswitch:bool=false" + protected,
		"hcloud_network_subnet":  "network_id type network_zone ip_range vswitch_id:number gateway! id!",
		"hcloud_network_route":   "network_id destination gateway id!",
		"hcloud_ssh_key":         "name public_key labels:map fingerprint! id!",
		"hcloud_placement_group": "name type labels:map servers:list! id!",
		"hcloud_server": `name server_type image location datacenter user_data ssh_keys:list keep_disk:bool=false backups:bool=false
			backup_window iso rescue firewall_ids:list ignore_remote_firewall_ids:bool=false placement_group_id rebuild_protection:bool=false
			allow_deprecated_images:bool=false shutdown_before_deletion:bool=false ipv4_address! ipv6_address! ipv6_network! status!
			primary_disk_size:number!` + protected + `
			block:network network_id subnet_id ip alias_ips:list mac_address!
			block:public_net ipv4_enabled:bool=true ipv6_enabled:bool=true ipv4 ipv6`,
		"hcloud_server_network": "server_id network_id subnet_id ip alias_ips:list mac_address! id!",
		"hcloud_firewall": `name labels:map id!
			block:rule direction protocol port source_ips:list destination_ips:list description
			block:apply_to server label_selector`,
		"hcloud_firewall_attachment": "firewall_id server_ids:list label_selectors:list id!",
		"hcloud_volume":              "name size:number location server_id automount:bool=false format linux_device!" + protected,
		"hcloud_volume_attachment":   "volume_id server_id automount:bool=false id!",
		"hcloud_primary_ip":          "name type location datacenter assignee_id assignee_type auto_delete:bool=false ip_address! ip_network!" + protected,
		"hcloud_load_balancer": `name load_balancer_type location network_zone ipv4! ipv6! network_id! network_ip!` + protected + `
			block:algorithm type
			block:target type server_id use_private_ip:bool=false`,
		"hcloud_load_balancer_network": "load_balancer_id network_id subnet_id ip enable_public_interface:bool=true id!",
		"hcloud_load_balancer_service": `load_balancer_id protocol listen_port:number destination_port:number proxyprotocol:bool=false id!
			block:http sticky_sessions:bool=false cookie_name cookie_lifetime:number certificates:list redirect_http:bool=false timeout_idle:number
			block:health_check protocol port:number interval:number timeout:number retries:number
			block:health_check.http domain path response tls:bool=false status_codes:list`,
		"hcloud_load_balancer_target": "type load_balancer_id server_id label_selector ip use_private_ip:bool=false id!",
		"hcloud_rdns":                 "server_id primary_ip_id load_balancer_id floating_ip_id ip_address dns_ptr id!",

		// Not in a fleet, but referred to.
		"hcloud_managed_certificate":  "name domain_names:list labels:map certificate! id!",
		"hcloud_uploaded_certificate": "name private_key certificate labels:map id!",

		"data.hcloud_network":            "name with_selector most_recent:bool ip_range! labels:map! delete_protection:bool! expose_routes_to_vswitch:bool! id",
		"data.hcloud_ssh_key":            "name fingerprint selector with_selector public_key! labels:map! id",
		"data.hcloud_firewall":           "name with_selector most_recent:bool labels:map! id",
		"data.hcloud_placement_group":    "name with_selector most_recent:bool type! labels:map! servers:list! id",
		"data.hcloud_volume":             "name selector with_selector with_status:list size:number! location! server_id! linux_device! labels:map! delete_protection:bool! id",
		"data.hcloud_primary_ip":         "name with_selector ip_address ip_network! type! location! assignee_id! auto_delete:bool! labels:map! delete_protection:bool! id",
		"data.hcloud_server":             "name with_selector with_status:list server_type! image! location! ipv4_address! ipv6_address! ipv6_network! status! labels:map! id",
		"data.hcloud_load_balancer":      "name with_selector ipv4! ipv6! network_ip! location! labels:map! id",
		"data.hcloud_certificate":        "name with_selector id",
		"data.hcloud_image":              "name selector with_selector most_recent:bool with_status:list with_architecture include_deprecated:bool type! os_flavor! os_version! description! architecture! id",
		"data.hcloud_location":           "name description! country! city! network_zone! id",
		"data.hcloud_datacenter":         "name id",
		"data.hcloud_server_type":        "name description! architecture! cores:number! memory:number! disk:number! id",
		"data.hcloud_load_balancer_type": "name description! id",
	}
}

func parseSchema(text string) *schema {
	top := &schema{attrs: map[string]attribute{}, blocks: map[string]*schema{}}
	at := top
	for _, word := range strings.Fields(text) {
		if path, ok := strings.CutPrefix(word, "block:"); ok {
			at = top
			for _, name := range strings.Split(path, ".") {
				if at.blocks[name] == nil {
					at.blocks[name] = &schema{attrs: map[string]attribute{}, blocks: map[string]*schema{}}
				}
				at = at.blocks[name]
			}
			continue
		}
		name, a := parseAttribute(word)
		at.attrs[name] = a
	}
	return top
}

func parseAttribute(word string) (string, attribute) {
	word, computed := strings.CutSuffix(word, "!")
	word, fallback, hasFallback := strings.Cut(word, "=")
	name, kind, _ := strings.Cut(word, ":")
	a := attribute{computed: computed}
	switch kind {
	case "bool":
		a.kind = cty.Bool
	case "number":
		a.kind = cty.Number
	case "list":
		a.kind = cty.List(cty.String)
	case "map":
		a.kind = cty.Map(cty.String)
	default:
		a.kind = cty.String
	}
	a.fallback = cty.NullVal(a.kind)
	if hasFallback {
		a.fallback = cty.BoolVal(fallback == "true")
	}
	return name, a
}
