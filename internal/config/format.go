package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// Format writes a fleet as a flotilla.yaml that a person could have written:
// sections in the order of the documentation, defaults left out, short values
// on one line. Load of the result gives the same fleet, as far as it is valid;
// what Load would refuse is written all the same, so that it can be mended.
// Text that YAML cannot hold (it is not UTF-8) and two entries of hosts with one
// selector are errors.
func Format(f fleet.Fleet) ([]byte, error) {
	file, order := fileOf(f)
	if len(order) != len(file.Hosts) {
		return nil, fmt.Errorf("format %s: two entries of hosts have one selector", FileName)
	}
	w := writer{hosts: order}
	root := w.section(reflect.ValueOf(file))
	if w.invalid != "" {
		return nil, fmt.Errorf("format %s: %.40q is not UTF-8 text", FileName, w.invalid)
	}
	var out strings.Builder
	root.block(&out, 0)
	return []byte(out.String()), nil
}

// writer turns the types of schema.go into a tree of what is written.
type writer struct {
	hosts   []string // the selectors, in order
	invalid string   // text that cannot be written
}

// section writes a struct without what is as its defaults.
func (w *writer) section(v reflect.Value) *item {
	out := &item{kind: kindMapping, roomy: roomy(v.Interface())}
	absent := reflect.New(v.Type())
	if d, ok := absent.Interface().(defaulter); ok {
		d.setDefaults()
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		value := v.Field(i)
		if f.Tag.Get("required") != always && (same(value, absent.Elem().Field(i)) || value.Kind() == reflect.Pointer && value.IsNil()) {
			continue
		}
		out.pairs = append(out.pairs, pair{f.Tag.Get("yaml"), w.value(value)})
	}
	return out
}

// same tells whether two values are equal, where nil and empty are one.
func same(a, b reflect.Value) bool {
	if k := a.Kind(); k == reflect.Map || k == reflect.Slice {
		return a.Len() == 0 && b.Len() == 0 || reflect.DeepEqual(a.Interface(), b.Interface())
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func (w *writer) value(v reflect.Value) *item {
	switch value := v.Interface().(type) {
	case duration:
		return w.text(value.String())
	case size:
		return w.text(value.String())
	case portText:
		return w.digits(string(value))
	case statusCode:
		return w.digits(string(value))
	case userData:
		return w.text(value.Text)
	case dnsNames:
		if value.All != "" {
			return w.text(value.All)
		}
		return w.entries(reflect.ValueOf(value.By))
	case oneOrMore:
		if len(value) == 1 {
			return w.text(value[0])
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		return w.value(v.Elem())
	case reflect.Struct:
		return w.section(v)
	case reflect.Map:
		return w.entries(v)
	case reflect.Slice:
		out := &item{kind: kindSequence}
		for i := range v.Len() {
			out.items = append(out.items, w.value(v.Index(i)))
		}
		return out
	case reflect.Int, reflect.Int64:
		return &item{kind: kindNumber, text: strconv.FormatInt(v.Int(), 10)}
	case reflect.Bool:
		return &item{kind: kindBool, text: strconv.FormatBool(v.Bool())}
	default:
		return w.text(v.String())
	}
}

// digits writes a number without quotes.
func (w *writer) digits(s string) *item {
	if decimal.MatchString(s) {
		return &item{kind: kindNumber, text: s}
	}
	return w.text(s)
}

func (w *writer) text(s string) *item {
	if !utf8.ValidString(s) {
		w.invalid = s
	}
	return &item{kind: kindText, text: s}
}

func (w *writer) entries(v reflect.Value) *item {
	out := &item{kind: kindMapping}
	var names []string
	for _, key := range v.MapKeys() {
		names = append(names, key.String())
	}
	slices.Sort(names)
	if v.Type() == reflect.TypeFor[map[string]hostSelection]() {
		names, out.roomy = w.hosts, true
	}
	if v.Type().Elem().Kind() == reflect.Struct && v.Type().Elem() != reflect.TypeFor[attachmentEntry]() && v.Type().Elem() != reflect.TypeFor[balancerInNetwork]() {
		out.roomy = true
	}
	for _, name := range names {
		if !utf8.ValidString(name) {
			w.invalid = name
		}
		out.pairs = append(out.pairs, pair{name, w.value(v.MapIndex(reflect.ValueOf(name)))})
	}
	return out
}

// roomy tells whether a section is written one key per line, even if it is short.
func roomy(section any) bool {
	switch section.(type) {
	case fleetFile, providerSection, hetznerSection, sshSection, rolloutSection, reviewSection, evaluationSection, hostSelection,
		networkEntry, firewallEntry, serverEntry, loadBalancerEntry:
		return true
	}
	return false
}
