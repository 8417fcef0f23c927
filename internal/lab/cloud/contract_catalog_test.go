package cloud_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

func TestContractCatalog(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	price := map[string]string{"location": "string", "price_hourly.net": "string", "price_hourly.gross": "string", "price_monthly.net": "string", "included_traffic": "int", "price_per_tb_traffic.net": "string"}
	shape := func(root string, more map[string]string) {
		t.Helper()
		fields := map[string]string{"id": "int", "name": "string", "description": "string"}
		for field, kind := range more {
			fields[field] = kind
		}
		w.shape(part(w.get("/"+root), root+".0"), fields)
	}
	shape("locations", map[string]string{"country": "string", "city": "string", "latitude": "number", "longitude": "number", "network_zone": "string"})
	types := map[string]string{
		"cores": "int", "memory": "number", "disk": "int", "storage_type": "string", "cpu_type": "string", "architecture": "string", "category": "string",
		"deprecated": "bool", "deprecation": "object|null", "locations.0.id": "int", "locations.0.name": "string", "locations.0.available": "bool",
		"locations.0.recommended": "bool", "locations.0.deprecation.announced": "time", "locations.0.deprecation.unavailable_after": "time",
	}
	balancers := map[string]string{"max_connections": "int", "max_services": "int", "max_targets": "int", "max_assigned_certificates": "int", "deprecated": "string|null"}
	for field, kind := range price {
		types["prices.0."+field], balancers["prices.0."+field] = kind, kind
	}
	shape("server_types", types)
	shape("load_balancer_types", balancers)
	for root, name := range map[string]string{"locations": "hel1", "server_types": "cx32", "load_balancer_types": "lb21"} {
		if got := w.get("/" + root + "?name=" + name); part(got, root+".0.name") != name || id(got, "meta.pagination.total_entries") != 1 {
			t.Errorf("%s by name: %v", root, got)
		}
		if got := w.get("/" + root + "?per_page=2&page=2"); part(got, "meta.pagination.previous_page") == nil || id(got, "meta.pagination.per_page") != 2 {
			t.Errorf("%s, second page: %v", root, part(got, "meta"))
		}
		w.refuses([]refusal{
			{"none of that number", "GET", "/" + root + "/5000", "", 404, "not_found", ""},
			{"nothing new", "POST", "/" + root, `{"name":"x"}`, 404, "not_found", ""},
		})
	}
}

// What a type is like in a location decides whether a server can be made there.
func TestContractServerTypes(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	all, err := w.ServerType.All(w.ctx)
	w.must(err)
	deprecated, soldOut, arm := 0, 0, 0
	for _, typ := range all {
		if typ.Architecture == hcloud.ArchitectureARM {
			arm++
		}
		for _, at := range typ.Locations {
			if at.IsDeprecated() {
				deprecated++
			}
			if !at.Available {
				soldOut++
			}
		}
	}
	if deprecated == 0 || soldOut == 0 || arm == 0 {
		t.Errorf("deprecated in %d places, sold out in %d, %d for arm", deprecated, soldOut, arm)
	}
	server := func(typ, location string) string {
		return fmt.Sprintf(`{"name":"x","server_type":"%s","image":"debian-13"%s}`, typ, location)
	}
	in := func(location string) string { return `,"location":"` + location + `"` }
	w.refuses([]refusal{
		{"gone", "POST", "/servers", server("cpx21", in("nbg1")), 422, "invalid_server_type", ""},
		{"sold out here", "POST", "/servers", server("ccx13", in("nbg1")), 412, "resource_unavailable", ""},
		{"sold out everywhere", "POST", "/servers", server("ccx23", ""), 412, "resource_unavailable", ""},
		{"not to be had there", "POST", "/servers", server("ccx13", in("ash")), 422, "invalid_input", "location"},
		{"no such type", "POST", "/servers", server("cx99", ""), 422, "invalid_input", "server_type"},
		{"no such location", "POST", "/servers", server("cx22", in("moon")), 422, "invalid_input", "location"},
	})
	w.make("servers", "old", strings.Replace(server("cpx11", in("fsn1")), `"x"`, `"old"`, 1)) // deprecated, not gone
	w.make("servers", "last", strings.Replace(server("ccx13", ""), `"x"`, `"last"`, 1))       // the API finds the place
	w.is(w.at("servers", "last"), "server.location.name", `"hel1"`)
}

func TestContractPricing(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	o := w.get("/pricing")
	w.shape(o, map[string]string{
		"pricing.currency": "string", "pricing.vat_rate": "string", "pricing.image.price_per_gb_month.net": "string",
		"pricing.volume.price_per_gb_month.gross": "string", "pricing.server_backup.percentage": "string", "pricing.traffic.price_per_tb.net": "string",
		"pricing.primary_ips.0.type": "string", "pricing.primary_ips.0.prices.0.location": "string", "pricing.primary_ips.0.prices.0.price_monthly.net": "string",
		"pricing.primary_ips.0.prices.0.price_hourly.net": "string", "pricing.floating_ips.0.prices.0.price_monthly.net": "string",
	})
	p, _, err := w.Pricing.Get(w.ctx)
	w.must(err)
	euros := func(text string) float64 {
		t.Helper()
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Errorf("a price is %q", text)
		}
		return n
	}
	types, err := w.ServerType.All(w.ctx)
	w.must(err)
	balancers, err := w.LoadBalancerType.All(w.ctx)
	w.must(err)
	if len(p.ServerTypes) != len(types) || len(p.LoadBalancerTypes) != len(balancers) || len(p.PrimaryIPs) != 2 || len(p.FloatingIPs) != 2 {
		t.Fatalf("prices of %d server types, %d load balancer types, %d primary IPs", len(p.ServerTypes), len(p.LoadBalancerTypes), len(p.PrimaryIPs))
	}
	for i, typ := range types {
		if p.ServerTypes[i].ServerType.Name != typ.Name || len(p.ServerTypes[i].Pricings) != len(typ.Locations) || len(typ.Pricings) != len(typ.Locations) {
			t.Errorf("%s is in %d locations, with %d and %d prices", typ.Name, len(typ.Locations), len(typ.Pricings), len(p.ServerTypes[i].Pricings))
			continue
		}
		for j, at := range p.ServerTypes[i].Pricings {
			month, hour := euros(at.Monthly.Net), euros(at.Hourly.Net)
			if typ.Pricings[j].Monthly.Net != at.Monthly.Net || month <= 0 || hour*730 < month || euros(at.Monthly.Gross) <= month {
				t.Errorf("%s in %s: %+v", typ.Name, at.Location.Name, at)
			}
		}
	}
	for _, ip := range p.PrimaryIPs {
		for _, at := range ip.Pricings {
			if month := euros(at.Monthly.Net); ip.Type == "ipv4" && month <= 0 || ip.Type == "ipv6" && month != 0 {
				t.Errorf("%s in %s costs %s", ip.Type, at.Location, at.Monthly.Net)
			}
		}
	}
	if percent := euros(p.ServerBackup.Percentage); percent != 20 {
		t.Errorf("backups cost %v percent", percent)
	}
}

func TestContractCertificates(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	text, key := certificate(t, "site.example")
	created, _, err := w.Certificate.Create(w.ctx, hcloud.CertificateCreateOpts{
		Name: "site", Type: hcloud.CertificateTypeUploaded, Certificate: text, PrivateKey: key, Labels: map[string]string{"tier": "front"},
	})
	w.must(err)
	if created.Certificate != text || len(created.DomainNames) != 1 || created.DomainNames[0] != "site.example" || created.NotValidAfter.Before(created.NotValidBefore) {
		t.Errorf("certificate: %+v", created)
	}
	w.named["site"] = created.ID
	w.shape(w.get(w.at("certificates", "site")), map[string]string{
		"certificate.id": "int", "certificate.name": "string", "certificate.type": "string", "certificate.labels": "object", "certificate.created": "time",
		"certificate.certificate": "string", "certificate.not_valid_before": "time", "certificate.not_valid_after": "time", "certificate.domain_names": "list",
		"certificate.fingerprint": "string", "certificate.status": "null", "certificate.used_by": "list",
	})
	if has(w.get(w.at("certificates", "site")), "certificate.private_key") {
		t.Error("the API gives a private key away")
	}
	pem := func(name, text, key string) string {
		return fmt.Sprintf(`{"name":%q,"type":"uploaded","certificate":%q,"private_key":%q}`, name, text, key)
	}
	w.refuses([]refusal{
		{"no PEM", "POST", "/certificates", pem("x", "text", key), 422, "invalid_input", "certificate"},
		{"no key", "POST", "/certificates", pem("x", text, ""), 422, "invalid_input", "private_key"},
		{"name taken", "POST", "/certificates", pem("site", text, key), 409, "uniqueness_error", ""},
		{"managed", "POST", "/certificates", `{"name":"x","type":"managed","domain_names":["a.example"]}`, 422, "invalid_input", "type"},
	})
	w.make("load_balancers", "front", fmt.Sprintf(`{"name":"front","load_balancer_type":"lb11","location":"nbg1",
		"services":[{"protocol":"https","http":{"certificates":[%d],"redirect_http":true}}]}`, created.ID))
	w.is(w.at("certificates", "site"), "certificate.used_by", fmt.Sprintf(`[{"id":%d,"type":"load_balancer"}]`, w.named["front"]))
	w.refuses([]refusal{
		{"in use", "DELETE", w.at("certificates", "site"), "", 422, "resource_in_use", ""},
		{
			"a port that the redirection has", "POST", w.at("load_balancers", "front") + "/actions/add_service",
			`{"protocol":"http"}`, 422, "source_port_already_used", "",
		},
	})
	w.do(w.at("load_balancers", "front")+"/actions/delete_service", `{"listen_port":443}`)
	changed, _, err := w.Certificate.Update(w.ctx, created, hcloud.CertificateUpdateOpts{Name: "other"})
	w.must(err)
	if changed.Name != "other" || changed.Labels["tier"] != "front" {
		t.Errorf("after PUT: %+v", changed)
	}
	w.want(http.StatusNoContent, "DELETE", w.at("certificates", "site"), "")
}
