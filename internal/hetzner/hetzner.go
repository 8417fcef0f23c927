// Package hetzner is the door to Hetzner Cloud: what exists there, and the
// changes, in the words of package fleet. The library that speaks to the API
// stays inside.
//
// There is no state file. What Flotilla knows of a resource lies in the
// resource's own labels:
//
//	label                      on              value
//	flotilla/fleet             all             name of the fleet that owns the resource
//	flotilla/image             servers         image as declared at creation (escaped, see encodeLabel)
//	flotilla/ssh-keys          servers         digest of the names in ssh_keys at creation
//	flotilla/user-data         servers         digest of user_data at creation
//	flotilla/host-key          servers         fingerprint of the SSH host key: lower-case base32 of its SHA-256
//	flotilla/host-key-next     servers         fingerprint of a host key that is being put in place
//	flotilla/system            servers         32-character hash of the confirmed system's store path
//	flotilla/commit            servers         commit of the last confirmed deployment
//	flotilla/held              servers         "true" while somebody keeps the host where it was rolled back to
//	flotilla/off               servers         Flotilla switched it off: "", or the Unix time until which that counts
//	flotilla/shutdown          servers         "true" if the guest is asked to shut down before it is deleted
//	flotilla/snapshot          servers         "true" if a snapshot is made before it is deleted
//	flotilla/server            snapshots       name of the server that the snapshot was made of (escaped)
//	flotilla/subnet.<range>    networks        ""; the fleet made this subnet: flotilla/subnet.10.0.1.0_24
//	flotilla/route.<range>     networks        ""; the fleet made the route to this destination
//	flotilla/rdns.<address>    see below       ""; the fleet set the reverse DNS of ipv4, ipv6 or this address
//	flotilla/service.<port>    load balancers  ""; the fleet made the service on this port
//	flotilla/target.<hash>     load balancers  ""; the fleet made the target ip=<address> or label_selector=<selector>
//	flotilla/selector.<hash>   firewalls       ""; the fleet applied the firewall to servers by this label selector
//	flotilla/lock              locks           name of the fleet whose lock the placement group is
//	flotilla/lock-holder       locks           who holds it, for people (escaped, cut to fit)
//	flotilla/lock-run          locks           the run that holds it (escaped)
//	flotilla/lock-expires      locks           Unix time, by the API's clock, after which it may be broken
//
// Reverse DNS is on servers, primary IPs and load balancers. What has no labels
// (subnets, routes, reverse DNS, services, targets, selectors) is the fleet's
// if its owner carries the label for it; the label is written before the part
// is made and taken off after it is gone, so one without a part may be left and
// does no harm. A text that does not fit into a label's name is replaced by a
// hash.
//
// A resource without flotilla/fleet=<this fleet> is never changed or deleted,
// so several fleets and hand-made resources live in one project. Labels of the
// fleet repo have no prefix or one that it declares; labels with a foreign
// prefix belong to other tools and are kept as they are.
//
// A resource's name in flotilla.yaml is its name at the provider. What the
// package does not do: decide. Which change is made, and in which order, is
// package provision's business.
package hetzner

import (
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

const (
	requestTimeout      = time.Minute
	defaultPoll         = time.Second
	defaultRetryBackoff = time.Second
	pageSize            = 50 // the API's maximum
)

// Options say which account, and how patient to be. Token and Fleet are required.
type Options struct {
	Token           secret.String
	Endpoint        string        // base URL with /v1; "": the public API
	Fleet           string        // name of the fleet: the value of the ownership label
	PollInterval    time.Duration // between polls of running actions; 0: one second
	RetryBackoff    time.Duration // first wait before a request is tried again, doubled each time; 0: one second
	ShutdownTimeout time.Duration // that a guest has to shut down before its power is cut; 0: one and a half minutes
	HTTPClient      *http.Client  // nil: one with a timeout of a minute per request
	Version         string        // of Flotilla, for the User-Agent header

	// Waiting is told, now and then, that requests are put off or fail and are
	// tried again, which may take minutes; nil: nobody is.
	Waiting func(text string)
}

// Client is one project of a Hetzner Cloud account, seen by one fleet. It is
// safe for use by several goroutines; changes of one and the same resource
// have to come one after another.
type Client struct {
	api               *hcloud.Client
	token             secret.String
	fleet             string
	backoff           time.Duration
	shutdown, restart time.Duration
	actions           *waiter
	limit             *rateLimit
	clock             *clock
	patience          patience

	editing   locks // of labels, per resource
	strangers strangers
	ordered   sync.Map // IDs of servers that this client made stopped, not started yet
	sold      sold
}

// New makes a client. It sends no request.
func New(o Options) (*Client, error) {
	if o.Token.IsZero() {
		return nil, &problem.Problem{
			Summary: "no API token for Hetzner Cloud",
			Hints: []string{
				"Make a token in the Cloud Console (Security, API tokens) and put it into the environment variable that provider.hetzner.token names.",
			},
		}
	}
	if o.Fleet == "" {
		return nil, &problem.Problem{Summary: "the fleet has no name, so nothing at Hetzner Cloud could be told to be its own"}
	}
	if err := checkEndpoint(o.Endpoint); err != nil {
		return nil, err
	}
	httpClient := &http.Client{Timeout: requestTimeout}
	if o.HTTPClient != nil {
		given := *o.HTTPClient
		given.Timeout = positive(given.Timeout, requestTimeout)
		httpClient = &given
	}
	if httpClient.Transport == nil {
		httpClient.Transport = http.DefaultTransport
	}
	limit := &rateLimit{next: httpClient.Transport}
	clock := &clock{next: limit}
	httpClient.Transport = clock
	options := []hcloud.ClientOption{
		hcloud.WithToken(o.Token.Reveal()),
		hcloud.WithApplication("flotilla", o.Version),
		hcloud.WithHTTPClient(httpClient),
		hcloud.WithRetryOpts(hcloud.RetryOpts{MaxRetries: 0}), // call retries, and knows what was lost
	}
	if o.Endpoint != "" {
		options = append(options, hcloud.WithEndpoint(o.Endpoint))
	}
	c := &Client{
		api: hcloud.NewClient(options...), token: o.Token, fleet: o.Fleet, limit: limit, clock: clock,
		backoff:  positive(o.RetryBackoff, defaultRetryBackoff),
		shutdown: positive(o.ShutdownTimeout, defaultShutdown), restart: restartLimit,
		patience: patience{say: o.Waiting},
	}
	c.actions = newWaiter(positive(o.PollInterval, defaultPoll), c.poll)
	return c, nil
}

func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil {
		return nil
	}
	return &problem.Problem{ // the text is not repeated: it may hold a password
		Summary: "provider.hetzner.endpoint is not the address of an API",
		Hints:   []string{"Write a URL such as https://api.hetzner.cloud/v1, or leave it out."},
	}
}

func positive(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
