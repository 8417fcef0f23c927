package render

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

func planPage(t *testing.T, p plans.Plan) string {
	t.Helper()
	var b bytes.Buffer
	if err := PlanHTML(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// checkPage reads a page and complains about elements and attributes that are
// not ours, and about text that hides something.
func checkPage(t *testing.T, page string) {
	t.Helper()
	elements := strings.Fields("html head meta title style body header h1 h2 h3 p code section ul ol li strong table tr th td div article span dl dt dd details summary pre footer")
	attributes := strings.Fields("lang charset http-equiv content name class")
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, page)
		}
		switch x := token.(type) {
		case xml.StartElement:
			if !slices.Contains(elements, x.Name.Local) {
				t.Errorf("element %q", x.Name.Local)
			}
			for _, a := range x.Attr {
				if !slices.Contains(attributes, a.Name.Local) {
					t.Errorf("attribute %q of %q", a.Name.Local, x.Name.Local)
				}
			}
		case xml.CharData:
			if strings.ContainsFunc(string(x), hidden) {
				t.Errorf("hidden character in %q", x)
			}
		case xml.Comment:
			t.Errorf("comment %q", x)
		}
	}
}

func TestPlanPage(t *testing.T) {
	for _, file := range cases(t, "plan.json") {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			var p plans.Plan
			load(t, file, &p)
			page := planPage(t, p)
			checkPage(t, page)
			if filepath.Base(filepath.Dir(file)) == "fleet" {
				golden(t, filepath.Join(filepath.Dir(file), "plan.html"), []byte(page))
			}
		})
	}
	for _, text := range append(seeds(t), `"><script>alert(1)</script>`, "</style><script>", "javascript:alert(1)") {
		for _, enums := range []bool{false, true} {
			p := manyHosts(1)
			poison(reflect.ValueOf(&p).Elem(), text, enums)
			checkPage(t, planPage(t, p))
		}
	}
}

// TestPageShowsAll wants every line of every diff, and a style that its policy allows.
func TestPageShowsAll(t *testing.T) {
	page := planPage(t, manyHosts(60))
	if n := strings.Count(page, `<span class="d">`); n != 20*500+40*100 {
		t.Errorf("%d removed lines, want 14000", n)
	}
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	if hash := strings.ReplaceAll(base64.StdEncoding.EncodeToString(sum[:]), "+", "&#43;"); !strings.Contains(page, "style-src 'sha256-"+hash+"'") &&
		!strings.Contains(page, "style-src &#39;sha256-"+hash+"&#39;") {
		t.Errorf("the policy does not allow the style (%s)\n%s", hash, page[:900])
	}
	for _, url := range []string{"http:", "https:", "//", "url(", "@import", "<script", "javascript:"} {
		if strings.Contains(style, url) || strings.Contains(page, `="`+url) {
			t.Errorf("the page loads something: %s", url)
		}
	}
}
