// Package secret holds a string that never prints itself: not by fmt, not in
// JSON, not in a log. Only Reveal gives the value.
package secret

import (
	"fmt"
	"log/slog"
)

// Redacted is what a String shows of itself.
const Redacted = "(secret)"

// String is a secret value. The zero value is "not set". It is not compared
// with ==.
type String struct {
	// A pointer, because fmt calls no method of what lies in an unexported field
	// of another struct: it prints an address there, and not the value.
	value *string
}

// New wraps a value.
func New(value string) String { return String{value: &value} }

// Reveal gives the value, for the one place that sends it where it belongs.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero tells whether the secret is not set.
func (s String) IsZero() bool { return s.Reveal() == "" }

// String implements fmt.Stringer with Redacted.
func (s String) String() string { return Redacted }

// Format implements fmt.Formatter, so that no verb shows the value.
func (s String) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, Redacted) }

// GoString implements fmt.GoStringer with Redacted.
func (s String) GoString() string { return Redacted }

// MarshalText implements encoding.TextMarshaler with Redacted.
func (s String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// LogValue implements slog.LogValuer with Redacted.
func (s String) LogValue() slog.Value { return slog.StringValue(Redacted) }
