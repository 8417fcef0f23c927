//go:build !linux || !(amd64 || arm64)

package observe

import (
	"errors"
	"os"
)

// Watch cannot be had on this system.
type Watch struct{}

// Start fails: only Linux tells what a program looks at.
func Start() (*Watch, error) { return nil, errors.New("watch: needs Linux") }

// Child is nil.
func (w *Watch) Child() *os.File { return nil }

// End gives nothing but doubt.
func (w *Watch) End() Seen { return Seen{Doubt: "it was not watched"} }

// Become fails.
func Become(_ []string) error { return errors.New("watch: needs Linux") }
