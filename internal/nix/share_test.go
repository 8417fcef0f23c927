package nix

import (
	"encoding/json"
	"reflect"
	"testing"
	"unsafe"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// A second system of the same texts brings none of its own, and neither is
// changed by that.
func TestShare(t *testing.T) {
	text := "[Service]\n"
	made := func(host string) plans.System {
		return plans.System{
			Host:     host,
			Units:    map[string]plans.UnitText{"web.service": {Text: text + "ExecStart=/bin/web\n", Enabled: true, WantedBy: []string{"multi-user.target"}, Files: map[string]string{"web.conf": text}}, host: {}},
			Etc:      map[string]plans.EtcEntry{"web.conf": {Text: &text, Source: "/nix/store/x-web.conf", Mode: "symlink"}, "known-when-built": {Source: host}},
			Packages: []plans.InstalledPackage{{Name: "hello", Version: "2.12"}},
		}
	}
	decoded := func(s plans.System) (out plans.System) {
		b, err := json.Marshal(s)
		if err == nil {
			err = json.Unmarshal(b, &out)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	all := texts{all: map[string]string{}}
	one, two := decoded(made("web-1")), decoded(made("web-2"))
	all.share(&one)
	all.share(&two)
	if want := decoded(made("web-1")); !reflect.DeepEqual(one, want) {
		t.Errorf("%+v, want %+v", one, want)
	}
	if want := decoded(made("web-2")); !reflect.DeepEqual(two, want) {
		t.Errorf("%+v, want %+v", two, want)
	}
	a, b := one.Units["web.service"], two.Units["web.service"]
	for i, pair := range [][2]string{
		{a.Text, b.Text}, {a.WantedBy[0], b.WantedBy[0]}, {a.Files["web.conf"], b.Files["web.conf"]},
		{*one.Etc["web.conf"].Text, *two.Etc["web.conf"].Text}, {one.Etc["web.conf"].Source, two.Etc["web.conf"].Source},
		{one.Packages[0].Version, two.Packages[0].Version},
	} {
		if unsafe.StringData(pair[0]) != unsafe.StringData(pair[1]) {
			t.Errorf("pair %d: %q is there twice", i, pair[0])
		}
	}
	empty := plans.System{}
	all.share(&empty)
	if !reflect.DeepEqual(empty, plans.System{}) {
		t.Errorf("an empty system became %+v", empty)
	}
}
