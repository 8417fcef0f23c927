package plans

import "testing"

// A range is no address: who was shown that one address gets in was not shown
// that half of the world does.
func TestRangesKeepTheirSize(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7":                           "ADDRESS",
		"192.0.2.7/32, 2001:db8::1/128":       "ADDRESS/32, ADDRESS/128",
		"root@128.0.0.0/1 root@0.0.0.0/1":     "root@ADDRESS/1 root@0.0.0.0/1",
		"0.0.0.0/0 ::/0 127.0.0.1 ::1":        "0.0.0.0/0 ::/0 127.0.0.1 ::1",
		"192.0.2.7:22, [2001:db8::1]:22":      "ADDRESS:22, [ADDRESS]:22",
		"8000::/1,10.0.0.0/8;2001:db8::/32":   "ADDRESS/1,ADDRESS/8;ADDRESS/32",
		"version 1.2.3, at 12:30, abc::def:x": "version 1.2.3, at 12:30, abc::def:x",
	} {
		if got := withoutFacts(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	shown := change("host/web", Update, nil, "set services.openssh.settings.AllowUsers = "+withoutFacts("root@192.0.2.7"))
	world := change("host/web", Update, nil, "set services.openssh.settings.AllowUsers = "+withoutFacts("root@128.0.0.0/1"))
	if left := Unreviewed([]Digest{world}, []Digest{shown}); len(left) != 1 {
		t.Error("half of the world passes as one address")
	}
}
