package fleet

// ServerFacts is what is known of one server once it exists; declared values
// are always known.
type ServerFacts struct {
	IPv4       string            `json:"ipv4"`
	IPv6       string            `json:"ipv6"`
	Private    map[string]string `json:"private"` // network name → address
	ServerType string            `json:"server_type"`
	Location   string            `json:"location"`
	Known      bool              `json:"-"` // false: addresses are placeholders
}

// Facts is handed to the hive as the argument "fleet" (fleet.servers.<name>).
type Facts map[string]ServerFacts
