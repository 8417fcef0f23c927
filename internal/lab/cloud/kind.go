package cloud

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Meta is what every resource has.
type Meta struct {
	ID      int64             `json:"id"`
	Name    string            `json:"name"`
	Labels  map[string]string `json:"labels"`
	Created time.Time         `json:"created"`
}

func (m *Meta) meta() *Meta { return m }

type resource interface{ meta() *Meta }

// collection answers everything below /v1/<name>.
type collection interface {
	serve(q *request) (reply, error)
}

// kind is one kind of resource. Nil functions mean: nothing special, or, for
// create, update and remove, that the API has no such call.
type kind[T resource] struct {
	one, many string
	all       func(o *objects) []T
	show      func(o *objects, v T) any
	// match holds the filters of a list beside name and label_selector; the
	// values of a repeated parameter are alternatives.
	match map[string]func(v T, want string) bool
	// hidden leaves a resource out of a list; it is read by its id all the same.
	hidden  func(q *request, v T) bool
	create  func(q *request) (reply, error)
	update  func(q *request, v T) error
	remove  func(q *request, v T) (reply, error)
	actions map[string]func(q *request, v T) (reply, error)
	// busy refuses a write to v because of an action that runs.
	busy func(q *request, v T) error
}

func (k kind[T]) serve(q *request) (reply, error) {
	noSuch := notFound("no such endpoint: " + q.method + " " + k.many + "/" + strings.Join(q.rest, "/"))
	switch len(q.rest) {
	case 0:
		switch {
		case q.method == http.MethodGet:
			return k.list(q)
		case q.method == http.MethodPost && k.create != nil:
			return k.create(q)
		}
		return reply{}, noSuch
	case 1:
		if q.rest[0] == "actions" && q.method == http.MethodGet {
			return listActions(q, func(a *Action) bool { return a.about(k.one, 0) })
		}
		return k.serveOne(q, noSuch)
	case 2:
		if q.rest[0] == "actions" {
			return showAction(q, q.rest[1])
		}
	}
	if q.rest[1] != "actions" || len(q.rest) > 3 {
		return reply{}, noSuch
	}
	v, err := k.find(q)
	if err != nil {
		return reply{}, err
	}
	if len(q.rest) == 2 {
		return listActions(q, func(a *Action) bool { return a.about(k.one, v.meta().ID) })
	}
	if q.method == http.MethodGet {
		return showAction(q, q.rest[2])
	}
	run := k.actions[q.rest[2]]
	if q.method != http.MethodPost || run == nil {
		return reply{}, noSuch
	}
	if q.rest[2] != "change_dns_ptr" {
		if err := k.free(q, v); err != nil {
			return reply{}, err
		}
	}
	return run(q, v)
}

func (k kind[T]) serveOne(q *request, noSuch *Error) (reply, error) {
	v, err := k.find(q)
	if err != nil {
		return reply{}, err
	}
	switch {
	case q.method == http.MethodGet:
		return k.answer(q, http.StatusOK, v), nil
	case q.method == http.MethodPut && k.update != nil:
		if err := k.free(q, v); err != nil {
			return reply{}, err
		}
		if err := k.change(q, v); err != nil {
			return reply{}, err
		}
		return k.answer(q, http.StatusOK, v), nil
	case q.method == http.MethodDelete && k.remove != nil:
		if err := k.free(q, v); err != nil {
			return reply{}, err
		}
		return k.remove(q, v)
	}
	return reply{}, noSuch
}

func (k kind[T]) free(q *request, v T) error {
	if k.busy == nil {
		return nil
	}
	return k.busy(q, v)
}

func (k kind[T]) find(q *request) (T, error) {
	var none T
	id, err := strconv.ParseInt(q.rest[0], 10, 64)
	if err != nil {
		return none, notFound(k.one + " with ID '" + q.rest[0] + "' not found")
	}
	for _, v := range k.all(q.obj) {
		if v.meta().ID == id {
			return v, nil
		}
	}
	return none, notFound(k.one + " with ID '" + q.rest[0] + "' not found")
}

func (k kind[T]) answer(q *request, status int, v T) reply {
	return reply{status, map[string]any{k.one: k.wire(q.obj, v)}}
}

func (k kind[T]) wire(o *objects, v T) any {
	if k.show == nil {
		return v
	}
	return k.show(o, v)
}

// change applies a PUT: name and labels, as every kind has them, then what
// update adds. Nothing changes when one of them is refused by the first two.
func (k kind[T]) change(q *request, v T) error {
	var body struct {
		Name   *string            `json:"name"`
		Labels *map[string]string `json:"labels"`
	}
	if err := q.decode(&body); err != nil {
		return err
	}
	m := v.meta()
	if body.Labels != nil {
		if err := checkLabels(*body.Labels); err != nil {
			return err
		}
	}
	if body.Name != nil && *body.Name != m.Name {
		if err := k.nameFree(q.obj, *body.Name); err != nil {
			return err
		}
	}
	if err := k.update(q, v); err != nil {
		return err
	}
	if body.Name != nil {
		m.Name = *body.Name
	}
	if body.Labels != nil {
		m.Labels = *body.Labels
	}
	return nil
}

func (k kind[T]) nameFree(o *objects, name string) error {
	if name == "" {
		return invalid("name", "must not be empty")
	}
	for _, v := range k.all(o) {
		if v.meta().Name == name {
			return taken("name")
		}
	}
	return nil
}

// fresh makes the Meta of a new resource, or refuses its name or labels.
func (k kind[T]) fresh(q *request, name string, labels map[string]string) (Meta, error) {
	if err := k.nameFree(q.obj, name); err != nil {
		return Meta{}, err
	}
	if err := checkLabels(labels); err != nil {
		return Meta{}, err
	}
	if labels == nil {
		labels = map[string]string{}
	}
	return Meta{ID: q.obj.newID(), Name: name, Labels: labels, Created: q.now()}, nil
}

func (q *request) now() time.Time { return q.api.opt.Now().UTC().Truncate(time.Second) }

func (k kind[T]) list(q *request) (reply, error) {
	chosen, err := selectLabels(q.query.Get("label_selector"))
	if err != nil {
		return reply{}, err
	}
	var items []T
	for _, v := range k.all(q.obj) {
		m := v.meta()
		if q.query.Has("name") && m.Name != q.query.Get("name") || !chosen(m.Labels) || !k.matches(q, v) || k.hidden != nil && k.hidden(q, v) {
			continue
		}
		items = append(items, v)
	}
	if err := sortBy(items, q.query["sort"]); err != nil {
		return reply{}, err
	}
	items, p, err := page(q.query, items)
	if err != nil {
		return reply{}, err
	}
	shown := make([]any, len(items))
	for i, v := range items {
		shown[i] = k.wire(q.obj, v)
	}
	return listReply(k.many, shown, p), nil
}

func (k kind[T]) matches(q *request, v T) bool {
	for key, match := range k.match {
		wants := q.query[key]
		if len(wants) > 0 && !slices.ContainsFunc(wants, func(want string) bool { return match(v, want) }) {
			return false
		}
	}
	return true
}

// sortBy orders by the given "field[:asc|desc]" keys, and by id at the end.
func sortBy[T resource](items []T, keys []string) error {
	type order struct {
		compare func(a, b *Meta) int
		sign    int
	}
	fields := map[string]func(a, b *Meta) int{
		"id":      func(a, b *Meta) int { return cmp.Compare(a.ID, b.ID) },
		"name":    func(a, b *Meta) int { return cmp.Compare(a.Name, b.Name) },
		"created": func(a, b *Meta) int { return a.Created.Compare(b.Created) },
	}
	var orders []order
	for _, key := range append(slices.Clone(keys), "id") {
		field, direction, _ := strings.Cut(key, ":")
		compare := fields[field]
		if compare == nil || direction != "" && direction != "asc" && direction != "desc" {
			return invalid("sort", "cannot sort by %q", key)
		}
		o := order{compare, 1}
		if direction == "desc" {
			o.sign = -1
		}
		orders = append(orders, o)
	}
	slices.SortStableFunc(items, func(a, b T) int {
		for _, o := range orders {
			if c := o.compare(a.meta(), b.meta()); c != 0 {
				return c * o.sign
			}
		}
		return 0
	})
	return nil
}

// none is a kind of resource that the lab has none of: its lists are empty.
type none string

func (n none) serve(q *request) (reply, error) {
	if len(q.rest) == 0 && q.method == http.MethodGet {
		items, p, err := page(q.query, []any{})
		if err != nil {
			return reply{}, err
		}
		return listReply(string(n), items, p), nil
	}
	return reply{}, notFound("the lab has no " + string(n))
}
