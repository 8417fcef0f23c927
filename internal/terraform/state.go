package terraform

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// maxState bounds a state file.
const maxState = 64 << 20

// state is a terraform.tfstate.
type state struct {
	file      string
	instances map[string]*stateInstance // by whole address: module.a[0].hcloud_server.web["x"]
	groups    map[string][]*stateInstance
	order     []string
}

// stateInstance is what Terraform knew of one instance.
type stateInstance struct {
	address string
	kind    string
	name    string
	module  string
	data    bool
	key     cty.Value            // of count or for_each; null if none
	attrs   map[string]cty.Value // sensitive ones carry their mark
	used    bool
}

type stateFile struct {
	Version   int    `json:"version"`
	Terraform string `json:"terraform_version"`
	Resources []struct {
		Module    string `json:"module"`
		Mode      string `json:"mode"`
		Type      string `json:"type"`
		Name      string `json:"name"`
		Instances []struct {
			Deposed    string          `json:"deposed"`
			IndexKey   any             `json:"index_key"`
			Attributes json.RawMessage `json:"attributes"`
			Sensitive  json.RawMessage `json:"sensitive_attributes"`
		} `json:"instances"`
	} `json:"resources"`
}

func readState(file string) (*state, error) {
	failed := func(summary string, cause error, hint string) error {
		return &problem.Problem{Summary: summary, At: problem.Position{File: file}, Cause: cause, Hints: []string{hint}}
	}
	const pull = "Write it with: terraform state pull > terraform.tfstate"
	text, err := slurp(file, maxState)
	if errors.Is(err, errTooBig) {
		err = fmt.Errorf("it is larger than %d MiB", maxState>>20)
	}
	if err != nil {
		return nil, failed("cannot read the state", errors.New(reason(err)), pull)
	}
	if !shallowJSON(text) {
		return nil, failed("the state is nested too deep", nil, pull)
	}
	var parsed stateFile
	if err := json.Unmarshal(text, &parsed); err != nil {
		return nil, failed("this is not a Terraform state", err, pull)
	}
	if parsed.Version != 4 {
		return nil, failed(fmt.Sprintf("the state is of version %d, but only version 4 is read", parsed.Version), nil,
			"Terraform 0.12 and later write version 4: run terraform refresh with one of them, or "+pull)
	}
	s := &state{file: file, instances: map[string]*stateInstance{}, groups: map[string][]*stateInstance{}}
	for _, r := range parsed.Resources {
		for _, i := range r.Instances {
			if i.Deposed != "" {
				continue // a leftover that Terraform is about to destroy
			}
			group := r.Type + "." + r.Name
			if r.Mode == "data" {
				group = "data." + group
			}
			if r.Module != "" {
				group = r.Module + "." + group
			}
			key := indexKey(i.IndexKey)
			inst := &stateInstance{address: group + keyText(key), kind: r.Type, name: r.Name, module: r.Module, data: r.Mode == "data", key: key}
			if inst.attrs, err = stateAttributes(i.Attributes, i.Sensitive); err != nil {
				return nil, failed("this is not a Terraform state", fmt.Errorf("%s: %w", inst.address, err), pull)
			}
			s.instances[inst.address] = inst
			s.groups[group] = append(s.groups[group], inst)
			s.order = append(s.order, inst.address)
		}
	}
	return s, nil
}

func indexKey(key any) cty.Value {
	switch k := key.(type) {
	case string:
		return cty.StringVal(k)
	case float64:
		return cty.NumberFloatVal(k)
	}
	return cty.NilVal
}

// keyText is an instance's key as it stands in addresses.
func keyText(key cty.Value) string {
	switch {
	case key == cty.NilVal:
		return ""
	case key.Type() == cty.Number:
		return "[" + key.AsBigFloat().Text('f', 0) + "]"
	default:
		return "[" + strconv.Quote(key.AsString()) + "]"
	}
}

func stateAttributes(attributes, sensitive json.RawMessage) (map[string]cty.Value, error) {
	if len(attributes) == 0 || string(attributes) == "null" {
		return nil, nil
	}
	kind, err := ctyjson.ImpliedType(attributes)
	if err != nil {
		return nil, err
	}
	if !kind.IsObjectType() {
		return nil, errors.New("its attributes are not an object")
	}
	v, err := ctyjson.Unmarshal(attributes, kind)
	if err != nil {
		return nil, err
	}
	attrs := v.AsValueMap()
	for _, name := range sensitiveNames(sensitive) {
		if a, ok := attrs[name]; ok {
			attrs[name] = a.Mark(sensitiveMark{})
		}
	}
	return attrs, nil
}

// sensitiveNames gives the top attributes that sensitive_attributes points
// into: a list of paths, each a list of steps.
func sensitiveNames(raw json.RawMessage) []string {
	var paths [][]struct {
		Value any `json:"value"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &paths) != nil {
		return nil
	}
	var names []string
	for _, p := range paths {
		if len(p) > 0 {
			if name, ok := p[0].Value.(string); ok {
				names = append(names, name)
			}
		}
	}
	return names
}

// find gives what the state knows of an address, nil if nothing.
func (s *state) find(address string) *stateInstance {
	if s == nil {
		return nil
	}
	i := s.instances[address]
	if i != nil {
		i.used = true
	}
	return i
}

// group gives the instances of a resource, by its address without key.
func (s *state) group(address string) []*stateInstance {
	if s == nil {
		return nil
	}
	return s.groups[address]
}
