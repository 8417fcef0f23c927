// Command reduce cuts GitHub's published OpenAPI description (the file
// generated/api.github.com.json of the npm package @octokit/openapi) down to
// the operations that the stand-in serves, and to their shape: paths,
// parameters, types, limits. Prose, examples and vendor extensions are left out.
//
//	go run ./internal/lab/github/openapi/reduce api.github.com.json > internal/lab/github/openapi/github.json
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/lab/github/openapi"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: reduce api.github.com.json > github.json")
		os.Exit(64)
	}
	if err := reduce(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "reduce:", err)
		os.Exit(1)
	}
}

type object = map[string]any

func reduce(file string, out io.Writer) error {
	data, err := os.ReadFile(file) //nolint:gosec // the file that the caller names is what this command is for
	if err != nil {
		return err
	}
	var full object
	if err := json.Unmarshal(data, &full); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	r := reducer{full: full, components: object{}}
	paths, err := r.operations(openapi.Operations())
	if err != nil {
		return err
	}
	info, ok := full["info"].(object)
	if !ok {
		return errors.New("the description has no info")
	}
	small := object{
		"openapi":    full["openapi"],
		"info":       object{"title": info["title"], "version": info["version"], "license": info["license"]},
		"paths":      paths,
		"components": r.components,
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(small)
}

type reducer struct {
	full, components object
}

// operations gives the paths of the named operations and collects what they
// refer to.
func (r *reducer) operations(names []string) (object, error) {
	all, _ := r.full["paths"].(object)
	paths := object{}
	for _, name := range names {
		method, path, _ := strings.Cut(name, " ")
		item, _ := all[path].(object)
		operation, ok := item[strings.ToLower(method)]
		if !ok {
			return nil, fmt.Errorf("the description has no %s", name)
		}
		if paths[path] == nil {
			paths[path] = object{}
			if shared, ok := item["parameters"]; ok {
				paths[path] = object{"parameters": r.strip(shared, false)}
			}
		}
		target, _ := paths[path].(object)
		target[strings.ToLower(method)] = r.strip(operation, false)
	}
	return paths, nil
}

// prose are the keys that say nothing about the shape.
var prose = []string{"description", "summary", "example", "examples", "externalDocs", "tags", "title", "operationId"} //nolint:gochecknoglobals // a constant list

// strip copies a value without prose, and the components that it refers to.
// Under `properties` the keys are names of fields, which stay.
func (r *reducer) strip(value any, names bool) any {
	switch v := value.(type) {
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = r.strip(item, false)
		}
		return list
	case object:
		if ref, ok := v["$ref"].(string); ok && !names {
			r.take(ref)
			return object{"$ref": ref}
		}
		kept := object{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if !names && (slices.Contains(prose, key) || strings.HasPrefix(key, "x-")) {
				continue
			}
			kept[key] = r.strip(v[key], !names && key == "properties")
		}
		if _, isResponse := v["content"]; !names && (isResponse || v["headers"] != nil || v["description"] != nil && v["type"] == nil && v["schema"] == nil) {
			kept["description"] = "" // required of responses, by the specification
		}
		return kept
	default:
		return v
	}
}

// take copies a component, "#/components/schemas/issue", once.
func (r *reducer) take(ref string) {
	parts := strings.Split(ref, "/")
	if len(parts) != 4 {
		return
	}
	section, name := parts[2], parts[3]
	if r.components[section] == nil {
		r.components[section] = object{}
	}
	taken, _ := r.components[section].(object)
	if _, done := taken[name]; done {
		return
	}
	taken[name] = nil // before its parts: schemas refer to themselves
	all, _ := r.full["components"].(object)
	group, _ := all[section].(object)
	taken[name] = r.strip(group[name], false)
}
