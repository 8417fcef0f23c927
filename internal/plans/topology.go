package plans

// Topology is the fleet as a revision declares it, as far as a picture of it
// needs. What changes in it, the plan's parts say. All lists are sorted.
type Topology struct {
	Networks  []TopologyNetwork  `json:"networks"`
	Machines  []TopologyMachine  `json:"machines"`
	Balancers []TopologyBalancer `json:"load_balancers"`
	Waves     []string           `json:"waves"` // selectors, in the order of the rollout; hosts of none come in one more
}

// TopologyNetwork is a private network.
type TopologyNetwork struct {
	Name    string `json:"name"`
	IPRange string `json:"ip_range"` // CIDR, "" where the fleet only refers to it
}

// TopologyMachine is a server, a host, or both under one name.
type TopologyMachine struct {
	Name       string   `json:"name"`
	Server     bool     `json:"server"` // declared at the provider
	Host       bool     `json:"host"`   // has a NixOS configuration
	ServerType string   `json:"server_type,omitempty"`
	Location   string   `json:"location,omitempty"` // the first one, where several may be taken
	Networks   []string `json:"networks,omitempty"`
	Wave       int      `json:"wave,omitempty"` // from 1; len(Waves)+1 is the last one; 0: no host
}

// TopologyBalancer is a load balancer.
type TopologyBalancer struct {
	Name     string   `json:"name"`
	Networks []string `json:"networks,omitempty"`
	Targets  []string `json:"targets,omitempty"` // servers, by name
}
