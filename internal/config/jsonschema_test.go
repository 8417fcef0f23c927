package config

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/flotilla-nix/flotilla/examples"
)

// compiled is what an editor makes of the schema. Compiling checks it against
// the draft's own schema.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4) // so that $schema must name the draft
	if err := compiler.AddResource("flotilla.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("flotilla.json")
	if err != nil {
		t.Fatal(err)
	}
	if schema.DraftVersion != 2020 {
		t.Fatalf("draft %d", schema.DraftVersion)
	}
	return schema
}

// instance reads YAML as an editor does.
func instance(t *testing.T, text []byte) any {
	t.Helper()
	var read any
	if err := yaml.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	converted, err := json.Marshal(read)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(converted))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestSchemaGolden(t *testing.T) {
	got, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/schema.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Error("the schema has changed: go test -update, and read the difference")
	}
}

func TestSchemaDescribesEveryKey(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	seen := 0
	var look func(where string, v any)
	look = func(where string, v any) {
		object, ok := v.(map[string]any)
		if !ok {
			return
		}
		properties, _ := object["properties"].(map[string]any)
		if len(properties) > 0 && object["additionalProperties"] != false {
			t.Errorf("%s takes any key", where)
		}
		for key, p := range properties {
			seen++
			if d, _ := p.(map[string]any)["description"].(string); !strings.HasSuffix(d, ".") && !strings.HasSuffix(d, "…") {
				t.Errorf("%s/%s has no description: %q", where, key, d)
			}
			look(where+"/"+key, p)
		}
		look(where+"/*", object["items"])
		look(where+"/*", object["additionalProperties"])
		anyOf, _ := object["anyOf"].([]any)
		for _, a := range anyOf {
			look(where, a)
		}
	}
	look("", document)
	if seen < 150 {
		t.Errorf("looked at %d keys", seen)
	}
}

func TestSchemaAccepts(t *testing.T) {
	schema := compiled(t)
	text, _ := full(t)
	texts := map[string][]byte{"full.yaml": text}
	if err := fs.WalkDir(examples.TwoServers, ".", func(name string, _ fs.DirEntry, err error) error {
		if filepath.Base(name) == FileName {
			texts[name], err = examples.TwoServers.ReadFile(name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(texts) < 2 {
		t.Fatal("found no example")
	}
	for seed := range uint64(50) {
		random, _ := again(t, generator{rand.New(rand.NewPCG(seed, 7))}.fleet(t))
		texts["random"] = random
		for name, text := range texts {
			if err := schema.Validate(instance(t, text)); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, text)
			}
		}
		texts = map[string][]byte{}
	}
}

// What is wrong in these files is a key, a type or a value, which an editor can tell.
func TestSchemaRefuses(t *testing.T) {
	schema := compiled(t)
	for _, name := range []string{
		"unknown-key", "unknown-key-later", "unknown-key-nothing-near", "wrong-types", "not-a-section", "missing-keys", "ports", "on-failure", "no-fleet-name", "token-in-file",
		"existing-with-more", "vswitch", "firewall-rules", "public-net", "primary-ips", "volumes", "services", "load-balancers", "protection", "spread-group", "user-data", "alias-ips", "durations",
	} {
		text, err := os.ReadFile(filepath.Join("testdata", name, FileName))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance(t, text)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// full.yaml with one value of another type, one key too many or one too few:
// the schema refuses no more than Parse does, and as much of these kinds.
func TestSchemaAgreesWithParse(t *testing.T) {
	schema := compiled(t)
	text, _ := full(t)
	root := instance(t, text)
	changes := 0
	try := func(where string, mustFail bool) {
		changes++
		written, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		_, parsed := parse("full.json", written, inside("testdata", "testdata"))
		validated := schema.Validate(root)
		if validated != nil && parsed == nil {
			t.Errorf("%s: the schema refuses what Parse takes: %v", where, validated)
		}
		if mustFail && (validated == nil || parsed == nil) {
			t.Errorf("%s: schema: %v, Parse: %v", where, validated, parsed)
		}
	}
	nonsense := []any{[]any{json.Number("1")}}
	var change func(where string, v any)
	change = func(where string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				old, at := v[key], where+"/"+key
				v[key] = nonsense
				try(at+" as a list of lists", true)
				v[key] = nil
				try(at+" as null", false)
				delete(v, key)
				try(at+" removed", false)
				v[key] = old
				change(at, old)
			}
			v["no such key"] = nonsense
			try(where+" with another key", true)
			delete(v, "no such key")
		case []any:
			for i := range v {
				old := v[i]
				v[i] = nonsense
				try(where+" with a list in the list", true)
				v[i] = old
				change(where+"/*", old)
			}
		}
	}
	change("", root)
	if changes < 500 {
		t.Errorf("tried %d changes", changes)
	}
}
