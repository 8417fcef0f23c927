package hetzner

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// A part has no labels of its own: subnet, route, reverse DNS, service, target,
// selector. Its owner's label says that the fleet made it.
const (
	partSubnet   = "subnet"
	partRoute    = "route"
	partRDNS     = "rdns"
	partService  = "service"
	partTarget   = "target"
	partSelector = "selector"
)

func subnetLabel(ipRange string) string    { return partLabel(partSubnet, canonical(ipRange)) }
func routeLabel(destination string) string { return partLabel(partRoute, canonical(destination)) }
func rdnsLabel(address string) string      { return partLabel(partRDNS, canonical(address)) }
func serviceLabel(port int) string         { return partLabel(partService, strconv.Itoa(port)) }
func selectorLabel(selector string) string { return hashedLabel(partSelector, selector) }
func targetLabel(t fleet.LoadBalancerTarget) string {
	if t.IP != "" {
		return hashedLabel(partTarget, "ip="+canonical(t.IP))
	}
	return hashedLabel(partTarget, "label_selector="+t.LabelSelector)
}

// declaredPart gives the label of a part as Adopt is told of it.
func declaredPart(part string) string {
	what, text, _ := strings.Cut(part, ".")
	if what == partTarget {
		if ip, ok := strings.CutPrefix(text, "ip="); ok {
			text = "ip=" + canonical(ip)
		}
	}
	if what == partTarget || what == partSelector {
		return hashedLabel(what, text)
	}
	return partLabel(what, canonical(text))
}

// canonical writes an address or a range in the one form that it has; other
// texts stay.
func canonical(text string) string {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked().String()
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return a.String()
	}
	return text
}

// partLabel names a part readably if the text allows it: / and : become _.
func partLabel(part, text string) string {
	name := part + "." + strings.NewReplacer("/", "_", ":", "_").Replace(text)
	if len(name) > maxLabel || !alphanumeric(name[len(name)-1]) || strings.ContainsFunc(name, illegal) {
		return hashedLabel(part, text)
	}
	return prefix + name
}

// illegal tells what a label's name cannot hold.
func illegal(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
}

func hashedLabel(part, text string) string { return prefix + part + "." + hash(text) }

// hash is the lower-case base32 of a text's SHA-256: 52 characters.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// has tells whether there is a label, whatever its value.
func has(labels map[string]string, label string) bool {
	_, ok := labels[label]
	return ok
}

// mark labels a part as the fleet's, before it is made. It gives the owner.
func (c *Client) mark(ctx context.Context, k kind, what string, id int64, label string) (*meta, error) {
	foreign := false
	found, err := c.editLabels(ctx, k, what, id, func(found *meta, labels map[string]string) map[string]string {
		if foreign = slices.Contains(found.parts, label) && !has(labels, label); !foreign {
			labels[label] = ""
		}
		return labels
	})
	if err == nil && foreign {
		err = &problem.Problem{
			Summary: fmt.Sprintf("%s was refused: it has one already, which the fleet did not make", what), Code: problem.Refused,
			Hints: []string{"Take it over as it is with flotilla adopt, or remove the other one."},
		}
	}
	return found, err
}

// unmark takes the label of a part off, after it is gone. An owner that is gone
// has no labels either.
func (c *Client) unmark(ctx context.Context, k kind, what string, id int64, label string) error {
	defer c.editing.lock(fmt.Sprintf("%s %d", k.noun, id))()
	found, err := c.look(ctx, k, what, id)
	if err != nil || found == nil || !c.owns(found.labels) || !has(found.labels, label) {
		return err
	}
	delete(found.labels, label)
	return c.writeLabels(ctx, k, what, id, found.labels)
}
