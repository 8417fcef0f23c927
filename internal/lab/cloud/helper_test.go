package cloud_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

const token = "0123456789012345678901234567890123456789012345678901234567890123"

// fixture is an API on a real port with the provider's own client.
type fixture struct {
	*hcloud.Client
	t    *testing.T
	ctx  context.Context
	url  string
	api  *cloud.API
	http *httptest.Server
}

func start(t *testing.T, opt cloud.Options) *fixture {
	t.Helper()
	if opt.Token == "" {
		opt.Token = token
	}
	api, err := cloud.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(func() { server.Close(); api.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	f := &fixture{t: t, ctx: ctx, url: server.URL, api: api, http: server}
	f.Client = f.client(opt.Token)
	return f
}

func (f *fixture) client(token string) *hcloud.Client {
	return hcloud.NewClient(hcloud.WithEndpoint(f.url+"/v1"), hcloud.WithToken(token),
		hcloud.WithPollOpts(hcloud.PollOpts{BackoffFunc: hcloud.ConstantBackoff(5 * time.Millisecond)}),
		hcloud.WithRetryOpts(hcloud.RetryOpts{BackoffFunc: hcloud.ConstantBackoff(time.Millisecond), MaxRetries: 3}))
}

// head is an answer without its body.
type head struct {
	Status     string
	StatusCode int
	Header     http.Header
}

// raw makes a request without the client, to see what is really on the wire.
func (f *fixture) raw(method, path, body string) (head, string) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.ctx, method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return head{answer.Status, answer.StatusCode, answer.Header}, string(data)
}

func (f *fixture) inject(fault cloud.Fault) {
	f.t.Helper()
	data, err := json.Marshal(fault)
	if err != nil {
		f.t.Fatal(err)
	}
	if answer, body := f.raw(http.MethodPost, "/_lab/faults", string(data)); answer.StatusCode != http.StatusCreated {
		f.t.Fatalf("inject: %s %s", answer.Status, body)
	}
}

func (f *fixture) wait(actions ...*hcloud.Action) {
	f.t.Helper()
	if err := f.Action.WaitFor(f.ctx, actions...); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) wantCode(err error, code hcloud.ErrorCode) {
	f.t.Helper()
	if !hcloud.IsError(err, code) {
		f.t.Fatalf("got error %v, want code %s", err, code)
	}
}

func createOpts(name string) hcloud.ServerCreateOpts {
	return hcloud.ServerCreateOpts{
		Name: name, ServerType: &hcloud.ServerType{Name: "cx22"}, Image: &hcloud.Image{Name: "debian-13"}, Location: &hcloud.Location{Name: "nbg1"},
	}
}

// server creates a server and waits until it runs.
func (f *fixture) server(name string) *hcloud.Server {
	f.t.Helper()
	result, _, err := f.Server.Create(f.ctx, createOpts(name))
	f.must(err)
	f.wait(append(result.NextActions, result.Action)...)
	s, _, err := f.Server.GetByID(f.ctx, result.Server.ID)
	f.must(err)
	return s
}

// publicKey makes a key that is the same for the same seed.
func publicKey(t *testing.T, seed byte) string {
	t.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	key, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// certificate makes a self-signed one, and its key.
func certificate(t *testing.T, name string) (string, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	return text("CERTIFICATE", der), text("PRIVATE KEY", private)
}
