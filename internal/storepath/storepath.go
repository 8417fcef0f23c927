// Package storepath holds the one door to Nix store paths: a Path exists only
// if it was checked. Every bare string would one day reach a root shell.
//
// It knows the form of a path, not whether it exists.
package storepath

import (
	"fmt"
	"strings"
)

// Dir is the only store directory Flotilla deals with.
const Dir = "/nix/store"

// nixBase32 is Nix's alphabet: no e, o, t, u.
const nixBase32 = "0123456789abcdfghijklmnpqrsvwxyz"

const (
	hashLength = 32
	maxName    = 211
)

// Path is a checked absolute store path (/nix/store/<hash>-<name>). The zero
// value means "none".
type Path struct{ base string }

// Parse checks an absolute store path. Anything below a store path, another
// store directory and a loose name are refused.
func Parse(s string) (Path, error) {
	base, ok := strings.CutPrefix(s, Dir+"/")
	if !ok {
		return Path{}, fmt.Errorf("store path %q: does not start with %s/", s, Dir)
	}
	if len(base) < hashLength+2 || base[hashLength] != '-' {
		return Path{}, fmt.Errorf("store path %q: want %s/<32 characters>-<name>", s, Dir)
	}
	for _, c := range base[:hashLength] {
		if !strings.ContainsRune(nixBase32, c) {
			return Path{}, fmt.Errorf("store path %q: %q is not in Nix's base-32 alphabet", s, c)
		}
	}
	name := base[hashLength+1:]
	if len(name) > maxName {
		return Path{}, fmt.Errorf("store path %q: name longer than %d characters", s, maxName)
	}
	if name == "." || name == ".." || strings.HasPrefix(name, ".-") || strings.HasPrefix(name, "..-") {
		return Path{}, fmt.Errorf("store path %q: name %q is not allowed", s, name)
	}
	for _, c := range name {
		if !nameChar(c) {
			return Path{}, fmt.Errorf("store path %q: character %q is not allowed in a name", s, c)
		}
	}
	return Path{base: base}, nil
}

// ParseOptional is Parse, but takes "" for "none".
func ParseOptional(s string) (Path, error) {
	if s == "" {
		return Path{}, nil
	}
	return Parse(s)
}

func nameChar(c rune) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
		strings.ContainsRune("+-._?=", c)
}

// String gives the absolute path, "" for the zero value.
func (p Path) String() string {
	if p.base == "" {
		return ""
	}
	return Dir + "/" + p.base
}

// IsZero tells whether p is "none".
func (p Path) IsZero() bool { return p.base == "" }

// Base is the last element, <hash>-<name>.
func (p Path) Base() string { return p.base }

// Hash is the 32 characters before the name, "" for the zero value.
func (p Path) Hash() string {
	if p.base == "" {
		return ""
	}
	return p.base[:hashLength]
}

// Name is what follows the hash, "" for the zero value.
func (p Path) Name() string {
	if p.base == "" {
		return ""
	}
	return p.base[hashLength+1:]
}

// Join gives the path of a file below p. Elements are not checked; callers
// pass constants.
func (p Path) Join(elements ...string) string {
	return p.String() + "/" + strings.Join(elements, "/")
}

// MarshalText implements encoding.TextMarshaler (JSON strings).
func (p Path) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; "" is "none".
func (p *Path) UnmarshalText(b []byte) error {
	q, err := ParseOptional(string(b))
	if err != nil {
		return err
	}
	*p = q
	return nil
}
