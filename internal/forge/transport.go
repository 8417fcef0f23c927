package forge

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/flotilla-nix/flotilla/internal/secret"
)

// errElsewhere is a request that would leave GitHub's API. Trying it again is of no use.
var errElsewhere = errors.New("a request to another host than that of GitHub's API was not made")

// bearer puts the token on requests to GitHub, and lets no other through.
type bearer struct {
	host, scheme string
	token        secret.String
	next         http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != b.host || req.URL.Scheme != b.scheme {
		return nil, errElsewhere
	}
	with := req.Clone(req.Context())
	with.Header.Set("Authorization", "Bearer "+b.token.Reveal())
	return b.next.RoundTrip(with)
}

// sameHost follows redirects of renamed repositories, which stay at the API.
func sameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		return errElsewhere
	}
	if len(via) > 3 {
		return fmt.Errorf("%w: it redirects in circles", errElsewhere)
	}
	return nil
}
