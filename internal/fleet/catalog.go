package fleet

import "time"

// Catalog is what the provider sells. Prices are per month, net of tax.
type Catalog struct {
	Currency          string                      `json:"currency"` // "EUR"
	ServerTypes       map[string]CatalogType      `json:"server_types"`
	LoadBalancerTypes map[string]CatalogType      `json:"load_balancer_types"`
	VolumeGB          Money                       `json:"volume_gb"`
	PrimaryIPs        map[string]map[string]Money `json:"primary_ips"`    // type → location → price
	BackupPercent     float64                     `json:"backup_percent"` // of the server's price
}

// CatalogType is a server type or a load balancer type.
type CatalogType struct {
	Architecture string               `json:"architecture,omitempty"` // "x86", "arm"
	Disk         int                  `json:"disk,omitempty"`         // GB
	At           map[string]CatalogAt `json:"at"`                     // by location
}

// CatalogAt is a type in one location.
type CatalogAt struct {
	Monthly          Money     `json:"monthly"`
	Available        bool      `json:"available"` // false: sold out now
	Deprecated       bool      `json:"deprecated"`
	UnavailableAfter time.Time `json:"unavailable_after"` // zero: not announced
}

// Money is an amount in millionths of a currency's unit.
type Money int64
