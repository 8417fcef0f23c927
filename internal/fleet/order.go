package fleet

// ServerOrder is all that a provider needs to make one server.
type ServerOrder struct {
	Name       string
	Server     Server  // as declared; Networks and SSHKeys are given as IDs below
	SSHKeys    []int64 // provider's IDs of the keys that may log in at first
	Networks   []int64 // networks to join from the start, at an address that the provider chooses
	HostKey    string  // fingerprint of the host key in the user data, Published.HostKey's form
	KeysDigest string  // AccountServer.KeysDigest
}
