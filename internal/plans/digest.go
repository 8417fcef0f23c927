package plans

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Digest is one change as a reviewer knows it: what it is about, what happens
// to it and what harm that may do. It holds no store path, no address and
// nothing else that apply decides or that another evaluation gives otherwise, so
// that the change of a pull request and that of the deploy which carries out
// several of them can be compared. Texts are untrusted.
type Digest struct {
	Subject string `json:"subject"` // "host/web-1", "server/db", "subnet/private/10.0.1.0/24"
	Action  Action `json:"action"`
	// What names the single things that happen, sorted: "open tcp 443",
	// "restart nginx.service", "user mallory group wheel added", "set server_type
	// = cx32". What changes in packages and in most files is not in it: whoever
	// saw that a host changes has seen as much.
	What  []string `json:"what"`
	Risks []Risk   `json:"risks"` // worst first
}

// String is a digest for people, on one line.
func (d Digest) String() string {
	text := strings.Replace(d.Subject, "/", " ", 1) + ": " + string(d.Action)
	if len(d.What) > 0 {
		text += " (" + strings.Join(d.What, ", ") + ")"
	}
	if len(d.Risks) > 0 {
		risks := make([]string, len(d.Risks))
		for i, r := range d.Risks {
			risks[i] = string(r)
		}
		text += " [" + strings.Join(risks, ", ") + "]"
	}
	return oneLine(text)
}

// Digests gives what parts of a plan show, one digest for each subject, sorted.
// Changes that do nothing (an edit of what counts at creation only) have none.
func Digests(parts ...Part) []Digest {
	var list []Digest
	for _, p := range parts {
		for _, r := range p.Resources {
			if d, ok := resourceDigest(r); ok {
				list = append(list, d)
			}
		}
		for _, h := range p.Hosts {
			list = append(list, hostDigest(h))
		}
	}
	return normal(list)
}

// normal sorts digests and makes one of those of a subject that have the same
// action. It gives what it was given as a value of its own, with lists that are
// not nil.
func normal(list []Digest) []Digest {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Digest) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Action, b.Action))
	})
	merged := []Digest{}
	for _, d := range list {
		if n := len(merged); n > 0 && merged[n-1].Subject == d.Subject && merged[n-1].Action == d.Action {
			d.What = slices.Concat(merged[n-1].What, d.What)
			d.Risks = slices.Concat(merged[n-1].Risks, d.Risks)
			merged = merged[:n-1]
		}
		d.What = append([]string{}, d.What...)
		slices.Sort(d.What)
		d.What = slices.Compact(d.What)
		d.Risks = byWorst(d.Risks)
		merged = append(merged, d)
	}
	return merged
}

// riskOrder has the worst first.
var riskOrder = [...]Risk{RiskDestroy, RiskReplace, RiskData, RiskAccess, RiskPort, RiskReboot, RiskPowerOff, RiskStop}

// byWorst sorts risks and takes each once. One that is not known comes first.
func byWorst(risks []Risk) []Risk {
	risks = append([]Risk{}, risks...)
	slices.SortFunc(risks, func(a, b Risk) int {
		return cmp.Or(cmp.Compare(slices.Index(riskOrder[:], a), slices.Index(riskOrder[:], b)), cmp.Compare(a, b))
	})
	return slices.Compact(risks)
}

// resourceDigest gives the digest of a resource. ok is false if a deploy does
// nothing about it.
func resourceDigest(r Resource) (d Digest, ok bool) {
	d = Digest{Subject: string(r.Kind) + "/" + r.Name, Action: r.Action, Risks: r.Risks}
	if r.Action == Destroy {
		return d, true // that it goes says it all
	}
	for _, a := range r.Attributes {
		// The provider gives an address its name; what stands there is declared.
		name := a.Name
		if strings.HasPrefix(name, "dns_ptr.") {
			name = "dns_ptr"
		}
		switch {
		case name == "status" && r.Kind == KindServer:
			continue // one that is off is started: what was merged already says so
		case !a.Known:
			d.What = append(d.What, setAny+name)
		case a.New != "":
			d.What = append(d.What, setAny+name+" = "+oneLine(a.New))
		case name == "rules" || name == "apply_to" || name == "firewalls": // lists: each element is an attribute
			d.What = append(d.What, "take "+oneLine(a.Old)+" from "+name)
		default:
			d.What = append(d.What, "unset "+name)
		}
	}
	return d, r.Action != Update || len(r.Attributes) > 0
}

// setAny begins what says that an attribute changes; alone, with a name, it
// stands for every value.
const setAny = "set "

// hostDigest gives the digest of a host.
func hostDigest(h Host) Digest {
	d := Digest{Subject: "host/" + h.Name, Action: h.Action, Risks: h.Risks}
	put := func(format string, args ...any) { d.What = append(d.What, fmt.Sprintf(format, args...)) }
	if h.Action == Destroy {
		return d
	}
	for _, u := range h.Units {
		if verb := verbOf(u.Effect); verb != "" {
			put("%s %s", verb, u.Name)
		}
	}
	for _, p := range h.Ports {
		verb, on := "close", ""
		if p.Opened {
			verb = "open"
		}
		if p.Interface != "" {
			on = " on " + p.Interface
		}
		put("%s %s %s%s", verb, p.Protocol, p.Port, on)
	}
	for _, u := range h.Users {
		d.What = append(d.What, userDigest(u)...)
	}
	for _, f := range h.Files {
		if f.DecidesAccess() || f.Unit == "" && strings.HasPrefix(f.Path, "ssh/") {
			put("file %s", f.Path)
		}
	}
	if h.Reboot != "" {
		put("reboot")
	}
	if len(h.Lockout) > 0 {
		put("lock the deploy out")
	}
	if len(h.SSHMoves) > 0 {
		put("move the way in")
	}
	for _, s := range h.Settings {
		put("%s%s = %s", setAny, s.Name, withoutFacts(s.New))
	}
	for _, i := range h.Items {
		d.What = append(d.What, itemDigest(i)...)
	}
	return d
}

func verbOf(e Effect) string {
	switch e {
	case EffectStop, EffectRestart, EffectReload, EffectStart:
		return string(e)
	case EffectSkip, EffectNothing:
		return ""
	}
	return string(e)
}

// normalUser says that a user is one of people, and no service's.
const normalUser = "kind normal user"

func userDigest(u User) []string {
	var list []string
	put := func(text string) { list = append(list, "user "+u.Name+" "+text) }
	if u.Action == Destroy {
		put("removed")
		return list
	}
	if u.Action == Create {
		put("created")
		if !u.System {
			put(normalUser)
		}
	}
	for _, k := range u.KeysAdded {
		put("key " + oneLine(k) + " added")
	}
	for _, k := range u.KeysRemoved {
		put("key " + oneLine(k) + " removed")
	}
	for _, c := range u.Changes {
		// "uid 1000 → 1001" is 1001 wherever it began.
		if before, after, ok := strings.Cut(c, " → "); ok {
			what := before
			if i := strings.LastIndex(before, " "); i > 0 {
				what = before[:i]
			}
			if strings.HasPrefix(before, "kind ") {
				what = "kind"
			}
			c = what + " " + after
		}
		put(withoutFacts(c))
	}
	return list
}

// DecidesAccess tells files of /etc that decide who gets in and what they may
// do there.
func (f File) DecidesAccess() bool {
	if f.Unit != "" {
		return false
	}
	switch f.Path {
	case "sudoers", "doas.conf", "passwd", "shadow", "nix/nix.conf": // whom Nix trusts is root
		return true
	}
	for _, dir := range []string{"ssh/sshd_config", "ssh/authorized_keys", "pam.d/", "security/", "sudoers.d/", "polkit-1/", "dbus-1/"} {
		if strings.HasPrefix(f.Path, dir) {
			return true
		}
	}
	return false
}

func itemDigest(i Item) []string {
	what := string(i.Kind) + " " + i.Name
	list := []string{what + " " + map[Action]string{Create: "added", Destroy: "removed"}[i.Action]}
	if i.Action != Create && i.Action != Destroy {
		list = nil
		for _, c := range i.Changes {
			list = append(list, what+" "+c.Name)
		}
		if len(list) == 0 {
			list = append(list, what+" changed")
		}
	} else if i.Action == Create {
		for _, c := range i.Changes {
			list = append(list, what+" "+c.Name)
		}
	}
	if i.Data != "" {
		list = append(list, atRisk+what)
	}
	return list
}

// atRisk begins what says that data is at risk.
const atRisk = "data of "

var (
	storePath = regexp.MustCompile(`/nix/store/[^\s,;:"']+`)
	addresses = regexp.MustCompile(`[0-9a-fA-F:.]*[:.][0-9a-fA-F:.]*[0-9a-fA-F:](?:/[0-9]{1,3})?`)
)

// withoutFacts takes store paths and addresses out of a text: of a path its
// last word stays, of an address whether it is one that means everybody, of a
// range how large it is.
func withoutFacts(text string) string {
	text = storePath.ReplaceAllStringFunc(text, path.Base)
	text = addresses.ReplaceAllStringFunc(text, func(word string) string {
		bare, prefix, isRange := strings.Cut(word, "/")
		address, err := netip.ParseAddr(bare)
		if err != nil {
			if both, e := netip.ParseAddrPort(bare); e == nil {
				return strings.Replace(word, both.Addr().String(), withoutFacts(both.Addr().String()), 1)
			}
			return word
		}
		if address.IsUnspecified() || address.IsLoopback() {
			return word
		}
		if isRange {
			return "ADDRESS/" + prefix // half of all addresses is not one of them
		}
		return "ADDRESS"
	})
	return oneLine(text)
}

// oneLine makes one line of a text, with one space between words.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
