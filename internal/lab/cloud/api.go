// Package cloud is a stand-in for the Hetzner Cloud API: an http.Handler that
// answers as the real one does where Flotilla, the hcloud CLI and the
// Terraform provider look (roots, status codes, paging, label selectors, rate
// limit, locks, actions that take time), with machines of its own behind it.
//
// Rule: what a client may rely on at the real API holds here, and what it must
// not rely on fails here. Non-goals: billing, metrics, consoles, quotas.
//
// Behind some words stands nothing: firewalls filter no traffic, volumes are no
// devices, a load balancer balances nothing, routes and alias addresses reach no
// machine, a rescue system is not booted, a change of type leaves the machine as
// it is, and a snapshot holds the image of its server, not the disk.
//
// A kind of resource is one value of type kind (kind.go): its roots, its list
// in objects, and the functions for what is special about it.
//
// Outside /v1, with the same token: GET, POST and DELETE /_lab/faults (see
// Fault), GET and DELETE /_lab/requests (see Counts), PUT /_lab/limit with
// {"remaining":N} (see Throttle), GET /_lab/ready.
package cloud

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	maxBody = 1 << 20
	// DefaultRateLimit is the size of the request bucket; it refills by a
	// 3600th of itself per second.
	DefaultRateLimit = 3600
)

// Options set up an API. The zero value is an API without a state file, with
// machines that exist in name only.
type Options struct {
	Token         string        // required; every request needs it
	ReadOnlyToken string        // answers `forbidden` to writes; "": there is none
	Machines      Machines      // nil: None
	StateFile     string        // where objects are kept; "": in memory only
	ActionLatency time.Duration // least time that an action takes
	RateLimit     int           // requests in the full bucket; 0: DefaultRateLimit
	RequestLog    io.Writer     // one "METHOD path?query" per line; nil: none
	Log           func(format string, args ...any)
	Now           func() time.Time // nil: time.Now
}

// API is the handler. Close it to end the actions that run.
type API struct {
	opt    Options
	bucket *bucket
	faults faults
	count  counter
	kinds  map[string]collection

	ctx    context.Context //nolint:containedctx // the life of background actions, which outlive requests
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu        sync.Mutex // guards what follows, held while a handler runs
	obj       *objects
	farewells map[int64]*farewell // by server

	logMu sync.Mutex
}

// New makes an API and loads its state file if there is one.
func New(opt Options) (*API, error) {
	if opt.Token == "" {
		return nil, errors.New("lab API: no token given")
	}
	if opt.Machines == nil {
		opt.Machines = None{}
	}
	if opt.RateLimit <= 0 {
		opt.RateLimit = DefaultRateLimit
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = func(string, ...any) {}
	}
	obj, err := loadObjects(opt.StateFile)
	if err != nil {
		return nil, err
	}
	a := &API{opt: opt, obj: obj, bucket: newBucket(opt.RateLimit, opt.Now), kinds: map[string]collection{}, farewells: map[int64]*farewell{}}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.register()
	if err := a.settle(); err != nil {
		a.cancel()
		return nil, err
	}
	return a, nil
}

// register names every kind of resource that the API serves.
func (a *API) register() {
	for _, name := range []string{
		"isos", "floating_ips", "certificates", "load_balancers", "load_balancer_types",
		"primary_ips", "zones", "storage_boxes", "storage_box_types",
	} {
		a.kinds[name] = none(name)
	}
	a.kinds["locations"] = locationKind()
	a.kinds["server_types"] = serverTypeKind()
	a.kinds["images"] = imageKind()
	a.kinds["pricing"] = pricingKind{}
	a.kinds["actions"] = actionKind{}
	a.kinds["ssh_keys"] = sshKeyKind()
	a.kinds["placement_groups"] = placementGroupKind()
	a.kinds["networks"] = networkKind()
	a.kinds["firewalls"] = firewallKind()
	a.kinds["volumes"] = volumeKind()
	a.kinds["servers"] = serverKind()
	a.kinds["primary_ips"] = primaryIPKind()
	a.kinds["load_balancers"] = loadBalancerKind()
	a.kinds["load_balancer_types"] = loadBalancerTypeKind()
	a.kinds["certificates"] = certificateKind()
}

// Close waits a little for the actions that run, then cancels them. No request
// may come any more.
func (a *API) Close() {
	ended := make(chan struct{})
	go func() {
		a.work.Wait()
		close(ended)
	}()
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C:
	}
	a.cancel()
	<-ended
}

// ServerView is what Servers tells of one server.
type ServerView struct {
	ID      int64
	Name    string
	Status  string
	IPv4    netip.Addr
	Image   string
	Private []string
}

// request is one call, while the API's lock is held.
type request struct {
	api    *API
	obj    *objects
	method string
	rest   []string // path segments below the collection
	query  url.Values
	body   []byte
	// failAction, set by a fault, is how the action that this call starts ends.
	failAction *ActionError
}

type reply struct {
	status int
	body   any
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.logRequest(r)
	w.Header().Set("X-Correlation-Id", correlationID())
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeError(w, fail(http.StatusBadRequest, "json_error", "cannot read the request body: "+err.Error()))
		return
	}
	readOnly, ok := a.authorize(r)
	if !ok {
		writeError(w, fail(http.StatusUnauthorized, "unauthorized", "unable to authenticate"))
		return
	}
	if strings.HasPrefix(r.URL.Path, "/_lab/") {
		a.serveControl(w, r, body)
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v1")
	if ok {
		a.count.add(r.Method, path)
	}
	if !a.bucket.take(w.Header()) {
		writeError(w, fail(http.StatusTooManyRequests, "rate_limit_exceeded", "limit of requests per hour reached"))
		return
	}
	if !ok {
		writeError(w, notFound("no such endpoint: "+r.URL.Path))
		return
	}
	if readOnly && r.Method != http.MethodGet {
		writeError(w, fail(http.StatusForbidden, "forbidden", "the token is read-only"))
		return
	}
	fault, delay := a.faults.take(r.Method, path)
	if !pause(r.Context(), delay) {
		return
	}
	if fault == nil || fault.After || fault.Action {
		rep, err := a.handle(r, path, body, fault)
		if fault == nil || fault.Action {
			writeAnswer(w, rep, err)
			return
		}
	}
	fault.answer(w)
}

func (a *API) handle(r *http.Request, path string, body []byte, fault *Fault) (reply, error) {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	col := a.kinds[segments[0]]
	if col == nil {
		return reply{}, notFound("no such endpoint: " + r.URL.Path)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	q := &request{api: a, obj: a.obj, method: r.Method, rest: segments[1:], query: r.URL.Query(), body: body}
	if fault != nil && fault.Action {
		q.failAction = &ActionError{Code: fault.Code, Message: fault.Message}
	}
	rep, err := col.serve(q)
	if err != nil {
		return reply{}, err
	}
	if r.Method != http.MethodGet {
		a.save()
	}
	return rep, nil
}

// save writes the state file; the lock is held. An API that cannot keep its
// state goes on, but says so.
func (a *API) save() {
	if err := a.obj.save(a.opt.StateFile); err != nil {
		a.opt.Log("error: %v", err)
	}
}

func (a *API) authorize(r *http.Request) (readOnly, ok bool) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false, false
	}
	same := func(want string) bool {
		return want != "" && subtle.ConstantTimeCompare([]byte(token), []byte(want)) == 1
	}
	return same(a.opt.ReadOnlyToken), same(a.opt.Token) || same(a.opt.ReadOnlyToken)
}

func (a *API) logRequest(r *http.Request) {
	if a.opt.RequestLog == nil {
		return
	}
	target := r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	a.logMu.Lock()
	defer a.logMu.Unlock()
	if _, err := fmt.Fprintf(a.opt.RequestLog, "%s %s\n", r.Method, target); err != nil {
		a.opt.Log("error: request log: %v", err)
	}
}

// Servers lists the servers by id, for status displays.
func (a *API) Servers() []ServerView {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.obj.views()
}

func correlationID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// pause waits for d; false: ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
