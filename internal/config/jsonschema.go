package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// jsonSchema is the part of JSON Schema (draft 2020-12) that describes
// flotilla.yaml.
type jsonSchema struct {
	Schema      string `json:"$schema,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`

	Type    []string `json:"type,omitempty"`
	Default any      `json:"default,omitempty"`
	Enum    []string `json:"enum,omitempty"`
	Const   any      `json:"const,omitempty"`
	Pattern string   `json:"pattern,omitempty"`
	Minimum *int64   `json:"minimum,omitempty"`
	Maximum *int64   `json:"maximum,omitempty"`

	Properties map[string]*jsonSchema `json:"properties,omitempty"`
	Required   []string               `json:"required,omitempty"`
	// Additional is false, or the schema of the values of a section with names
	// of the user's choice.
	Additional    any         `json:"additionalProperties,omitempty"`
	MinProperties int         `json:"minProperties,omitempty"`
	MaxProperties int         `json:"maxProperties,omitempty"`
	Items         *jsonSchema `json:"items,omitempty"`

	AnyOf []*jsonSchema `json:"anyOf,omitempty"`
	If    *jsonSchema   `json:"if,omitempty"`
	Then  *jsonSchema   `json:"then,omitempty"`
	Else  *jsonSchema   `json:"else,omitempty"`
}

// Types of JSON.
const (
	jsonObject  = "object"
	jsonArray   = "array"
	jsonString  = "string"
	jsonInteger = "integer"
	jsonBoolean = "boolean"
	jsonNull    = "null"
)

// Schema gives the JSON Schema (draft 2020-12) of flotilla.yaml, for editors.
// It accepts whatever Parse accepts, and tells wrong keys, types and values;
// what depends on several values is left to Parse.
func Schema() ([]byte, error) {
	root := schemaOf(reflect.TypeFor[fleetFile]())
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.Title = FileName
	root.Description = "A fleet of NixOS servers: infrastructure, deployment settings and rollout policy."
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	return out.Bytes(), nil
}

func schemaOf(t reflect.Type) *jsonSchema {
	if special := schemaOfScalar(t); special != nil {
		return special
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Struct:
		return schemaOfSection(t)
	case reflect.Map:
		return &jsonSchema{Type: []string{jsonObject, jsonNull}, Additional: schemaOf(t.Elem())}
	case reflect.Slice:
		return &jsonSchema{Type: []string{jsonArray, jsonNull}, Items: schemaOf(t.Elem())}
	case reflect.Int, reflect.Int64:
		return &jsonSchema{Type: []string{jsonInteger}}
	case reflect.Bool:
		return &jsonSchema{Type: []string{jsonBoolean}}
	default:
		return &jsonSchema{Type: []string{jsonString}}
	}
}

const durationPattern = `^[-+]?([0-9]*[.]?[0-9]*(ns|us|µs|μs|ms|s|m|h))+$`

// schemaOfScalar is for the types of scalars.go; nil for others.
func schemaOfScalar(t reflect.Type) *jsonSchema {
	text := &jsonSchema{Type: []string{jsonString}}
	time := &jsonSchema{Type: []string{jsonString}, Pattern: durationPattern}
	switch value := reflect.Zero(t).Interface().(type) {
	case duration:
		return time
	case size:
		return &jsonSchema{Type: []string{jsonString}, Pattern: sizeForm.String()}
	case seconds:
		return &jsonSchema{AnyOf: []*jsonSchema{{Type: []string{jsonInteger}}, time}}
	case portText, statusCode:
		return &jsonSchema{Type: []string{jsonString, jsonInteger}}
	case oneOrMore:
		return &jsonSchema{AnyOf: []*jsonSchema{text, {Type: []string{jsonArray}, Items: text}}}
	case userData:
		text.Type = append(text.Type, jsonNull)
		return &jsonSchema{AnyOf: []*jsonSchema{text, schemaOf(reflect.TypeFor[userDataFile]())}}
	case dnsNames:
		return &jsonSchema{AnyOf: []*jsonSchema{text, schemaOf(reflect.TypeFor[map[string]string]())}}
	case enumerated:
		return &jsonSchema{Type: []string{jsonString}, Enum: value.words()}
	}
	return nil
}

func schemaOfSection(t reflect.Type) *jsonSchema {
	out := &jsonSchema{Type: []string{jsonObject, jsonNull}, Properties: map[string]*jsonSchema{}, Additional: false}
	absent := reflect.New(t)
	if d, ok := absent.Interface().(defaulter); ok {
		d.setDefaults()
	}
	var unless []string
	for i := range t.NumField() {
		f := t.Field(i)
		key, property := f.Tag.Get("yaml"), schemaOf(f.Type)
		property.Description = f.Tag.Get("doc")
		if low, high, ok := rangeOf(f); ok {
			number := property
			if len(property.AnyOf) > 0 {
				number = property.AnyOf[0]
			}
			number.Minimum, number.Maximum = &low, &high
		}
		switch f.Tag.Get("required") {
		case always:
			out.Required = append(out.Required, key)
		case unlessExisting:
			unless = append(unless, key)
		default:
			property.Default = defaultOf(absent.Elem().Field(i))
		}
		out.Properties[key] = property
	}
	if len(out.Required)+len(unless) > 0 {
		out.Type = []string{jsonObject}
	}
	if _, ok := out.Properties["existing"]; ok {
		out.If = &jsonSchema{Properties: map[string]*jsonSchema{"existing": {Const: true}}, Required: []string{"existing"}}
		out.Then = &jsonSchema{MaxProperties: 1}
		if len(unless) > 0 {
			out.Else = &jsonSchema{Required: unless}
		}
	}
	if t == reflect.TypeFor[checkEntry]() {
		out.MinProperties, out.MaxProperties = 1, 1
	}
	return out
}

// defaultOf is a default as JSON; nil for what is nothing when it is absent.
func defaultOf(v reflect.Value) any {
	switch {
	case v.Type() == reflect.TypeFor[size]():
		return nil
	case v.Type() == reflect.TypeFor[duration]():
		if v.Int() != 0 {
			return fmt.Sprint(v.Interface())
		}
	case v.Kind() == reflect.Bool:
		return v.Bool()
	case v.Kind() == reflect.String && v.Len() > 0:
		return v.String()
	case (v.Kind() == reflect.Int || v.Kind() == reflect.Int64) && v.Int() != 0:
		return v.Int()
	}
	return nil
}
