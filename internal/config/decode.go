package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// decode reads n into the struct that out points to. What is wrong is reported
// and leaves the value as it was, so that everything else is still looked at.
func (s *source) decode(n *node, out any) {
	s.value(n, reflect.ValueOf(out).Elem(), "")
}

// value decodes one value. path names it for people: "servers.web.location".
func (s *source) value(n *node, v reflect.Value, path string) {
	if n.bad {
		return
	}
	if d, ok := v.Addr().Interface().(defaulter); ok && path != "" {
		d.setDefaults()
	}
	switch target := v.Addr().Interface().(type) {
	case *duration:
		s.duration(n, target, path)
		return
	case *size:
		s.size(n, target, path)
		return
	case *secretRef:
		if n.kind != kindMapping {
			s.secretInFile(n, path)
			return
		}
	case *oneOrMore:
		switch n.kind {
		case kindText:
			*target = oneOrMore{n.text}
			return
		case kindNumber, kindBool, kindMapping:
			s.wrongType(n, path, "text, or a list of text", "Write one value, or several in brackets.")
			return
		case kindSequence, kindNull:
		}
	case *portText:
		s.textOrDigits(n, (*string)(target), path, "a port, a range of ports or any", `Write for example 443, "1024-5000" or any.`)
		return
	case *statusCode:
		s.textOrDigits(n, (*string)(target), path, "an HTTP status", `Write for example 200 or "2??".`)
		return
	case *seconds:
		s.seconds(n, target, path)
		return
	case *userData:
		s.userData(n, target, path)
		return
	case *dnsNames:
		s.dnsNames(n, target, path)
		return
	}
	s.byKind(n, v, path)
}

// byKind decodes a value of a type that has one form only.
func (s *source) byKind(n *node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		s.value(n, v.Elem(), path)
	case reflect.Struct:
		s.section(n, v, path)
	case reflect.Map:
		s.entries(n, v, path)
	case reflect.Slice:
		s.list(n, v, path)
	case reflect.String:
		s.text(n, v, path)
	case reflect.Int, reflect.Int64:
		s.number(n, v, path)
	case reflect.Bool:
		s.boolean(n, v, path)
	default:
		s.wrongType(n, path, "something else", "") // a type of schema.go that nobody taught the decoder
	}
}

func (s *source) section(n *node, v reflect.Value, path string) {
	if n.kind == kindNull {
		return
	}
	valid := keys(v.Type())
	if n.kind != kindMapping {
		s.wrongType(n, path, "a section", "Keys of this section: "+strings.Join(valid, ", ")+".")
		return
	}
	for _, f := range n.fields {
		i := fieldOf(v.Type(), f.name)
		if i < 0 {
			where := ""
			if path != "" {
				where = " in " + path
			}
			hint := suggest(f.name, valid, "keys here")
			if inner := deeper(v.Type(), n, f.name); inner != "" && nearest(f.name, valid) == "" {
				hint = fmt.Sprintf("It belongs one level deeper, into %s.", inner)
			}
			s.report(f.value.key, fmt.Sprintf("unknown key %s%s", quote(f.name), where), hint)
			f.value.bad = true
			continue
		}
		inner := join(path, f.name)
		s.value(f.value, v.Field(i), inner)
		s.bounds(f.value, v.Field(i), v.Type().Field(i), inner)
	}
}

// bounds checks a number against the tag range of its field.
func (s *source) bounds(n *node, v reflect.Value, f reflect.StructField, path string) {
	low, high, ok := rangeOf(f)
	if !ok || n.bad || v.Int() >= low && v.Int() <= high {
		return
	}
	s.report(n.value, fmt.Sprintf("%s: %d is out of bounds", path, v.Int()), fmt.Sprintf("It may be %d to %d.", low, high))
	n.bad = true
}

// rangeOf gives the bounds of a field of numbers.
func rangeOf(f reflect.StructField) (low, high int64, ok bool) {
	from, to, ok := strings.Cut(f.Tag.Get("range"), ",")
	if !ok {
		return 0, 0, false
	}
	low, err := strconv.ParseInt(from, 10, 64)
	high, err2 := strconv.ParseInt(to, 10, 64)
	return low, high, err == nil && err2 == nil
}

func (s *source) entries(n *node, v reflect.Value, path string) {
	if n.kind == kindNull {
		return
	}
	if n.kind != kindMapping {
		hint := "Write one name: value line per entry, indented below " + path + ":."
		if n.kind == kindSequence {
			hint = "Write entries without dashes, each with its name as the key."
		}
		s.wrongType(n, path, "a section", hint)
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, f := range n.fields {
		entry := reflect.New(v.Type().Elem()).Elem()
		s.value(f.value, entry, join(path, f.name))
		v.SetMapIndex(reflect.ValueOf(f.name), entry)
	}
}

func (s *source) list(n *node, v reflect.Value, path string) {
	if n.kind == kindNull {
		return
	}
	if n.kind != kindSequence {
		hint := "Write a dash before each element."
		if n.kind == kindText {
			hint = fmt.Sprintf("Put it in brackets: [%s].", shown(n))
		}
		s.wrongType(n, path, "a list", hint)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		s.value(item, list.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(list)
}

func (s *source) text(n *node, v reflect.Value, path string) {
	if n.kind != kindText {
		hint := "Write one value on the line of the key."
		switch {
		case n.kind == kindNumber || n.kind == kindBool:
			hint = fmt.Sprintf("Put it in quotes: %q.", shown(n))
		case n.kind == kindSequence && len(n.items) == 1 && n.items[0].kind == kindText:
			hint = fmt.Sprintf("Write one value, without brackets or dash: %s.", shown(n.items[0]))
		}
		s.wrongType(n, path, "text", hint)
		return
	}
	if e, ok := v.Interface().(enumerated); ok && !slices.Contains(e.words(), n.text) {
		s.report(n.value, fmt.Sprintf("unknown value %s of %s", quote(n.text), path), wordHints(n.text, e.words())...)
		n.bad = true
		return
	}
	v.SetString(n.text)
}

func wordHints(value string, valid []string) []string {
	hints := []string{fmt.Sprintf("Its values are: %s.", strings.Join(valid, ", "))}
	if near := nearest(value, valid); near != "" && len(valid) > 1 {
		hints = append([]string{fmt.Sprintf("Did you mean %q?", near)}, hints...)
	}
	return hints
}

var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

func (s *source) number(n *node, v reflect.Value, path string) {
	if n.kind == kindNumber && decimal.MatchString(n.text) {
		bits := 32
		if v.Kind() == reflect.Int64 {
			bits = 64
		}
		if i, err := strconv.ParseInt(n.text, 10, bits); err == nil {
			v.SetInt(i)
			return
		}
		s.report(n.value, fmt.Sprintf("%s: %s is out of bounds", path, shown(n)), "No number here needs to be that large.")
		n.bad = true
		return
	}
	hint := "Write decimal digits alone."
	if n.kind == kindText && decimal.MatchString(n.text) {
		hint = "Remove the quotes: " + n.text + "."
	}
	s.wrongType(n, path, "a whole number", hint)
}

func (s *source) boolean(n *node, v reflect.Value, path string) {
	if n.kind != kindBool {
		s.wrongType(n, path, "true or false", "Write true or false, without quotes.")
		return
	}
	v.SetBool(strings.EqualFold(n.text, "true"))
}

func (s *source) wrongType(n *node, path, want, hint string) {
	n.bad = true
	if path == "" {
		path = "the file"
	}
	is := "this is " + string(n.kind)
	switch n.kind {
	case kindText, kindNumber, kindBool:
		is = "this is " + shownKind(n)
	case kindNull:
		is = "nothing stands here"
	case kindMapping, kindSequence:
	}
	var hints []string
	if hint != "" {
		hints = []string{hint}
	}
	s.report(n.value, fmt.Sprintf("%s must be %s, but %s", path, want, is), hints...)
}

func shownKind(n *node) string {
	if n.kind == kindBool || n.kind == kindNumber && len(n.text) < 20 {
		return n.text
	}
	return string(n.kind)
}

// shown is a scalar for a hint.
func shown(n *node) string {
	if r := []rune(n.text); len(r) > 40 || looksSecret.MatchString(n.text) {
		return "…"
	}
	return strings.ReplaceAll(n.text, "\n", " ")
}

func join(path, key string) string {
	if strings.ContainsAny(key, "@*?!. ,[]{}\t\n") || key == "" {
		key = quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// deeper gives the section inside a section that has the key, preferring one
// that is written; "" if there is none.
func deeper(t reflect.Type, n *node, key string) string {
	found := ""
	for f := range t.Fields() {
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() != reflect.Struct || fieldOf(inner, key) < 0 {
			continue
		}
		name := f.Tag.Get("yaml")
		if n.get(name) != nil {
			return name
		}
		if found == "" {
			found = name
		}
	}
	return found
}

// keys gives the valid keys of a section, in the order of its type.
func keys(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		names = append(names, f.Tag.Get("yaml"))
	}
	return names
}

func fieldOf(t reflect.Type, key string) int {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") == key {
			return i
		}
	}
	return -1
}
