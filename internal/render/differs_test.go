package render

import (
	"bytes"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

func TestDiffers(t *testing.T) {
	resources := []plans.Resource{
		{Kind: plans.KindServer, Name: "web", Action: plans.Update, Attributes: []plans.Attribute{{Name: "backups", Old: "false", New: "true", Known: true}}},
		{Kind: plans.KindVolume, Name: "data", Action: plans.Update, Note: "format counts at creation only"},
	}
	cost := &plans.Cost{Currency: "EUR", Before: 5_000_000, After: 6_000_000}
	for name, some := range map[string][]plans.Resource{"differs": resources, "differs-not": nil} {
		var b bytes.Buffer
		if err := DiffersText(&b, some, cost, Options{}); err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/"+name+".txt", b.Bytes())
		golden(t, "testdata/"+name+".md", []byte(DiffersMarkdown(some, cost)))
		b.Reset()
		if err := AdoptedJSON(&b, plans.Result{Command: "adopt", Fleet: "acme"}, some, cost); err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/"+name+".json", b.Bytes())
	}
	var b bytes.Buffer
	if err := WarningsText(&b, nil, Options{}); err != nil || b.Len() != 0 {
		t.Errorf("no warnings: %q, %v", b.String(), err)
	}
}

func TestMoney(t *testing.T) {
	for _, c := range []struct {
		amount   fleet.Money
		currency string
		want     string
	}{
		{0, "EUR", "€ 0.00"}, {3_790_000, "EUR", "€ 3.79"}, {3_795_000, "EUR", "€ 3.80"}, {4_999, "EUR", "€ 0.00"},
		{-12_340_000, "EUR", "-€ 12.34"}, {1_234_567_890_000, "USD", "USD 1234567.89"}, {1_000_000, "", "€ 1.00"}, {1_000_000, "@all", "¤ 1.00"},
	} {
		if got := money(c.amount, c.currency); got != c.want {
			t.Errorf("%d %s: %q, want %q", c.amount, c.currency, got, c.want)
		}
	}
	for _, c := range []struct {
		cost *plans.Cost
		want string
	}{
		{nil, ""},
		{&plans.Cost{Currency: "EUR", Before: 5_000_000, After: 5_000_000}, "stays at € 5.00 per month without VAT"},
		{&plans.Cost{Currency: "EUR", After: 5_000_000}, "€ 5.00 per month without VAT"},
		{&plans.Cost{Currency: "EUR", Before: 5_000_000}, "€ 5.00 → € 0.00 per month without VAT (- € 5.00)"},
		{&plans.Cost{Currency: "EUR", Before: 5_000_000, After: 5_001_000}, "€ 5.00 → € 5.00 per month without VAT (+ less than € 0.01)"},
	} {
		if got := price(c.cost); got != c.want {
			t.Errorf("%+v: %q, want %q", c.cost, got, c.want)
		}
	}
}
