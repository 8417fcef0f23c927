package cloud

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"time"
)

const typeUploaded = "uploaded"

// Certificate is an uploaded certificate; the lab issues none. Its private key
// is not kept.
type Certificate struct {
	Meta
	Certificate string    `json:"certificate"` // PEM
	From        time.Time `json:"from"`
	Until       time.Time `json:"until"`
	Domains     []string  `json:"domains"`
	Fingerprint string    `json:"fingerprint"`
}

func (c *Certificate) wire(o *objects) any {
	users := []Subject{}
	for _, l := range o.LoadBalancers {
		if slices.ContainsFunc(l.Services, func(s *lbService) bool { return s.HTTP != nil && slices.Contains(s.HTTP.Certificates, c.ID) }) {
			users = append(users, l.subject())
		}
	}
	return map[string]any{
		"id": c.ID, "name": c.Name, "labels": c.Labels, "created": c.Created, "type": typeUploaded, "certificate": c.Certificate,
		"not_valid_before": c.From, "not_valid_after": c.Until, "domain_names": c.Domains, "fingerprint": c.Fingerprint,
		"status": nil, "used_by": users,
	}
}

func certificateKind() kind[*Certificate] {
	k := kind[*Certificate]{
		one: "certificate", many: "certificates",
		all:    func(o *objects) []*Certificate { return o.Certificates },
		show:   func(o *objects, v *Certificate) any { return v.wire(o) },
		match:  map[string]func(*Certificate, string) bool{"type": func(_ *Certificate, want string) bool { return want == typeUploaded }},
		update: func(*request, *Certificate) error { return nil },
	}
	k.remove = func(q *request, v *Certificate) (reply, error) {
		for _, l := range q.obj.LoadBalancers {
			for _, s := range l.Services {
				if s.HTTP != nil && slices.Contains(s.HTTP.Certificates, v.ID) {
					return reply{}, fail(http.StatusUnprocessableEntity, "resource_in_use", "the certificate is used by load balancer "+l.Name)
				}
			}
		}
		q.obj.Certificates = without(q.obj.Certificates, v)
		return reply{status: http.StatusNoContent}, nil
	}
	k.create = func(q *request) (reply, error) {
		var body struct {
			Name        string            `json:"name"`
			Type        string            `json:"type"`
			Certificate string            `json:"certificate"`
			PrivateKey  string            `json:"private_key"`
			Labels      map[string]string `json:"labels"`
		}
		if err := q.decode(&body); err != nil {
			return reply{}, err
		}
		if body.Type != "" && body.Type != typeUploaded {
			return reply{}, invalid("type", "the lab takes uploaded certificates only, not %q", body.Type)
		}
		if key, _ := pem.Decode([]byte(body.PrivateKey)); key == nil {
			return reply{}, invalid("private_key", "must be PEM")
		}
		v, err := readCertificate(body.Certificate)
		if err != nil {
			return reply{}, err
		}
		if v.Meta, err = k.fresh(q, body.Name, body.Labels); err != nil {
			return reply{}, err
		}
		q.obj.Certificates = append(q.obj.Certificates, v)
		return reply{http.StatusCreated, map[string]any{"certificate": v.wire(q.obj), "action": nil}}, nil
	}
	return k
}

// readCertificate takes any PEM block for a certificate, and reads dates and
// names from one that is one.
func readCertificate(text string) (*Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, invalid("certificate", "must be PEM")
	}
	sum := sha256.Sum256(block.Bytes)
	var pairs []string
	for _, b := range sum {
		pairs = append(pairs, strings.ToUpper(hex.EncodeToString([]byte{b})))
	}
	v := &Certificate{Certificate: text, Domains: []string{}, Fingerprint: strings.Join(pairs, ":")}
	if parsed, err := x509.ParseCertificate(block.Bytes); err == nil {
		v.From, v.Until = parsed.NotBefore, parsed.NotAfter
		v.Domains = append(v.Domains, parsed.DNSNames...)
	}
	return v, nil
}
