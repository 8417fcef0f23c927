package hetzner

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

func TestParseMoney(t *testing.T) {
	for text, want := range map[string]fleet.Money{
		"0": 0, "3.2900000000": 3_290_000, "0.0052": 5_200, "0.000001": 1, "0.0000004999": 0, "0.0000005": 1, "1234.56789": 1_234_567_890,
		"0.1": 100_000, "0.2": 200_000, "0.3000000000": 300_000, "9007199254.740993": 9_007_199_254_740_993, "-1.5": -1_500_000,
	} {
		if got, err := parseMoney(text); err != nil || got != want {
			t.Errorf("parseMoney(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "free", "1e9999999999", "0x10", "1/3", "1_000", "NaN", "Inf", "1,50", "99999999999999999999"} {
		if got, err := parseMoney(text); err == nil {
			t.Errorf("parseMoney(%q) = %d", text, got)
		}
	}
}

const (
	soldTypes = `{"server_types":[{"id":1,"name":"cx22","architecture":"x86","disk":40,"deprecation":null,
		"prices":[
			{"location":"nbg1","price_hourly":{"net":"0.006","gross":"1"},"price_monthly":{"net":"3.2900000000","gross":"9"}},
			{"location":"fsn1","price_hourly":{"net":"0.006","gross":"1"},"price_monthly":{"net":"3.3000000000","gross":"9"}},
			{"location":"hel1","price_hourly":{"net":"0.006","gross":"1"},"price_monthly":{"net":"3.4000000000","gross":"9"}}],
		"locations":[
			{"id":1,"name":"nbg1","available":true,"recommended":true,"deprecation":null},
			{"id":2,"name":"fsn1","available":false,"recommended":false,"deprecation":null},
			{"id":3,"name":"hel1","available":true,"recommended":false,"deprecation":{"announced":"2026-01-01T00:00:00Z","unavailable_after":"2026-06-01T00:00:00Z"}}]}]}`
	soldBalancers = `{"load_balancer_types":[{"id":1,"name":"lb11","prices":[
		{"location":"nbg1","price_hourly":{"net":"0.01","gross":"1"},"price_monthly":{"net":"5.39","gross":"9"}}]}]}`
	soldPrices = `{"pricing":{"currency":"EUR","vat_rate":"19.00","volume":{"price_per_gb_month":{"net":"0.0440","gross":"9"}},
		"server_backup":{"percentage":"20.0000000000"},"primary_ips":[{"type":"ipv4","prices":[
			{"location":"nbg1","price_hourly":{"net":"%[1]s","gross":"1"},"price_monthly":{"net":"%[1]s","gross":"9"}}]}]}}`
)

func TestCatalog(t *testing.T) {
	asked, primary := 0, "0.50"
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/server_types":
			asked++
			_, _ = fmt.Fprint(w, soldTypes)
		case "/load_balancer_types":
			_, _ = fmt.Fprint(w, soldBalancers)
		case "/pricing":
			_, _ = fmt.Fprintf(w, soldPrices, primary)
		}
	})
	want := fleet.Catalog{
		Currency: "EUR", VolumeGB: 44_000, BackupPercent: 20,
		ServerTypes: map[string]fleet.CatalogType{"cx22": {Architecture: "x86", Disk: 40, At: map[string]fleet.CatalogAt{
			"nbg1": {Monthly: 3_290_000, Available: true},
			"fsn1": {Monthly: 3_300_000},
			"hel1": {Monthly: 3_400_000, Available: true, Deprecated: true, UnavailableAfter: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)},
		}}},
		LoadBalancerTypes: map[string]fleet.CatalogType{"lb11": {At: map[string]fleet.CatalogAt{"nbg1": {Monthly: 5_390_000, Available: true}}}},
		PrimaryIPs:        map[string]map[string]fleet.Money{"ipv4": {"nbg1": 500_000}},
	}
	for range 2 {
		got, err := c.Catalog(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestPriceThatIsNone(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, map[string]string{"/server_types": soldTypes, "/load_balancer_types": soldBalancers, "/pricing": fmt.Sprintf(soldPrices, "a lot")}[r.URL.Path])
	})
	if _, err := c.Catalog(context.Background()); err == nil {
		t.Error("no error")
	}
}
