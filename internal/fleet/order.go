package fleet

// ServerOrder is all that a provider needs to make one server. Server is as
// declared; what it names is given as the provider's IDs here.
type ServerOrder struct {
	Name           string
	Server         Server
	SSHKeys        []int64 // keys that may log in at first
	Networks       []int64 // networks to join from the start, at an address that the provider chooses
	Firewalls      []int64
	Volumes        []int64
	PlacementGroup int64 // 0: none
	IPv4           int64 // primary IP; 0: one that comes and goes with the server, unless PublicNet has none
	IPv6           int64
	Stopped        bool   // is not started: it has no address before its networks are attached
	HostKey        string // fingerprint of the host key in the user data, Published.HostKey's form
	KeysDigest     string // AccountServer.KeysDigest
	UserDataDigest string // AccountServer.UserDataDigest
}

// LoadBalancerOrder is all that a provider needs to make one load balancer,
// without what is added afterwards: services, targets, networks.
type LoadBalancerOrder struct {
	Name         string
	LoadBalancer LoadBalancer
}

// Lock is a fleet's lock at the provider.
type Lock struct {
	ID      int64  `json:"id"`      // of the object that is the lock
	Holder  string `json:"holder"`  // who holds it: run and person, for people
	Run     string `json:"run"`     // of the run that holds it, unique
	Job     string `json:"job"`     // the job that it is, "1234/1" (run and attempt); "": none
	URL     string `json:"url"`     // where the job can be watched; "": not known
	Expires int64  `json:"expires"` // Unix time by the provider's clock
}

// FirewallTarget is what a firewall applies to: a server's ID or a label
// selector.
type FirewallTarget struct {
	Server        int64
	LabelSelector string
}
