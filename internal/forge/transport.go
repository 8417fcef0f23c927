package forge

import (
	"errors"
	"net/http"

	"github.com/flotilla-nix/flotilla/internal/secret"
)

// bearer puts the token on requests to GitHub, and lets no other through.
type bearer struct {
	host, scheme string
	token        secret.String
	next         http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != b.host || req.URL.Scheme != b.scheme {
		return nil, errors.New("a request to another host than GitHub's API was not made")
	}
	with := req.Clone(req.Context())
	with.Header.Set("Authorization", "Bearer "+b.token.Reveal())
	return b.next.RoundTrip(with)
}

// sameHost follows redirects of renamed repositories, which stay at the API.
func sameHost(req *http.Request, via []*http.Request) error {
	if len(via) > 3 || req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		return errors.New("GitHub's API redirects to another host, or in circles")
	}
	return nil
}
