package deploy

import (
	"reflect"
	"slices"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// Secrets are never a matter of infrastructure, which comes from the head; and
// what is added to Fleet comes from the base until somebody decides otherwise.
func TestWhatComesFromTheHead(t *testing.T) {
	var base, head fleet.Fleet
	filled := reflect.ValueOf(&head).Elem()
	for i := range filled.NumField() {
		fill(filled.Field(i))
	}
	got := reflect.ValueOf(preview(base, head))
	fromHead := []string{"Name", "Hive", "Networks", "SSHKeys", "Servers", "Firewalls", "PlacementGroups", "Volumes", "PrimaryIPs", "LoadBalancers", "Moved"}
	for i := range got.NumField() {
		field := got.Type().Field(i)
		if taken := !got.Field(i).IsZero(); taken != slices.Contains(fromHead, field.Name) {
			t.Errorf("%s is taken from the head: %v", field.Name, taken)
		}
		if slices.Contains(fromHead, field.Name) && holds(field.Type, reflect.TypeFor[fleet.EnvRef](), map[reflect.Type]bool{}) {
			t.Errorf("%s comes from the head and names a secret", field.Name)
		}
	}
	base.Name = "base"
	if f := preview(base, head); f.Name != "base" {
		t.Errorf("name %q", f.Name)
	}
}

// fill makes a value that is not zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	default:
		panic("fill " + v.Kind().String())
	}
}

// holds tells whether a value of a type can have one of another in it.
func holds(in, wanted reflect.Type, seen map[reflect.Type]bool) bool {
	if in == wanted {
		return true
	}
	if seen[in] {
		return false
	}
	seen[in] = true
	switch in.Kind() {
	case reflect.Struct:
		for i := range in.NumField() {
			if holds(in.Field(i).Type, wanted, seen) {
				return true
			}
		}
	case reflect.Map, reflect.Slice, reflect.Pointer, reflect.Array:
		return holds(in.Elem(), wanted, seen)
	default:
	}
	return false
}
