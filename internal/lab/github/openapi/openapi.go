// Package openapi holds requests to the GitHub stand-in, and its answers,
// against the description that GitHub publishes.
//
// github.json is a reduced form of that description: the file
// generated/api.github.com.json of the npm package @octokit/openapi 23.0.2
// (MIT licence, copyright (c) 2020 Octokit contributors), cut down to the
// operations of Operations and to their shape by the command reduce.
//
// Rule: what the description does not name is a breach too: fields of a request
// and query parameters that it does not know, and statuses other than the
// errors that every operation may answer with. Only tests use this package.
package openapi

import (
	"bytes"
	"context"
	_ "embed" // the description
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/flotilla-nix/flotilla/internal/lab/github"
)

//go:embed github.json
var description []byte

// Validator checks exchanges against the description.
type Validator struct {
	doc *openapi3.T
}

var _ github.Validator = (*Validator)(nil)

// New loads the description.
func New() (*Validator, error) {
	doc, err := openapi3.NewLoader().LoadFromData(description)
	if err != nil {
		return nil, fmt.Errorf("GitHub's description: %w", err)
	}
	if err := allowGoneForks(doc); err != nil {
		return nil, err
	}
	return &Validator{doc: doc}, nil
}

// allowGoneForks mends the one place where GitHub is known to answer otherwise
// than it is described: the head's repository is null when a fork was deleted.
func allowGoneForks(doc *openapi3.T) error {
	for _, name := range []string{"pull-request", "pull-request-simple"} {
		schema := doc.Components.Schemas[name]
		if schema == nil || schema.Value.Properties["head"] == nil || schema.Value.Properties["head"].Value.Properties["repo"] == nil {
			return fmt.Errorf("GitHub's description has no head.repo in %s", name)
		}
		head := schema.Value.Properties["head"].Value
		orNull := openapi3.NewAllOfSchema()
		orNull.AllOf, orNull.Nullable = openapi3.SchemaRefs{head.Properties["repo"]}, true
		head.Properties["repo"] = orNull.NewRef()
	}
	return nil
}

// brief says what is wrong where, without the schema's text.
func brief(e *openapi3.SchemaError) string {
	return fmt.Sprintf("at /%s: %s", strings.Join(e.JSONPointer(), "/"), e.Reason)
}

func options() *openapi3filter.Options {
	o := &openapi3filter.Options{MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	o.WithCustomSchemaErrorFunc(brief)
	return o
}

// Check implements github.Validator. GraphQL is not described, and passes.
func (v *Validator) Check(e github.Exchange) error {
	method, pattern, _ := strings.Cut(e.Operation, " ")
	if pattern == "/graphql" {
		return nil
	}
	item := v.doc.Paths.Value(pattern)
	if item == nil || item.GetOperation(method) == nil {
		return errors.New("the description has no such operation")
	}
	params := map[string]string{}
	for name, value := range e.PathParams {
		if !strings.HasPrefix(name, "_") {
			params[name] = value
		}
	}
	request := e.Request.Clone(context.Background())
	request.Body = io.NopCloser(bytes.NewReader(e.RequestBody))
	if len(e.RequestBody) == 0 {
		request.Body = http.NoBody
	}
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: params,
		Route:   &routers.Route{Spec: v.doc, Path: pattern, PathItem: item, Method: method, Operation: item.GetOperation(method)},
		Options: options(),
	}
	// A request that was refused may well have been wrong on purpose.
	if e.Status < http.StatusBadRequest {
		if err := v.request(input, e); err != nil {
			return fmt.Errorf("request: %w", err)
		}
	}
	if err := v.response(input, e); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	return nil
}

func (v *Validator) request(input *openapi3filter.RequestValidationInput, e github.Exchange) error {
	if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
		return err
	}
	known := map[string]bool{}
	for _, list := range []openapi3.Parameters{input.Route.PathItem.Parameters, input.Route.Operation.Parameters} {
		for _, p := range list {
			known[p.Value.Name] = p.Value.In == openapi3.ParameterInQuery || known[p.Value.Name]
		}
	}
	for name := range input.Request.URL.Query() {
		if !known[name] {
			return fmt.Errorf("query parameter %q is not described", name)
		}
	}
	return unknownFields(input.Route.Operation.RequestBody, e.RequestBody)
}

// unknownFields finds fields that the schema of a request's body does not name,
// which the schemas themselves let pass.
func unknownFields(described *openapi3.RequestBodyRef, body []byte) error {
	if described == nil || len(body) == 0 {
		return nil
	}
	media := described.Value.Content.Get("application/json")
	var sent map[string]json.RawMessage
	if media == nil || media.Schema == nil {
		return nil
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return fmt.Errorf("the body is no JSON object: %w", err)
	}
	schema := media.Schema.Value
	if len(schema.OneOf)+len(schema.AnyOf)+len(schema.AllOf) > 0 && len(schema.Properties) == 0 {
		return nil
	}
	for name := range sent {
		if schema.Properties[name] == nil {
			return fmt.Errorf("field %q of the body is not described", name)
		}
	}
	return nil
}

func (v *Validator) response(input *openapi3filter.RequestValidationInput, e github.Exchange) error {
	operation := input.Route.Operation
	if operation.Responses.Status(e.Status) == nil {
		switch e.Status {
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusTooManyRequests:
			return nil // every operation may answer so; not all say it
		}
		return fmt.Errorf("status %d is not described", e.Status)
	}
	header := e.Header.Clone()
	if len(e.ResponseBody) > 0 {
		header.Set("Content-Type", "application/json; charset=utf-8")
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: e.Status, Header: header,
		Options: options(),
	}
	return openapi3filter.ValidateResponse(context.Background(), out.SetBodyBytes(e.ResponseBody))
}
