package generation

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// maxText bounds what is kept of a reason or a name.
const maxText = 600

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// unitForm is what systemd allows in unit names, without a leading dash.
var unitForm = regexp.MustCompile(`^[A-Za-z0-9_@:\\][A-Za-z0-9_@:.\\-]{0,254}$`)

// checkID accepts what may be a file name on the host.
func checkID(id string) error {
	if !idForm.MatchString(id) {
		return fmt.Errorf("deployment id %q: want up to 64 letters, digits, dots, dashes and underscores", id)
	}
	return nil
}

// plain makes text one bounded line without control characters.
func plain(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r)
	}), " ")
	if r := []rune(s); len(r) > maxText {
		s = string(r[:maxText]) + " …"
	}
	return s
}

// quoteJSON is plain text as a JSON string.
func quoteJSON(s string) string {
	b, err := json.Marshal(plain(s))
	if err != nil {
		return `""` // a string always has a JSON form
	}
	return string(b)
}
