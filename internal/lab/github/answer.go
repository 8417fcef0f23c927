package github

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object.
type object = map[string]any

// answer is a response that is not written yet.
type answer struct {
	status int
	header http.Header
	body   any // nil: none
}

func success(status int, body any) *answer {
	return &answer{status: status, header: http.Header{}, body: body}
}

// refusal is an error with a message alone.
func refusal(status int, message string) *answer {
	return success(status, object{
		"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status),
	})
}

func missing() *answer { return refusal(http.StatusNotFound, "Not Found") }

// forbidden is the answer to a token without any of the permissions that would do.
func forbidden(needs []string) *answer {
	a := refusal(http.StatusForbidden, "Resource not accessible by integration")
	accepted := make([]string, len(needs))
	for i, need := range needs {
		accepted[i] = strings.Replace(need, ":", "=", 1)
	}
	a.header.Set("X-Accepted-GitHub-Permissions", strings.Join(accepted, "; "))
	return a
}

// unprocessable is the answer to a request with a field that will not do.
func unprocessable(resource, field, code, message string) *answer {
	problem := object{"resource": resource, "field": field, "code": code}
	if message != "" {
		problem["message"] = message
	}
	return success(http.StatusUnprocessableEntity, object{
		"message": "Validation Failed", "errors": []any{problem},
		"documentation_url": "https://docs.github.com/rest", "status": "422",
	})
}

// tooLong tells whether a text is over the limit of comments and issues.
func tooLong(text string) bool { return len([]rune(text)) > CommentLimit }

func bodyTooLong(resource string) *answer {
	return unprocessable(resource, "data", "unprocessable", fmt.Sprintf("Body is too long (maximum is %d characters)", CommentLimit))
}

func (a *answer) data() []byte {
	if a.body == nil {
		return nil
	}
	data, err := json.Marshal(a.body)
	if err != nil {
		return []byte(`{"message":"the lab cannot write its answer"}`)
	}
	return data
}

// conditional turns an answer that the client has already into 304.
func (a *answer) conditional(r *http.Request) *answer {
	if a.status != http.StatusOK || r.Method != http.MethodGet {
		return a
	}
	sum := sha256.Sum256(a.data())
	tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	a.header.Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		return &answer{status: http.StatusNotModified, header: a.header}
	}
	return a
}

func (a *answer) write(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.data()) //nolint:gosec // JSON, not HTML; a client that hung up is not the API's failure
}

// decode reads the request's body into v, or says what is wrong with it.
func (q *request) decode(v any) *answer {
	if err := json.Unmarshal(q.body, v); err != nil {
		return refusal(http.StatusBadRequest, "Problems parsing JSON")
	}
	return nil
}

// number is a path parameter; 0 if it is none, which nothing has as its number.
func (q *request) number(name string) int64 {
	n, err := strconv.ParseInt(q.params[name], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// page answers with one page of a list, 30 items unless told, 100 at most, and
// Link headers. wrap makes the answer's body of the page; nil: the list itself.
func page[T any](q *request, items []T, wrap func(page []T) any) *answer {
	size := bounded(q.query.Get("per_page"), 30, 100)
	number := bounded(q.query.Get("page"), 1, 1<<20)
	last := max(1, (len(items)+size-1)/size)
	from := min((number-1)*size, len(items))
	cut := append(make([]T, 0, size), items[from:min(from+size, len(items))]...)
	ans := success(http.StatusOK, cut)
	if wrap != nil {
		ans.body = wrap(cut)
	}
	var links []string
	add := func(page int, rel string) {
		query := url.Values{}
		for key, values := range q.query {
			query[key] = values
		}
		query.Set("page", strconv.Itoa(page))
		links = append(links, fmt.Sprintf("<%s%s?%s>; rel=%q", q.base, q.params["_path"], query.Encode(), rel))
	}
	if number > 1 {
		add(number-1, "prev")
	}
	if number < last {
		add(number+1, "next")
		add(last, "last")
	}
	if number > 1 {
		add(1, "first")
	}
	if links != nil {
		ans.header.Set("Link", strings.Join(links, ", "))
	}
	return ans
}

func bounded(text string, otherwise, most int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return otherwise
	}
	return min(n, most)
}

// at is a time as the API writes it; nil for none.
func at(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// orNull is a string that is null when empty.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// pause waits for d; false: ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
