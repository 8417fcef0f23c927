package cloud

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Error is an answer that is not a success, as the API words it.
type Error struct {
	Status  int
	Code    string
	Message string
	Fields  []FieldError // only with invalid_input
}

// FieldError says what is wrong with one field of a request.
type FieldError struct {
	Name     string   `json:"name"`
	Messages []string `json:"messages"`
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s (%s, HTTP %d)", e.Message, e.Code, e.Status) }

func fail(status int, code, message string) *Error {
	return &Error{Status: status, Code: code, Message: message}
}

func notFound(message string) *Error { return fail(http.StatusNotFound, "not_found", message) }

func invalid(field, format string, args ...any) *Error {
	why := fmt.Sprintf(format, args...)
	return &Error{
		Status: http.StatusUnprocessableEntity, Code: "invalid_input",
		Message: fmt.Sprintf("invalid input in field '%s': %s", field, why),
		Fields:  []FieldError{{Name: field, Messages: []string{why}}},
	}
}

func taken(field string) *Error {
	return fail(http.StatusConflict, "uniqueness_error", field+" is already used")
}

func refused(format string, args ...any) *Error {
	return fail(http.StatusUnprocessableEntity, "service_error", fmt.Sprintf(format, args...))
}

func exceeded(format string, args ...any) *Error {
	return fail(http.StatusForbidden, "resource_limit_exceeded", fmt.Sprintf(format, args...))
}

func protected(message string) *Error { return fail(http.StatusForbidden, "protected", message) }

func writeError(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = fail(http.StatusInternalServerError, "server_error", err.Error())
	}
	var details any
	if len(e.Fields) > 0 {
		details = map[string]any{"fields": e.Fields}
	}
	writeReply(w, reply{e.Status, map[string]any{
		"error": map[string]any{"code": e.Code, "message": e.Message, "details": details},
	}})
}

func writeAnswer(w http.ResponseWriter, rep reply, err error) {
	if err != nil {
		writeError(w, err)
		return
	}
	writeReply(w, rep)
}

func writeReply(w http.ResponseWriter, rep reply) {
	w.Header().Set("Content-Type", "application/json")
	if rep.body == nil {
		w.WriteHeader(rep.status)
		return
	}
	data, err := json.Marshal(rep.body)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(rep.status)
	_, _ = w.Write(data) // a client that hung up is not the API's failure
}

// decode reads the body into v. An empty body leaves v as it is, as the power
// actions send none.
func (q *request) decode(v any) error {
	if len(bytes.TrimSpace(q.body)) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(q.body))
	if err := dec.Decode(v); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return invalid(wrong.Field, "must be of type %s, not %s", wrong.Type, wrong.Value)
		}
		return fail(http.StatusBadRequest, "json_error", "the body is not valid JSON: "+err.Error())
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fail(http.StatusBadRequest, "json_error", "there is more than one JSON value in the body")
	}
	return nil
}

// ref names another object: the API takes a number, a numeric string or a name.
type ref struct {
	id   int64 // 0: none
	name string
}

// UnmarshalJSON accepts a number or a string.
func (r *ref) UnmarshalJSON(data []byte) error {
	var n int64
	if err := json.Unmarshal(data, &n); err == nil {
		r.id = n
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("an id or a name was expected: %w", err)
	}
	r.name = s
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		r.id = n
	}
	return nil
}

func (r *ref) isZero() bool { return r.id == 0 && r.name == "" }

func (r *ref) names(m *Meta) bool {
	return r.id != 0 && m.ID == r.id || r.name != "" && m.Name == r.name
}

type pagination struct {
	Page         int  `json:"page"`
	PerPage      int  `json:"per_page"`
	PreviousPage *int `json:"previous_page"`
	NextPage     *int `json:"next_page"`
	LastPage     int  `json:"last_page"`
	TotalEntries int  `json:"total_entries"`
}

// page cuts one page out of items. per_page above 50 counts as 50.
func page[T any](query url.Values, items []T) ([]T, pagination, error) {
	number, err := positive(query, "page", 1)
	if err != nil {
		return nil, pagination{}, err
	}
	size, err := positive(query, "per_page", 25)
	if err != nil {
		return nil, pagination{}, err
	}
	size = min(size, 50)
	total := len(items)
	p := pagination{Page: number, PerPage: size, TotalEntries: total, LastPage: max(1, (total+size-1)/size)}
	if number > 1 {
		n := number - 1
		p.PreviousPage = &n
	}
	if number < p.LastPage {
		n := number + 1
		p.NextPage = &n
	}
	from := min((number-1)*size, total)
	return items[from:min(from+size, total)], p, nil
}

func positive(query url.Values, key string, otherwise int) (int, error) {
	text := query.Get(key)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1<<30 {
		return 0, invalid(key, "must be a positive number, not %q", text)
	}
	return n, nil
}

func listReply(root string, items any, p pagination) reply {
	return reply{http.StatusOK, map[string]any{root: items, "meta": map[string]any{"pagination": p}}}
}
