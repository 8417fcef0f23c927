package cloud

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The catalog never changes while a lab runs. Its numbers are the lab's own;
// prices are of the right size, not the provider's list.

type location struct {
	ID          int64   `json:"id"`
	Name        string  `json:"name"`
	Description string  `json:"description"`
	Country     string  `json:"country"`
	City        string  `json:"city"`
	Latitude    float64 `json:"latitude"`
	Longitude   float64 `json:"longitude"`
	NetworkZone string  `json:"network_zone"`
}

func (l *location) meta() *Meta { return &Meta{ID: l.ID, Name: l.Name} }

func locations() []*location {
	return []*location{
		{1, "fsn1", "Falkenstein DC Park 1", "DE", "Falkenstein", 50.47612, 12.370071, "eu-central"},
		{2, "nbg1", "Nuremberg DC Park 1", "DE", "Nuremberg", 49.452102, 11.076665, "eu-central"},
		{3, "hel1", "Helsinki DC Park 1", "FI", "Helsinki", 60.169855, 24.938379, "eu-central"},
		{4, "ash", "Ashburn, VA", "US", "Ashburn, VA", 39.045821, -77.487073, "us-east"},
		{5, "hil", "Hillsboro, OR", "US", "Hillsboro, OR", 45.54222, -122.951924, "us-west"},
		{6, "sin", "Singapore", "SG", "Singapore", 1.283333, 103.833333, "ap-southeast"},
	}
}

func locationKind() kind[*location] {
	all := locations()
	return kind[*location]{one: "location", many: "locations", all: func(*objects) []*location { return all }}
}

type price struct {
	Net   string `json:"net"`
	Gross string `json:"gross"`
}

func euro(cents int) price { return euros(float64(cents) / 100) }

func euros(net float64) price {
	text := func(e float64) string { return strconv.FormatFloat(e, 'f', 10, 64) }
	return price{Net: text(net), Gross: text(net * 1.19)}
}

// hourly is the price per hour of what costs so much a month: a little more
// than the month's 730th part, as a full month costs no more than its price.
func hourly(centsPerMonth int) price {
	const hours = 624
	return euros(float64(centsPerMonth) / 100 / hours)
}

const terabyte = 1 << 40

// prices are the same in all locations but the American and Asian ones, which
// cost a fifth more and include less traffic.
func prices(cents int) []typePrice {
	var all []typePrice
	for _, l := range locations() {
		p := typePrice{Location: l.Name, PriceHourly: hourly(cents), PriceMonthly: euro(cents), IncludedTraffic: 20 * terabyte, PricePerTBTraffic: euro(100)}
		if l.NetworkZone != "eu-central" {
			p.PriceHourly, p.PriceMonthly, p.IncludedTraffic = hourly(cents*6/5), euro(cents*6/5), terabyte
		}
		all = append(all, p)
	}
	return all
}

type typePrice struct {
	Location          string `json:"location"`
	PriceHourly       price  `json:"price_hourly"`
	PriceMonthly      price  `json:"price_monthly"`
	IncludedTraffic   int64  `json:"included_traffic"`
	PricePerTBTraffic price  `json:"price_per_tb_traffic"`
}

type typeLocation struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	Recommended bool   `json:"recommended"`
	Available   bool   `json:"available"`
	Deprecation *end   `json:"deprecation"`
}

// end is a deprecation: since when it is known, and when nothing new can be
// made any more.
type end struct {
	Announced        time.Time `json:"announced"`
	UnavailableAfter time.Time `json:"unavailable_after"`
}

type serverType struct {
	ID              int64          `json:"id"`
	Name            string         `json:"name"`
	Description     string         `json:"description"`
	Category        string         `json:"category"`
	Cores           int            `json:"cores"`
	Memory          float64        `json:"memory"`
	Disk            int            `json:"disk"`
	StorageType     string         `json:"storage_type"`
	CPUType         string         `json:"cpu_type"`
	Architecture    string         `json:"architecture"`
	Deprecated      bool           `json:"deprecated"`
	Deprecation     *end           `json:"deprecation"`
	IncludedTraffic int64          `json:"included_traffic"`
	Prices          []typePrice    `json:"prices"`
	Locations       []typeLocation `json:"locations"`
}

func (t *serverType) meta() *Meta { return &Meta{ID: t.ID, Name: t.Name} }

// offered tells whether a server of the type can be made in a location now.
func (t *serverType) offered(location string, now time.Time) error {
	i := slices.IndexFunc(t.Locations, func(l typeLocation) bool { return l.Name == location })
	if i < 0 {
		return invalid("location", "unsupported location for server type")
	}
	switch at := t.Locations[i]; {
	case at.Deprecation != nil && now.After(at.Deprecation.UnavailableAfter):
		return fail(http.StatusUnprocessableEntity, "invalid_server_type", "server type "+t.Name+" is deprecated")
	case !at.Available:
		return fail(http.StatusPreconditionFailed, "resource_unavailable", "error during placement: server type "+t.Name+" is not available in "+location)
	}
	return nil
}

// only keeps the type in the given locations.
func (t *serverType) only(names ...string) *serverType {
	t.Locations = slices.DeleteFunc(t.Locations, func(l typeLocation) bool { return !slices.Contains(names, l.Name) })
	t.Prices = slices.DeleteFunc(t.Prices, func(p typePrice) bool { return !slices.Contains(names, p.Location) })
	return t
}

// soldOut makes the type unavailable in the given locations.
func (t *serverType) soldOut(names ...string) *serverType {
	for i, l := range t.Locations {
		if slices.Contains(names, l.Name) {
			t.Locations[i].Available, t.Locations[i].Recommended = false, false
		}
	}
	return t
}

// ends deprecates the type in all of its locations.
func (t *serverType) ends(announced, after time.Time) *serverType {
	t.Deprecated, t.Deprecation = true, &end{announced, after}
	for i := range t.Locations {
		t.Locations[i].Deprecation, t.Locations[i].Recommended = t.Deprecation, false
	}
	return t
}

// dedicated makes the type one with cores of its own.
func (t *serverType) dedicated() *serverType {
	t.Category, t.CPUType = "General Purpose", "dedicated"
	return t
}

// serverTypes are of all sorts: cpx11 is deprecated, cpx21 is gone, ccx13 is
// left in hel1 only, ccx23 is sold out, cax11 has another architecture.
func serverTypes() []*serverType {
	describe := func(id int64, name, architecture string, cores int, memory float64, disk, cents int) *serverType {
		t := &serverType{
			ID: id, Name: name, Description: strings.ToUpper(name), Category: "Cost-Optimized", Cores: cores, Memory: memory, Disk: disk,
			StorageType: "local", CPUType: "shared", Architecture: architecture,
		}
		t.Prices = prices(cents)
		for _, l := range locations() {
			t.Locations = append(t.Locations, typeLocation{ID: l.ID, Name: l.Name, Recommended: true, Available: true})
		}
		return t
	}
	known := time.Date(2025, 10, 1, 0, 0, 0, 0, time.UTC)
	past, never := known.AddDate(0, 3, 0), known.AddDate(100, 0, 0)
	return []*serverType{
		describe(22, "cpx11", "x86", 2, 2, 40, 435).ends(known, never),
		describe(23, "cpx21", "x86", 3, 4, 80, 755).ends(known, past),
		describe(45, "cax11", "arm", 2, 4, 40, 379).only("fsn1", "nbg1", "hel1"),
		describe(96, "ccx13", "x86", 2, 8, 80, 1249).dedicated().only("fsn1", "nbg1", "hel1").soldOut("fsn1", "nbg1"),
		describe(97, "ccx23", "x86", 4, 16, 160, 2449).dedicated().only("fsn1", "nbg1", "hel1").soldOut("fsn1", "nbg1", "hel1"),
		describe(104, "cx22", "x86", 2, 4, 40, 379),
		describe(105, "cx32", "x86", 4, 8, 80, 680),
		describe(106, "cx42", "x86", 8, 16, 160, 1640),
		describe(114, "cx23", "x86", 2, 4, 40, 349),
		describe(115, "cx33", "x86", 4, 8, 80, 549),
		describe(116, "cx43", "x86", 8, 16, 160, 949),
	}
}

func serverTypeKind() kind[*serverType] {
	all := serverTypes()
	return kind[*serverType]{one: "server_type", many: "server_types", all: func(*objects) []*serverType { return all }}
}

// lookUp finds by id or name; the zero value of T if there is none.
func lookUp[T resource](items []T, r ref) (T, bool) {
	for _, v := range items {
		if r.names(v.meta()) {
			return v, true
		}
	}
	var none T
	return none, false
}
